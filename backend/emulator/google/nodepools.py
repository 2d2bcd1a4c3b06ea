"""Kubernetes Engine: node pools of a cluster."""

from __future__ import annotations

from typing import Any

from backend.emulator.google import geography, operations, quota, schema
from backend.emulator.google.clusterjson import node_pool
from backend.emulator.google.container import SERVICE, begin, check_pool, refuse_if_busy, routes, row_of
from backend.emulator.google.errors import ApiError, invalid
from backend.emulator.google.routing import Call
from backend.emulator.world import World

Json = dict[str, Any]
_AT = "/projects/{project}/locations/{location}/clusters/{cluster}/nodePools"


def _pool(call: Call) -> tuple[Json, Json]:
    row, name = row_of(call), call.path["pool"]
    for pool in row["nodePools"]:
        if pool["name"] == name:
            return row, pool
    where = f"projects/{call.world.project}/locations/{row['location']}/clusters/{row['name']}"
    raise ApiError(404, f"Not found: {where}/nodePools/{name}.")


def _of_record(world: World, record: Json) -> tuple[Json, Json]:
    cluster, _, name = record["key"].rpartition("/")
    row = world.tables["clusters"][cluster]
    return row, next(pool for pool in row["nodePools"] if pool["name"] == name)


@routes.add("GET", _AT, "container.clusters.get")
def list_pools(call: Call) -> Json:
    """Node pools of a cluster."""
    pools = row_of(call)["nodePools"]
    return {"nodePools": pools} if pools else {}


@routes.add("GET", f"{_AT}/{{pool}}", "container.clusters.get")
def get_pool(call: Call) -> Json:
    """One node pool."""
    return _pool(call)[1]


@routes.add("POST", _AT, "container.clusters.update")
def create_pool(call: Call) -> Json:
    """Begin to make a node pool."""
    world, row = call.world, row_of(call)
    wanted = schema.parse(SERVICE, "CreateNodePoolRequest", call.body).get("nodePool", {})
    name = wanted.get("name", "")
    if any(pool["name"] == name for pool in row["nodePools"]):
        where = f"projects/{world.project}/locations/{row['location']}/clusters/{row['name']}"
        raise ApiError(409, f"Already exists: {where}/nodePools/{name}.")
    refuse_if_busy(world, row)
    check_pool(world, row, wanted)
    pool = node_pool(world, row, wanted)
    quota.check(world, geography.region_of(row["location"]), quota.need(pool, quota.pool_nodes(pool)))
    row["nodePools"].append(pool)
    row["status"] = "RECONCILING"
    return begin(world, "node-pool.create", row, "CREATE_NODE_POOL", pool=name)


@operations.effect("node-pool.create")
@operations.effect("node-pool.resize")
def _ready(world: World, record: Json) -> None:
    row, pool = _of_record(world, record)
    pool["status"] = row["status"] = "RUNNING"


@routes.add("DELETE", f"{_AT}/{{pool}}", "container.clusters.update")
def delete_pool(call: Call) -> Json:
    """Begin to delete a node pool."""
    row, pool = _pool(call)
    refuse_if_busy(call.world, row)
    pool["status"], row["status"] = "STOPPING", "RECONCILING"
    return begin(call.world, "node-pool.delete", row, "DELETE_NODE_POOL", pool=pool["name"])


@operations.effect("node-pool.delete")
def _deleted(world: World, record: Json) -> None:
    row, pool = _of_record(world, record)
    row["nodePools"].remove(pool)
    row["status"] = "RUNNING"


@routes.add("POST", f"{_AT}/{{pool}}:setSize", "container.clusters.update")
def set_size(call: Call) -> Json:
    """Begin to give a node pool another number of nodes per zone."""
    world = call.world
    row, pool = _pool(call)
    count = schema.parse(SERVICE, "SetNodePoolSizeRequest", call.body).get("nodeCount", 0)
    if count < 0:
        raise invalid("The node count must not be negative.", field="node_count")
    refuse_if_busy(world, row)
    more = (count - pool["initialNodeCount"]) * len(pool["locations"])
    if more > 0:
        quota.check(world, geography.region_of(row["location"]), quota.need(pool, more))
    pool["initialNodeCount"] = count
    pool["status"] = row["status"] = "RECONCILING"
    return begin(world, "node-pool.resize", row, "SET_NODE_POOL_SIZE", pool=pool["name"], pace="node-pool.create")
