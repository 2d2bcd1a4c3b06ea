"""Envoy's clusters: backend services with their regions, health checks and Pods, and the picker; pure functions.

Without the picker's word the nearest healthy region gets everything.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.emulator.serving.envoy_files import TYPES, address, duration, file_source
from backend.emulator.serving.frontends import Frontend

Json = dict[str, Any]

PICKER = "picker"
"""Name of the picker's cluster."""
_NO_LIMIT = 2**31 - 1
_UNLIMITED: Json = {
    "priority": "DEFAULT",
    "max_connections": _NO_LIMIT,
    "max_pending_requests": _NO_LIMIT,
    "max_requests": _NO_LIMIT,
    "max_retries": _NO_LIMIT,
}
DESTINATION = "x-gateway-destination-endpoint"
"""Header by which the picker says where a request goes."""
_UPSTREAM_IDLE_S = 3
_HTTP_UPSTREAM: Json = {
    "typed_extension_protocol_options": {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": f"{TYPES}.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http_protocol_options": {}},
            "common_http_protocol_options": {"idle_timeout": f"{_UPSTREAM_IDLE_S}s"},
        }
    }
}
"""Idle connections end: Envoy opens one for every request that waits, also for those whose client is gone by then, and
a server closes none that never carried a request."""


def picker_cluster(socket: Path) -> Json:
    """The picker behind its Unix socket."""
    endpoint = {"endpoint": {"address": {"pipe": {"path": str(socket)}}}}
    return {
        "@type": f"{TYPES}.config.cluster.v3.Cluster",
        "name": PICKER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": PICKER, "endpoints": [{"lb_endpoints": [endpoint]}]},
        "circuit_breakers": {"thresholds": [_UNLIMITED]},
        **_HTTP_UPSTREAM,
    }


def cluster(frontend: Frontend, folder: Path) -> Json:
    """A backend service: where its Pods are told, how they are checked, and that the picker's word counts first."""
    check = frontend.check
    interval = duration(check.interval_s)
    return {
        "@type": f"{TYPES}.config.cluster.v3.Cluster",
        "name": frontend.name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": file_source(folder, f"eds-{frontend.name}")},
        "connect_timeout": "1s",
        "load_balancing_policy": {"policies": [_policy("override_host", _OVERRIDE)]},
        "ignore_health_on_host_removal": True,
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}, "update_merge_window": "0s"},
        "circuit_breakers": {"thresholds": [_UNLIMITED]},
        **_HTTP_UPSTREAM,
        "health_checks": [
            {
                "timeout": duration(check.timeout_s),
                "interval": interval,
                "no_traffic_interval": interval,
                "unhealthy_threshold": check.unhealthy,
                "healthy_threshold": check.healthy,
                "http_health_check": {"path": frontend.health_path or "/"},
            }
        ],
    }


def _policy(name: str, config: Json) -> Json:
    kind = "".join(word.capitalize() for word in name.split("_"))
    package = f"envoy.extensions.load_balancing_policies.{name}.v3.{kind}"
    full = {"@type": f"type.googleapis.com/{package}", **config}
    return {"typed_extension_config": {"name": f"envoy.load_balancing_policies.{name}", "typed_config": full}}


_OVERRIDE: Json = {
    "override_host_sources": [{"header": DESTINATION}],
    "fallback_policy": {"policies": [_policy("least_request", {})]},
}


def endpoints(frontend: Frontend) -> Json:
    """Endpoints by region, drained ones left out; without the picker's word the nearest healthy region gets all."""
    backends = [backend for backend in frontend.backends if backend.terms.scaler > 0]
    order = [region for region in frontend.order if any(backend.region == region for backend in backends)]
    localities = [
        {
            "locality": {"region": region},
            "priority": priority,
            "lb_endpoints": [
                {"endpoint": {"address": address(backend.port, backend.host)}}
                for backend in sorted(backends, key=lambda each: (each.cluster, each.pod, each.port))
                if backend.region == region
            ],
        }
        for priority, region in enumerate(order)
    ]
    return {
        "@type": f"{TYPES}.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": frontend.name,
        "endpoints": localities,
        "policy": {"overprovisioning_factor": 100_000},
    }
