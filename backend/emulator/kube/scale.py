"""The scale subresource: the replicas of a workload as an autoscaling/v1 Scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.emulator.kube import errors
from backend.emulator.kube.objects import Object

_META = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(live: Object) -> Object:
    """The Scale of a workload."""
    selector = (live["spec"].get("selector") or {}).get("matchLabels") or {}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: live["metadata"][key] for key in _META if key in live["metadata"]},
        "spec": {"replicas": live["spec"].get("replicas", 0)},
        "status": {
            "replicas": (live.get("status") or {}).get("replicas", 0),
            "selector": ",".join(f"{key}={value}" for key, value in selector.items()),
        },
    }


def scaled(live: Object, scale: Mapping[str, Any]) -> Object:
    """The workload with the replicas of a Scale; raises 422 when they are no count."""
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or isinstance(replicas, bool) or replicas < 0:
        cause = errors.invalid_value("spec.replicas", replicas, "must be greater than or equal to 0")
        raise errors.invalid("autoscaling", "Scale", live["metadata"]["name"], [cause])
    return {**live, "spec": {**live["spec"], "replicas": replicas}}
