"""The Kubernetes objects of a stack, as plain dicts; here objective, export, gateway, route and policies.

Pure functions of the spec: the same spec gives the same objects, and nothing is asked of any cluster. Names are the
document's own, so that a stack made by hand from it is adopted. Invariant: marks go to an object's own labels, never to
a selector or a Pod template, where they would replace running Pods.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.resources import marks
from backend.spec import BalancingMode, GatewaySpec

Object = dict[str, Any]

BACKEND_POLICY_NAME = "my-backend-policy"
HEALTH_CHECK_POLICY_NAME = "health-check-policy"
EXPORT_ANNOTATION = "networking.gke.io/export"
EXPORTED = "True"
SECRET_NAME, SECRET_KEY = "hf-token", "token"
"""Where the model server's manifest looks for the Hugging Face token."""


def marked(obj: Object, spec: GatewaySpec) -> Object:
    """Add the stack's marks to an object's own labels."""
    meta = obj["metadata"]
    return obj | {"metadata": meta | {"labels": meta.get("labels", {}) | marks.labels(spec)}}


def labels_of(obj: Mapping[str, Any]) -> Mapping[str, str]:
    """An object's own labels."""
    return obj.get("metadata", {}).get("labels") or {}


def is_ours(obj: Mapping[str, Any], spec: GatewaySpec) -> bool:
    """Whether an object carries this stack's marks."""
    return marks.ours(spec, labels_of(obj))


def namespace(spec: GatewaySpec) -> Object:
    """The namespace of the pool, which only needs to be made when it is not ``default``."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": spec.pool.namespace}}


def objective(spec: GatewaySpec) -> Object:
    """The InferenceObjective; its poolRef is the pool's real name, or the endpoint picker passes it over."""
    return {
        "apiVersion": "inference.networking.x-k8s.io/v1alpha2",
        "kind": "InferenceObjective",
        "metadata": _meta(spec, spec.objective.name),
        "spec": {
            "priority": spec.objective.priority,
            "poolRef": {
                "group": "inference.networking.k8s.io",
                "kind": "InferencePool",
                "name": spec.pool.name,
            },
        },
    }


def exported(spec: GatewaySpec, *, export: bool = True) -> Object:
    """What the export's field manager says of the InferencePool: its annotation, or nothing at all."""
    meta = _meta(spec, spec.pool.name)
    if export:
        meta["annotations"] = {EXPORT_ANNOTATION: EXPORTED}
    return {"apiVersion": "inference.networking.k8s.io/v1", "kind": "InferencePool", "metadata": meta}


def gateway(spec: GatewaySpec) -> Object:
    """The Gateway on the config cluster, with one ephemeral address in every region."""
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": _meta(spec, spec.gateway.name),
        "spec": {
            "gatewayClassName": spec.gateway.gateway_class,
            "addresses": [
                {"type": f"networking.gke.io/ephemeral-ipv4-address/{region}", "value": region}
                for region in spec.regions
            ],
            "listeners": [{"name": "http", "protocol": "HTTP", "port": spec.gateway.port}],
        },
    }


def route(spec: GatewaySpec) -> Object:
    """The HTTPRoute from the gateway to the imported pools."""
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": _meta(spec, f"{spec.pool.name}-default"),
        "spec": {
            "parentRefs": [{"kind": "Gateway", "name": spec.gateway.name}],
            "rules": [{"backendRefs": [_import(spec)]}],
        },
    }


def health_policy(spec: GatewaySpec) -> Object:
    """How the load balancer checks a model server; without it, it would ask for ``/`` and find nothing healthy."""
    return {
        "apiVersion": "networking.gke.io/v1",
        "kind": "HealthCheckPolicy",
        "metadata": _meta(spec, HEALTH_CHECK_POLICY_NAME),
        "spec": {
            "targetRef": _import(spec),
            "default": {
                "config": {
                    "type": "HTTP",
                    "httpHealthCheck": {"requestPath": spec.health_check.path, "port": spec.health_check.port},
                }
            },
        },
    }


def backend_policy(spec: GatewaySpec) -> Object:
    """Balancing mode and timeout in one object: a second one of the same name would reset the first one's fields."""
    default: Object = {
        "timeoutSec": spec.timeout_s,
        "balancingMode": str(spec.balancing.mode),
        "trafficDuration": "LONG",
    }
    if spec.balancing.mode is BalancingMode.CUSTOM_METRICS:
        default["customMetrics"] = [
            {
                "name": f"gke.named_metrics.{spec.model.kv_cache_export}",
                "dryRun": False,
                "maxUtilizationPercent": spec.balancing.max_utilization_percent,
            }
        ]
    else:
        default["maxInFlightRequestsPerEndpoint"] = spec.balancing.max_in_flight_requests_per_endpoint
    return {
        "apiVersion": "networking.gke.io/v1",
        "kind": "GCPBackendPolicy",
        "metadata": _meta(spec, BACKEND_POLICY_NAME),
        "spec": {"targetRef": _import(spec), "default": default},
    }


def _meta(spec: GatewaySpec, name: str) -> Object:
    return {"name": name, "namespace": spec.pool.namespace}


def _import(spec: GatewaySpec) -> Object:
    return {"group": "networking.gke.io", "kind": "GCPInferencePoolImport", "name": spec.pool.name}
