"""Compute Engine: operations, regional and global, to look at and to wait for."""

from __future__ import annotations

import asyncio
from typing import Any

from backend.emulator.google import geography, operations
from backend.emulator.google.compute import aggregated, identity, link, listing, not_found, region_view, routes
from backend.emulator.google.operations import stamp
from backend.emulator.google.routing import Call
from backend.emulator.world import World

Json = dict[str, Any]
API = "compute"
_LONGEST_WAIT = 120.0


def operation_view(world: World, record: Json) -> Json:
    """An operation as Compute Engine shows it."""
    region = record["location"]
    scope = f"regions/{region}" if region else "global"
    view = {
        "kind": "compute#operation",
        "id": identity(record["name"]),
        "name": record["name"],
        "operationType": record["view"]["type"],
        "targetLink": record["view"]["target"],
        "targetId": identity(record["view"]["target"]),
        "status": "DONE" if record["done"] else "RUNNING",
        "user": "rehearsal@example.com",
        "progress": 100 if record["done"] else 0,
        "insertTime": stamp(record["startedAt"]),
        "startTime": stamp(record["startedAt"]),
        "selfLink": link(world, f"{scope}/operations/{record['name']}"),
    }
    if region:
        view["region"] = link(world, f"regions/{region}")
    if record["done"]:
        view["endTime"] = stamp(record["doneAt"])
    if record["error"]:
        view["error"] = {"errors": [{"code": "INTERNAL_ERROR", "message": record["error"]["message"]}]}
        view |= {"httpErrorStatusCode": 503, "httpErrorMessage": "SERVICE UNAVAILABLE"}
    return view


def _operation(call: Call) -> Json:
    location = call.path.get("region", "")
    name = call.path["operation"]
    record = operations.find(call.world, API, name, location)
    if record is None:
        scope = f"regions/{location}" if location else "global"
        raise not_found(call.world, f"{scope}/operations/{name}")
    return record


@routes.add("GET", "/projects/{project}/global/operations/{operation}", "compute.globalOperations.get")
@routes.add("GET", "/projects/{project}/regions/{region}/operations/{operation}", "compute.regionOperations.get")
def get_operation(call: Call) -> Json:
    """An operation under way or done."""
    return operation_view(call.world, _operation(call))


@routes.add("POST", "/projects/{project}/global/operations/{operation}/wait", "compute.globalOperations.get")
@routes.add("POST", "/projects/{project}/regions/{region}/operations/{operation}/wait", "compute.regionOperations.get")
async def wait_operation(call: Call) -> Json:
    """The operation once it is done, or after two minutes as it is then."""
    record = _operation(call)
    await asyncio.sleep(max(0.0, min(_LONGEST_WAIT, record["doneAt"] - call.world.now())))
    await operations.settle(call.world)
    return operation_view(call.world, _operation(call))


def _views(world: World, region: str) -> list[Json]:
    return [operation_view(world, one) for one in operations.of(world, API) if one["location"] == region]


@routes.add("GET", "/projects/{project}/regions/{region}/operations", "compute.regionOperations.list")
def list_operations(call: Call) -> Json:
    """Operations of a region."""
    region = region_view(call)["name"]
    return listing(call, _views(call.world, region), "operationList", f"regions/{region}/operations")


@routes.add("GET", "/projects/{project}/global/operations", "compute.globalOperations.list")
def list_global_operations(call: Call) -> Json:
    """Operations that belong to no region."""
    return listing(call, _views(call.world, ""), "operationList", "global/operations")


@routes.add("GET", "/projects/{project}/aggregated/operations", "compute.globalOperations.list")
def aggregated_operations(call: Call) -> Json:
    """Operations of all regions, and global ones."""
    scopes = {"global": _views(call.world, "")}
    scopes |= {f"regions/{region}": _views(call.world, region) for region in sorted(geography.REGIONS)}
    return aggregated(call, "operationAggregatedList", "aggregated/operations", scopes, "operations")
