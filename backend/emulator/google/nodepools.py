"""Kubernetes Engine: node pools of a cluster.

A pool whose zone has no machines fails as the real one does: its operation goes on for about 35 minutes, says so in
its status after half a minute, and ends with an error that leaves the pool in the state ERROR.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from backend.emulator import faults
from backend.emulator.google import advice, geography, operations, quota, schema
from backend.emulator.google.clusterjson import node_pool
from backend.emulator.google.container import API, SERVICE, begin, refuse_if_busy, routes, row_of
from backend.emulator.google.errors import ApiError, invalid
from backend.emulator.google.poolrules import check_pool
from backend.emulator.google.routing import Call
from backend.emulator.world import World

Json = dict[str, Any]
_AT = "/projects/{project}/locations/{location}/clusters/{cluster}/nodePools"


def pool_of(call: Call) -> tuple[Json, Json]:
    """The rows of the cluster and the node pool that the path names; 404 as GKE says it."""
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
    row = row_of(call)
    pools = [_shown(call.world, row, pool) for pool in row["nodePools"]]
    return {"nodePools": pools} if pools else {}


@routes.add("GET", f"{_AT}/{{pool}}", "container.clusters.get")
def get_pool(call: Call) -> Json:
    """One node pool."""
    return _shown(call.world, *pool_of(call))


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
    short = _short(world, pool)
    if short is None:
        return begin(world, "node-pool.create", row, "CREATE_NODE_POOL", pool=name)
    told = _told(world, row, pool, short)
    return begin(world, "node-pool.create", row, "CREATE_NODE_POOL", pool=name, pace="node-pool.stockout", **told)


@operations.effect("node-pool.create")
def _ready(world: World, record: Json) -> None:
    row, pool = _of_record(world, record)
    pool["status"] = row["status"] = "RUNNING"
    failure = record["view"].get("failure")
    if failure is not None:
        pool |= {"status": "ERROR", "statusMessage": failure, "conditions": [_out_of_stock(failure)]}
        record["error"] = {"code": 8, "message": failure}


@operations.effect("node-pool.resize")
def _resized(world: World, record: Json) -> None:
    row, pool = _of_record(world, record)
    pool["status"] = row["status"] = "RUNNING"
    for told in ("statusMessage", "conditions"):
        pool.pop(told, None)
    failure = record["view"].get("failure")
    if failure is not None:
        pool |= {"status": "RUNNING_WITH_ERROR", "statusMessage": failure, "conditions": [_out_of_stock(failure)]}
        record["error"] = {"code": 8, "message": failure}


def _short(world: World, pool: Json) -> str | None:
    """The zone that cannot give a pool its GPU machines now; None when all can, or none are wanted."""
    if not pool["config"].get("accelerators") or quota.pool_nodes(pool) == 0:
        return None
    machine, zones = pool["config"]["machineType"], pool["locations"]
    gone = next((zone for zone in zones if advice.obtainability(world, zone, machine) == 0.0), None)
    return faults.stockout(world, zones, spent=True) or gone


def _out_of_stock(message: str) -> Json:
    return {"code": "GCE_STOCKOUT", "message": message, "canonicalCode": "RESOURCE_EXHAUSTED"}


def _shown(world: World, row: Json, pool: Json) -> Json:
    """A pool as it is shown: while it is being made, with what keeps it."""
    for warning in _warnings(world, row, pool):
        if warning["from"] <= world.now():
            return pool | {"statusMessage": warning["text"], "conditions": [_out_of_stock(warning["text"])]}
    return pool


def _warnings(world: World, row: Json, pool: Json) -> Iterator[Json]:
    for one in operations.running(world, API, f"{row['location']}/{row['name']}/{pool['name']}"):
        if "warning" in one["view"]:
            yield one["view"]["warning"]


def _told(world: World, row: Json, pool: Json, zone: str, *, running: int = 0) -> Json:
    """What an operation says of a zone that has no machines: early, and at its end."""
    seen_s = world.pace.seconds("node-pool.stockout-seen", _key(row, pool))
    early = _stockout(world, pool, zone, "38.19512474s", running)
    return {
        "warning": {"from": world.now() + seen_s, "text": early},
        "failure": _stockout(world, pool, zone, "35m", running),
    }


def _stockout(world: World, pool: Json, zone: str, after: str, running: int) -> str:
    """What GKE says of a pool whose machines a zone cannot give; `after` is how long it has tried, like `35m`."""
    count = int(pool["initialNodeCount"])
    url = next(one for one in pool["instanceGroupUrls"] if f"/zones/{zone}/" in one)
    group = re.sub(r".*/instanceGroupManagers/(.+)-grp$", r"\1", url)
    return (
        f"Google Compute Engine: Not all instances running in IGM after {after}. Expected {count}, running {running}, "
        f"transitioning {count - running}. Current errors: [GCE_STOCKOUT]: Instance '{group}-abcd' creation failed: "
        f"The zone 'projects/{world.project}/zones/{zone}' does not have enough resources available to fulfill the "
        "request.  Try a different zone, or try again later"
    )


@routes.add("DELETE", f"{_AT}/{{pool}}", "container.clusters.update")
def delete_pool(call: Call) -> Json:
    """Begin to delete a node pool."""
    row, pool = pool_of(call)
    refuse_if_busy(call.world, row)
    pool["status"], row["status"] = "STOPPING", "RECONCILING"
    return begin(call.world, "node-pool.delete", row, "DELETE_NODE_POOL", pool=pool["name"])


@operations.effect("node-pool.delete")
def _deleted(world: World, record: Json) -> None:
    row, pool = _of_record(world, record)
    row["nodePools"].remove(pool)
    world.tables["machines"].pop(_key(row, pool), None)
    row["status"] = "RUNNING"


@routes.add("POST", f"{_AT}/{{pool}}:setSize", "container.clusters.update")
def set_size(call: Call) -> Json:
    """Begin to give a node pool another number of nodes per zone."""
    world = call.world
    row, pool = pool_of(call)
    count = schema.parse(SERVICE, "SetNodePoolSizeRequest", call.body).get("nodeCount", 0)
    if count < 0:
        raise invalid("The node count must not be negative.", field="node_count")
    refuse_if_busy(world, row)
    had = _running(world, row, pool)
    if count > had:
        more = (count - had) * len(pool["locations"])
        quota.check(world, geography.region_of(row["location"]), quota.need(pool, more))
    pool["initialNodeCount"] = count
    pool["status"] = row["status"] = "RECONCILING"
    short = _short(world, pool) if count > had else None
    world.tables["machines"].pop(_key(row, pool), None)
    if short is None:
        return begin(world, "node-pool.resize", row, "SET_NODE_POOL_SIZE", pool=pool["name"], pace="node-pool.create")
    world.tables["machines"][_key(row, pool)] = dict.fromkeys(pool["locations"], had)
    told = _told(world, row, pool, short, running=had)
    return begin(
        world, "node-pool.resize", row, "SET_NODE_POOL_SIZE", pool=pool["name"], pace="node-pool.stockout", **told
    )


def _running(world: World, row: Json, pool: Json) -> int:
    """Machines that a pool has in each zone: as many as it was asked for, but for those that could not be had."""
    had: dict[str, int] = world.tables["machines"].get(_key(row, pool), {})
    return min(had.values(), default=int(pool["initialNodeCount"]))


def _key(row: Json, pool: Json) -> str:
    return f"{row['location']}/{row['name']}/{pool['name']}"


@routes.add("POST", f"{_AT}/{{pool}}:setAutoscaling", "container.clusters.update")
def set_autoscaling(call: Call) -> Json:
    """Begin to give a node pool other bounds to scale in."""
    row, pool = pool_of(call)
    wanted = schema.parse(SERVICE, "SetNodePoolAutoscalingRequest", call.body).get("autoscaling", {})
    refuse_if_busy(call.world, row)
    pool["autoscaling"] = wanted
    pool["status"] = row["status"] = "RECONCILING"
    return begin(call.world, "node-pool.resize", row, "UPDATE_CLUSTER", pool=pool["name"], pace="cluster.update")
