"""Envoy's configuration for a set of frontends; pure functions from frontends to JSON.

Each address of a Gateway in a region is a listener on a loopback door, and each frontend (one backend service behind
one address) a cluster whose localities are the regions of its backends, nearest first by priority. Before a request is
forwarded the picker is asked which Pods to try; without its word distance and health alone decide. One more listener is
the VPC: an HTTP forward proxy that knows the VIPs and nothing else. Routes and endpoints are files of their own, so
that a changed timeout or Pod list never drains a connection.

Invariants, each the cure of a silent failure: an endpoint that is taken away stops at once
(`ignore_health_on_host_removal`); no locality weight is ever 0, which Envoy refuses; routes do not validate clusters;
circuit breakers are out of the way; health changes are not held back for a second (`update_merge_window`); nothing
that Envoy adds tells a client which cluster served it.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backend.emulator.serving.envoy_clusters import DESTINATION, PICKER, cluster, endpoints, picker_cluster
from backend.emulator.serving.envoy_files import TYPES, address, duration, file_source
from backend.emulator.serving.envoy_routes import NO_ROUTE, condition, grouped
from backend.emulator.serving.frontends import Frontend

Json = dict[str, Any]

_ASK = "envoy.filters.http.ext_authz"
_PROMPT_BYTES = 4096


def bootstrap(folder: Path, admin_socket: Path) -> Json:
    """Return the start configuration: the admin socket, and where the other files are."""
    return {
        "node": {"id": "gateway", "cluster": "gateway"},
        "admin": {"address": {"pipe": {"path": str(admin_socket), "mode": 0o600}}},
        "dynamic_resources": {"lds_config": file_source(folder, "lds"), "cds_config": file_source(folder, "cds")},
    }


def resource_files(
    frontends: Sequence[Frontend], folder: Path, doors: Mapping[str, int], vpc_port: int, picker: Path
) -> dict[str, list[Json]]:
    """Return file stem -> resources; `doors` maps each frontend's key to its loopback port, `picker` is its socket."""
    behind: dict[str, list[Frontend]] = {}
    for frontend in frontends:
        behind.setdefault(frontend.listener, []).append(frontend)
    files: dict[str, list[Json]] = {
        "lds": [
            _listener("vpc", vpc_port, folder),
            *(_listener(name, doors[services[0].key], folder) for name, services in behind.items()),
        ],
        "cds": [picker_cluster(picker), *(cluster(frontend, folder) for frontend in frontends)],
        "rds-vpc": [_routes("vpc", [*map(_vpc_host, behind.values()), _NOWHERE])],
    }
    for name, services in behind.items():
        files[f"rds-{name}"] = [_routes(name, [_host(services, ["*"])])]
    for frontend in frontends:
        files[f"eds-{frontend.name}"] = [endpoints(frontend)]
    return files


def document(version: str, resources: list[Json]) -> str:
    """Return the text of a resource file."""
    return json.dumps({"version_info": version, "resources": resources}, indent=1)


def _listener(name: str, port: int, folder: Path) -> Json:
    router = {"@type": f"{TYPES}.extensions.filters.http.router.v3.Router", "suppress_envoy_headers": True}
    manager = {
        "@type": f"{TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "rds": {"route_config_name": name, "config_source": file_source(folder, f"rds-{name}")},
        "http_filters": [
            {"name": _ASK, "typed_config": _ask_picker()},
            {"name": "envoy.filters.http.router", "typed_config": router},
        ],
        "generate_request_id": False,
        "preserve_external_request_id": True,
        "server_header_transformation": "PASS_THROUGH",
        "via": "1.1 google",
        "use_remote_address": True,
        "stream_idle_timeout": "0s",
    }
    return {
        "@type": f"{TYPES}.config.listener.v3.Listener",
        "name": name,
        "address": address(port),
        "enable_reuse_port": False,
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def _ask_picker() -> Json:
    return {
        "@type": f"{TYPES}.extensions.filters.http.ext_authz.v3.ExtAuthz",
        "transport_api_version": "V3",
        "failure_mode_allow": True,
        "allowed_headers": {"patterns": [{"exact": "x-gateway-inference-objective"}]},
        "with_request_body": {"max_request_bytes": _PROMPT_BYTES, "allow_partial_message": True},
        "http_service": _picker_service(""),
    }


def _asking(name: str) -> Json:
    """A route's question to the picker, which names the frontend."""
    kind = f"{TYPES}.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute"
    return {_ASK: {"@type": kind, "check_settings": {"http_service": _picker_service(f"/{name}")}}}


def _picker_service(path: str) -> Json:
    return {
        "server_uri": {"uri": "http://picker", "cluster": PICKER, "timeout": "1s"},
        "path_prefix": path,
        "authorization_response": {
            "allowed_upstream_headers": {"patterns": [{"exact": DESTINATION}]},
            "allowed_client_headers": {"patterns": [{"exact": "content-type"}]},
        },
    }


def _routes(name: str, hosts: list[Json]) -> Json:
    return {
        "@type": f"{TYPES}.config.route.v3.RouteConfiguration",
        "name": name,
        "virtual_hosts": hosts,
        "validate_clusters": False,
        "request_headers_to_remove": ["x-envoy-internal", "x-envoy-external-address"],
    }


def _host(services: Sequence[Frontend], domains: list[str]) -> Json:
    """The routes of an address, in the order in which they are tried; the last one takes what no match does."""
    by_name = {each.name: each for each in services}
    routes = [
        {"match": condition(match), **_route([(by_name[name], weight) for name, weight in weights.items()])}
        for match, weights in grouped({each.name: each.shares for each in services})
    ]
    routes.append({"match": {"prefix": "/"}, **_refuse(404, NO_ROUTE)})
    return {"name": services[0].listener, "domains": domains, "routes": routes}


def _route(shares: list[tuple[Frontend, int]]) -> Json:
    """Where a match leads: one backend service, or several by weight."""
    total = sum(weight for _, weight in shares)
    if not total:
        return _refuse(500, "")
    route = {
        "timeout": duration(max(each.timeout_s for each, _ in shares)),
        "idle_timeout": "0s",
        "retry_policy": _RETRY,
    }
    if len(shares) == 1:
        name = shares[0][0].name
        return {"route": {"cluster": name, **route}, "typed_per_filter_config": _asking(name)}
    weighted = [
        {"name": each.name, "weight": weight, "typed_per_filter_config": _asking(each.name)} for each, weight in shares
    ]
    return {"route": {"weighted_clusters": {"clusters": weighted}, **route}}


def _refuse(status: int, text: str) -> Json:
    body = {"body": {"inline_string": text}} if text else {}
    disabled = {"@type": f"{TYPES}.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute", "disabled": True}
    return {"direct_response": {"status": status, **body}, "typed_per_filter_config": {_ASK: disabled}}


def _vpc_host(services: Sequence[Frontend]) -> Json:
    vip, port = services[0].vip, services[0].port
    domains = [f"{vip}:{port}"]
    return _host(services, [vip, *domains] if port == 80 else domains)


_RETRY: Json = {
    "retry_on": "connect-failure,refused-stream",
    "num_retries": 2,
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {"@type": f"{TYPES}.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
        }
    ],
    "host_selection_retry_max_attempts": 5,
}
_NOWHERE: Json = {
    "name": "nowhere",
    "domains": ["*"],
    "routes": [{"match": {"prefix": "/"}, **_refuse(504, "no route to host: not in this VPC")}],
}
