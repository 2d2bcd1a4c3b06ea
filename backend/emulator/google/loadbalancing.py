"""Compute Engine, read side: the load-balancer parts that the Gateway controller makes and removes.

The rows are the controllers'; this module only shows them, below the scope that each is in.
"""

from __future__ import annotations

from typing import Any

from backend.emulator.google import geography
from backend.emulator.google.compute import aggregated, listing, not_found, routes
from backend.emulator.google.routing import Call, Handler

Json = dict[str, Any]
COLLECTIONS = {
    "addresses": ("globalAddresses", "addresses"),
    "backendServices": ("backendServices", "regionBackendServices"),
    "firewalls": ("firewalls",),
    "forwardingRules": ("globalForwardingRules", "forwardingRules"),
    "healthChecks": ("healthChecks", "regionHealthChecks"),
    "networkEndpointGroups": ("networkEndpointGroups",),
    "targetHttpProxies": ("targetHttpProxies", "regionTargetHttpProxies"),
    "urlMaps": ("urlMaps", "regionUrlMaps"),
}
"""Collections, each with what its permissions are named after: globally, and in a region."""
_SCOPES = ("/projects/{project}/global", "/projects/{project}/regions/{region}")
_ZONES = "/projects/{project}/zones/{zone}"


def _scope(call: Call) -> tuple[str, str]:
    """The scope as the tables' keys have it, and as paths have it."""
    if region := call.path.get("region"):
        if region not in geography.REGIONS:
            raise not_found(call.world, f"regions/{region}")
        return region, f"regions/{region}"
    if zone := call.path.get("zone"):
        if zone not in geography.ZONES:
            raise not_found(call.world, f"zones/{zone}")
        return zone, f"zones/{zone}"
    return "global", "global"


def _kind(collection: str) -> str:
    singular = collection[:-3] + "y" if collection.endswith("ies") else collection.removesuffix("s")
    return {"addresses": "address"}.get(collection, singular)


def _rows(call: Call, collection: str, scope: str) -> list[Json]:
    return [row for key, row in call.world.tables[collection].items() if key.partition("/")[0] == scope]


def _list(collection: str) -> Handler:
    def handler(call: Call) -> Json:
        scope, path = _scope(call)
        return listing(call, _rows(call, collection, scope), f"{_kind(collection)}List", f"{path}/{collection}")

    return handler


def _get(collection: str) -> Handler:
    def handler(call: Call) -> Json:
        scope, path = _scope(call)
        row = call.world.tables[collection].get(f"{scope}/{call.path['name']}")
        if row is None:
            raise not_found(call.world, f"{path}/{collection}/{call.path['name']}")
        found: Json = row
        return found

    return handler


def _aggregate(collection: str) -> Handler:
    def handler(call: Call) -> Json:
        scopes = {"global": _rows(call, collection, "global")}
        scopes |= {f"regions/{name}": _rows(call, collection, name) for name in sorted(geography.REGIONS)}
        if collection == "networkEndpointGroups":
            scopes |= {f"zones/{name}": _rows(call, collection, name) for name in sorted(geography.ZONES)}
        kind = f"{_kind(collection)}AggregatedList"
        return aggregated(call, kind, f"aggregated/{collection}", scopes, collection)

    return handler


for _collection, _resources in COLLECTIONS.items():
    for _prefix, _resource in zip(_SCOPES, _resources, strict=False):
        routes.add("GET", f"{_prefix}/{_collection}", f"compute.{_resource}.list")(_list(_collection))
        routes.add("GET", f"{_prefix}/{_collection}/{{name}}", f"compute.{_resource}.get")(_get(_collection))
    routes.add("GET", f"/projects/{{project}}/aggregated/{_collection}", f"compute.{_resources[0]}.list")(
        _aggregate(_collection)
    )
routes.add("GET", f"{_ZONES}/networkEndpointGroups", "compute.networkEndpointGroups.list")(
    _list("networkEndpointGroups")
)
routes.add("GET", f"{_ZONES}/networkEndpointGroups/{{name}}", "compute.networkEndpointGroups.get")(
    _get("networkEndpointGroups")
)
