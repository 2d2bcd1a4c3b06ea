"""The fleet: memberships and their long-running operations."""

from __future__ import annotations

import re
import uuid
from typing import Any

from backend.emulator.google import geography, operations, schema
from backend.emulator.google.errors import ApiError, failed_precondition, invalid
from backend.emulator.google.operations import stamp
from backend.emulator.google.routing import Call, Routes, page
from backend.emulator.world import World

Json = dict[str, Any]
API = "gkehub"
SERVICE = "gkehub.googleapis.com"
_AT = "/projects/{project}/locations/{location}"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LINK = re.compile(
    r"(https?:)?//[^/]+(/container)?(/v1)?/(?P<cluster>projects/(?P<project>[^/]+)/locations/[^/]+/clusters/[^/]+)"
)
routes = Routes(SERVICE, "/gkehub/v1", "/gkehub/v1beta")


def location_of(call: Call) -> str:
    """The location of the path, checked; `global`, a region, or `-` for all."""
    location = call.path["location"]
    if location not in {"global", "-"} and location not in geography.REGIONS:
        raise ApiError(404, f"Location '{location}' not found or access is unauthorized.")
    return location


def not_found(call: Call, kind: str, name: str) -> ApiError:
    """404 in the words of the fleet API."""
    return ApiError(
        404, f"Resource 'projects/{call.world.project}/locations/{call.path['location']}/{kind}/{name}' was not found"
    )


def exists(call: Call, kind: str, name: str) -> ApiError:
    """409 in the words of the fleet API."""
    return ApiError(
        409, f"Resource 'projects/{call.world.project}/locations/{call.path['location']}/{kind}/{name}' already exists"
    )


def begin(world: World, what: str, location: str, kind: str, name: str) -> Json:
    """Start an operation on a membership or a feature and show it."""
    target = f"projects/{world.project}/locations/{location}/{kind}/{name}"
    verb = what.rpartition(".")[2]
    pace = what if not what.endswith(".update") else f"{what.partition('.')[0]}.create"
    record = operations.start(
        world,
        api=API,
        location=location,
        what=what,
        key=f"{location}/{name}",
        pace=pace,
        verb=verb,
        target=target,
        kind=kind,
    )
    return operation_view(world, record)


def operation_view(world: World, record: Json) -> Json:
    """An operation as the fleet API shows it."""
    metadata = {
        "@type": "type.googleapis.com/google.cloud.gkehub.v1.OperationMetadata",
        "createTime": stamp(record["startedAt"]),
        "target": record["view"]["target"],
        "verb": record["view"]["verb"],
        "cancelRequested": False,
        "apiVersion": "v1",
    }
    name = f"projects/{world.project}/locations/{record['location']}/operations/{record['name']}"
    answer: Json = {"name": name, "metadata": metadata, "done": record["done"]}
    if record["done"]:
        metadata["endTime"] = stamp(record["doneAt"])
        answer |= {"error": record["error"]} if record["error"] else {"response": _response(world, record)}
    return answer


def _response(world: World, record: Json) -> Json:
    kind = record["view"]["kind"]
    row = world.tables[kind].get(record["key"])
    if record["view"]["verb"] == "delete" or row is None:
        return {"@type": "type.googleapis.com/google.protobuf.Empty"}
    message = {"memberships": "Membership", "features": "Feature"}[kind]
    return {"@type": f"type.googleapis.com/google.cloud.gkehub.v1.{message}", **row}


def refuse_if_busy(call: Call, key: str) -> None:
    """409 while another operation works on the same thing."""
    for one in operations.running(call.world, API, key):
        message = f"Operation '{one['name']}' on '{one['view']['target']}' is in progress."
        raise ApiError(409, message, status="ABORTED", reason="aborted")


@routes.add("GET", f"{_AT}/operations/{{operation}}", "gkehub.operations.get")
def get_operation(call: Call) -> Json:
    """One operation under way or done."""
    name = call.path["operation"]
    record = operations.find(call.world, API, name, location_of(call))
    if record is None:
        raise not_found(call, "operations", name)
    return operation_view(call.world, record)


@routes.add("GET", f"{_AT}/operations", "gkehub.operations.list")
def list_operations(call: Call) -> Json:
    """Operations of a location, or of all."""
    found = operations.of(call.world, API, location_of(call))
    chosen, following = page(call, [operation_view(call.world, one) for one in found])
    return {"operations": chosen} | ({"nextPageToken": following} if following else {})


@routes.add("GET", f"{_AT}/memberships", "gkehub.memberships.list")
def list_memberships(call: Call) -> Json:
    """Memberships of a location, or of all."""
    location = location_of(call)
    rows = [row for key, row in call.world.tables["memberships"].items() if location in {"-", key.partition("/")[0]}]
    chosen, following = page(call, rows)
    return ({"resources": chosen} if chosen else {}) | ({"nextPageToken": following} if following else {})


def _membership(call: Call) -> tuple[str, Json]:
    name = call.path["membership"]
    key = f"{location_of(call)}/{name}"
    row = call.world.tables["memberships"].get(key)
    if row is None:
        raise not_found(call, "memberships", name)
    return key, row


@routes.add("GET", f"{_AT}/memberships/{{membership}}", "gkehub.memberships.get")
def get_membership(call: Call) -> Json:
    """One membership."""
    return _membership(call)[1]


@routes.add("POST", f"{_AT}/memberships", "gkehub.memberships.create")
def create_membership(call: Call) -> Json:
    """Begin to register a cluster that exists and is in no other membership."""
    world, location, name = call.world, location_of(call), call.query.get("membershipId", "")
    if not _NAME.fullmatch(name) or location == "-":
        raise invalid(
            f"InvalidValueError for field membership_id: '{name}' is not a valid name.", field="membership_id"
        )
    wanted = schema.parse(SERVICE, "Membership", call.body)
    key = f"{location}/{name}"
    if key in world.tables["memberships"]:
        raise exists(call, "memberships", name)
    link = wanted.get("endpoint", {}).get("gkeCluster", {}).get("resourceLink", "")
    field = "endpoint.gke_cluster.resource_link"
    match = _LINK.fullmatch(link)
    if not match:
        raise invalid(f"InvalidValueError for field {field}: '{link}' is not the link of a GKE cluster.", field=field)
    cluster = _cluster_of(world, match["cluster"])
    if cluster is None:
        raise invalid(f"InvalidValueError for field {field}: cluster '{match['cluster']}' was not found.", field=field)
    for row in world.tables["memberships"].values():
        if row["endpoint"]["gkeCluster"]["resourceLink"].endswith(f"/{match['cluster']}"):
            raise failed_precondition(f"Cluster '{match['cluster']}' is already registered as '{row['name']}'.")
    now = stamp(world.now())
    row = {
        "name": f"projects/{world.project}/locations/{location}/memberships/{name}",
        **{field: wanted[field] for field in ("labels", "description", "externalId") if field in wanted},
        "endpoint": {"gkeCluster": {"resourceLink": link}},
        "state": {"code": "CREATING"},
        "createTime": now,
        "updateTime": now,
        "uniqueId": str(uuid.uuid4()),
    }
    if issuer := wanted.get("authority", {}).get("issuer"):
        row["authority"] = {
            "issuer": issuer,
            "workloadIdentityPool": f"{world.project}.svc.id.goog",
            "identityProvider": f"https://container.googleapis.com/v1/{match['cluster']}",
        }
    world.tables["memberships"][key] = row
    return begin(world, "membership.create", location, "memberships", name)


def _cluster_of(world: World, path: str) -> Json | None:
    _, project, _, location, _, name = path.split("/")
    row = world.tables["clusters"].get(f"{location}/{name}")
    return row if project in {world.project, world.project_number} else None


@operations.effect("membership.create")
def _created(world: World, record: Json) -> None:
    row = world.tables["memberships"][record["key"]]
    now = stamp(record["doneAt"])
    row["state"] = {"code": "READY"}
    row["updateTime"] = row["lastConnectionTime"] = now
    match = _LINK.fullmatch(row["endpoint"]["gkeCluster"]["resourceLink"])
    cluster = _cluster_of(world, match["cluster"]) if match else None
    if cluster is not None:
        version = f"v{cluster['currentMasterVersion']}"
        metadata = {"kubernetesApiServerVersion": version, "nodeProviderId": "gce", "updateTime": now}
        row["endpoint"]["kubernetesMetadata"] = metadata


@routes.add("PATCH", f"{_AT}/memberships/{{membership}}", "gkehub.memberships.update")
def patch_membership(call: Call) -> Json:
    """Begin to change the labels or the description of a membership."""
    key, row = _membership(call)
    wanted = schema.parse(SERVICE, "Membership", call.body)
    refuse_if_busy(call, key)
    mask = [field for field in call.query.get("updateMask", "").split(",") if field]
    for field in mask or sorted(wanted):
        if field not in {"labels", "description"}:
            raise invalid(f"InvalidValueError for field update_mask: '{field}' cannot be updated.", field="update_mask")
        if field in wanted:
            row[field] = wanted[field]
        else:
            row.pop(field, None)
    location, _, name = key.partition("/")
    row["state"], row["updateTime"] = {"code": "UPDATING"}, stamp(call.world.now())
    return begin(call.world, "membership.update", location, "memberships", name)


@operations.effect("membership.update")
def _patched(world: World, record: Json) -> None:
    world.tables["memberships"][record["key"]]["state"] = {"code": "READY"}


@routes.add("DELETE", f"{_AT}/memberships/{{membership}}", "gkehub.memberships.delete")
def delete_membership(call: Call) -> Json:
    """Begin to unregister a cluster."""
    key, row = _membership(call)
    refuse_if_busy(call, key)
    row["state"] = {"code": "DELETING"}
    location, _, name = key.partition("/")
    return begin(call.world, "membership.delete", location, "memberships", name)


@operations.effect("membership.delete")
def _deleted(world: World, record: Json) -> None:
    world.tables["memberships"].pop(record["key"], None)
