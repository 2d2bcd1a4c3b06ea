"""Kubernetes Engine: changes of a node pool that leave its machines what they are.

Invariant: one request changes one thing or several that belong together, and counts once its operation is done.
"""

from __future__ import annotations

from typing import Any

from backend.emulator.google import operations, schema
from backend.emulator.google.container import SERVICE, begin, refuse_if_busy, routes, row_of
from backend.emulator.google.errors import ApiError, invalid
from backend.emulator.google.nodepools import pool_of
from backend.emulator.google.poolrules import check_pool
from backend.emulator.google.routing import Call
from backend.emulator.world import World

Json = dict[str, Any]
_AT = "/projects/{project}/locations/{location}/clusters/{cluster}/nodePools/{pool}"
_OF_CONFIG = {
    "labels": "labels",
    "taints": "taints",
    "resourceLabels": "resourceLabels",
    "tags": "tags",
    "workloadMetadataConfig": "workloadMetadataConfig",
}
_WRAPPED = {"labels": "labels", "taints": "taints", "resourceLabels": "labels", "tags": "tags"}
"""Fields of an update that hold one more level than the pool's configuration does."""
_SELECTING = frozenset({"name", "nodePoolId", "clusterId", "zone", "projectId", "etag"})


@routes.add("PUT", _AT, "container.clusters.update")
def update_pool(call: Call) -> Json:
    """Begin to change labels, taints, tags, zones or the metadata server of a node pool."""
    row, pool = pool_of(call)
    wanted = schema.parse(SERVICE, "UpdateNodePoolRequest", call.body)
    config = {
        own: wanted[name].get(_WRAPPED[name], {}) if name in _WRAPPED else wanted[name]
        for name, own in _OF_CONFIG.items()
        if name in wanted
    }
    whole = {name: wanted[name] for name in ("locations", "upgradeSettings") if name in wanted}
    unknown = sorted(wanted.keys() - _OF_CONFIG.keys() - whole.keys() - _SELECTING)
    if unknown:
        raise ApiError(501, f"The emulated Kubernetes Engine does not update {', '.join(unknown)} of a node pool.")
    if not config and not whole:
        raise invalid("Must specify a field to update.")
    check_pool(call.world, row, pool | whole)
    return _begin(call, pool, whole | ({"config": config} if config else {}))


@routes.add("POST", f"{_AT}:setManagement", "container.clusters.update")
def set_management(call: Call) -> Json:
    """Begin to turn automatic repair and upgrade of a node pool on or off."""
    _, pool = pool_of(call)
    wanted = schema.parse(SERVICE, "SetNodePoolManagementRequest", call.body).get("management", {})
    return _begin(call, pool, {"management": wanted})


def _begin(call: Call, pool: Json, change: Json) -> Json:
    row = row_of(call)
    refuse_if_busy(call.world, row)
    pool["status"] = row["status"] = "RECONCILING"
    name = pool["name"]
    return begin(call.world, "node-pool.update", row, "UPDATE_CLUSTER", pool=name, pace="cluster.update", change=change)


@operations.effect("node-pool.update")
def _updated(world: World, record: Json) -> None:
    cluster, _, name = record["key"].rpartition("/")
    row = world.tables["clusters"][cluster]
    pool = next(one for one in row["nodePools"] if one["name"] == name)
    change = record["view"]["change"]
    pool |= {**change, "config": pool["config"] | change.get("config", {})}
    pool["status"] = row["status"] = "RUNNING"
