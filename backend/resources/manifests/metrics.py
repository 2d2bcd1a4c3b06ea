"""The AutoscalingMetric, as plain dicts: which of the model servers' metrics the load balancer gets to know.

The kind has two shapes under one version: GKE 1.34 takes ``endpoints``, GKE 1.35 and later ``metrics`` of Pods. Both of
vLLM's names for KV-cache use are exported, as in the document, so that an update from one to the other is balanced
throughout. Pure functions of the spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from backend.spec import GatewaySpec

Object = dict[str, Any]

NAME = "gpu-cache"
"""The document's own name."""
VERSION = "v1beta1"
CRD_NAME = "autoscalingmetrics.autoscaling.gke.io"
EXPORTS: Mapping[str, str] = {"kv-cache": "vllm:kv_cache_usage_perc", "kv-cache-old": "vllm:gpu_cache_usage_perc"}
"""The document's export names, and the Prometheus names behind them."""


class Form(StrEnum):
    """The shapes of an AutoscalingMetric; a value is the field by which its shape is known."""

    ENDPOINTS = "endpoints"
    PODS = "metrics"


def form_of(fields: Mapping[str, Any]) -> Form | None:
    """The shape of a spec, or of a schema's properties; the newer one where both are there."""
    return next((form for form in (Form.PODS, Form.ENDPOINTS) if form in fields), None)


def taken_form(crd: Mapping[str, Any]) -> Form | None:
    """The shape that a cluster takes, by its CustomResourceDefinition; ``None`` when it is neither."""
    for version in crd["spec"].get("versions") or ():
        if version.get("name") == VERSION and version.get("served"):
            schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
            spec = (schema.get("properties") or {}).get("spec") or {}
            return form_of(spec.get("properties") or {})
    return None


def metric(spec: GatewaySpec, form: Form) -> Object:
    """The AutoscalingMetric of a cluster's model servers."""
    selector = {"matchLabels": {"app": spec.model.name}}
    endpoint = {"port": spec.pool.port, "path": "/metrics"}
    if form is Form.ENDPOINTS:
        metrics = [{"name": metric, "exportName": export} for export, metric in EXPORTS.items()]
        body: Object = {"selector": selector, "endpoints": [endpoint | {"metrics": metrics}]}
    else:
        gauges = [
            {"gauge": {"name": export, "prometheusMetricName": metric, "loadBalancing": {"enabled": True}}}
            for export, metric in EXPORTS.items()
        ]
        body = {"metrics": [{"pod": {"selector": selector, "containers": [{"endpoint": endpoint, "metrics": gauges}]}}]}
    return {
        "apiVersion": f"autoscaling.gke.io/{VERSION}",
        "kind": "AutoscalingMetric",
        "metadata": {"name": NAME, "namespace": spec.pool.namespace},
        "spec": body,
    }
