"""The CustomResourceDefinitions that GKE installs by itself, from ``schemas/*.yaml``.

A file there has the kinds in short form and the parts that they share. Invariant: a file is read once a process; which
of them a cluster has follows from its features and version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

_POD_FORM_FROM = (1, 35)
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class ClusterFeatures:
    """Which of GKE's own CustomResourceDefinitions are installed.

    ``gateway_api``: Gateway API, InferencePool and networking.gke.io; ``hpa_performance``: AutoscalingMetric;
    ``managed_prometheus``: monitoring.googleapis.com.
    """

    gateway_api: bool
    managed_prometheus: bool
    hpa_performance: bool


def definitions(features: ClusterFeatures, version: str) -> list[dict[str, Any]]:
    """The CustomResourceDefinitions of a cluster of a GKE version such as 1.34.1-gke.1127000."""
    names: list[str] = []
    if features.gateway_api:
        names += ["gateway-api", "inference", "networking-gke"]
    if features.hpa_performance:
        found = re.match(r"(\d+)\.(\d+)", version)
        minor = tuple(int(part) for part in found.groups()) if found else (0, 0)
        names.append("autoscaling-pod" if minor >= _POD_FORM_FROM else "autoscaling-endpoints")
    if features.managed_prometheus:
        names.append("monitoring")
    return [definition for name in names for definition in _read(name)]


@cache
def _read(name: str) -> tuple[dict[str, Any], ...]:
    text = (files("backend.emulator.kube") / "schemas" / f"{name}.yaml").read_text()
    return tuple(_definition(kind) for kind in yaml.load(text, Loader=_Loader)["kinds"])  # noqa: S506 (safe)


def _definition(short: Mapping[str, Any]) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind in short form."""
    kind, plural, group = short["kind"], short["plural"], short["group"]
    names: dict[str, Any] = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()}
    if "short" in short:
        names["shortNames"] = short["short"]
    if "categories" in short:
        names["categories"] = short["categories"]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}", "annotations": dict(short.get("annotations") or {})},
        "spec": {
            "group": group,
            "names": names,
            "scope": short.get("scope", "Namespaced"),
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": index == 0,
                    "schema": {"openAPIV3Schema": short["schema"]},
                    "subresources": short.get("subresources", {"status": {}}),
                    **({"additionalPrinterColumns": short["columns"]} if "columns" in short else {}),
                }
                for index, version in enumerate(short["versions"])
            ],
        },
    }
