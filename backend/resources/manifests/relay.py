"""The relay on the config cluster, as plain dicts: a ConfigMap with its script and one restricted Pod.

The gateway's addresses are private to the VPC; the relay stands inside it and forwards prompts to these addresses and
to nothing else. Invariants: the image is pinned by digest, the Pod has no service-account token and no privileges, and
it ends by itself after an hour.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

from backend.clients.names import RELAY_CONTAINER, RELAY_POD, RELAY_PORT
from backend.spec import GatewaySpec

Object = dict[str, Any]

LIFETIME_S = 3600
UPSTREAM_MARGIN_S = 30
"""Seconds that the relay waits beyond the load balancer's own timeout, so that the gateway's answer gets through."""
IMAGE = "docker.io/library/python:3.12-alpine@sha256:6d43704baacd1bfbe7c295d7f13079d5d8104ed33568873133f8fc69980419df"
SCRIPT_DIGEST = "mcig/script-sha256"
"""Annotation of the Pod that tells which script it runs: a Pod reads its ConfigMap only when it starts."""
_NOBODY = 65534


@cache
def script() -> str:
    """The relay's source."""
    return files("backend.resources").joinpath("relay_script.py").read_text(encoding="utf-8")


def relay_config(spec: GatewaySpec) -> Object:
    """The ConfigMap with the script."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": RELAY_POD, "namespace": spec.pool.namespace},
        "data": {"relay.py": script()},
    }


def relay_pod(spec: GatewaySpec, addresses: Iterable[str]) -> Object:
    """The Pod that forwards to these addresses of the gateway."""
    targets = ",".join(sorted(f"{address}:{spec.gateway.port}" for address in addresses))
    digest = hashlib.sha256(script().encode()).hexdigest()
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": RELAY_POD, "namespace": spec.pool.namespace, "annotations": {SCRIPT_DIGEST: digest}},
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": LIFETIME_S,
            "terminationGracePeriodSeconds": 2,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _NOBODY,
                "runAsGroup": _NOBODY,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(spec, targets)],
            "volumes": [{"name": "script", "configMap": {"name": RELAY_POD}}],
        },
    }


def _container(spec: GatewaySpec, targets: str) -> Object:
    return {
        "name": RELAY_CONTAINER,
        "image": IMAGE,
        "command": ["python3", "/relay/relay.py"],
        "env": [
            {"name": "PORT", "value": str(RELAY_PORT)},
            {"name": "ALLOWED_TARGETS", "value": targets},
            {"name": "UPSTREAM_TIMEOUT_S", "value": str(spec.timeout_s + UPSTREAM_MARGIN_S)},
        ],
        "ports": [{"name": "http", "containerPort": RELAY_PORT, "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": RELAY_PORT}, "periodSeconds": 1},
        "resources": {
            "requests": {"cpu": "50m", "memory": "64Mi"},
            "limits": {"memory": "128Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "script", "mountPath": "/relay", "readOnly": True}],
    }
