"""How requests come in, and which cluster gets them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from backend.spec.part import DnsLabel, Part, Port


class BalancingMode(StrEnum):
    """How the load balancer measures how full a cluster is."""

    CUSTOM_METRICS = "CUSTOM_METRICS"
    """By the KV-cache utilisation that the model servers report."""
    IN_FLIGHT = "IN_FLIGHT"
    """By the number of requests in flight per endpoint."""


class Gateway(Part):
    """The gateway on the config cluster."""

    name: DnsLabel = "cross-region-gateway"
    """Name of the Gateway."""
    gateway_class: Literal["gke-l7-cross-regional-internal-managed-mc"] = Field(
        default="gke-l7-cross-regional-internal-managed-mc", alias="class"
    )
    """The only class known to route to imported inference pools."""
    port: Port = 80
    """Port of its addresses."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


DEFAULT_UTILIZATION_PERCENT = 60
DEFAULT_IN_FLIGHT = 1000


class Balancing(Part):
    """When a cluster counts as full, so that traffic spills over to the next one."""

    mode: BalancingMode = BalancingMode.CUSTOM_METRICS
    """How the load balancer measures how full a cluster is."""
    max_utilization_percent: int | None = Field(default=None, ge=1, le=100)
    """Target utilisation of the KV cache; only with CUSTOM_METRICS, 60 by default."""
    max_in_flight_requests_per_endpoint: int | None = Field(default=None, ge=1, le=1_000_000)
    """Requests in flight that one Pod takes; only with IN_FLIGHT, 1000 by default."""

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data = dict(data)
        mode = data.get("mode", BalancingMode.CUSTOM_METRICS)
        if mode == BalancingMode.CUSTOM_METRICS and data.get("max_utilization_percent") is None:
            data["max_utilization_percent"] = DEFAULT_UTILIZATION_PERCENT
        if mode == BalancingMode.IN_FLIGHT and data.get("max_in_flight_requests_per_endpoint") is None:
            data["max_in_flight_requests_per_endpoint"] = DEFAULT_IN_FLIGHT
        return data


class HealthCheck(Part):
    """How the load balancer finds out that a Pod serves."""

    path: str = Field(default="/health", pattern=r"^/\S*$")
    """Path that answers with 200 while the Pod serves."""
    port: Port = 8000
    """Port that is asked; the model servers' own."""
