"""The fleet: features, of which `multiclusteringress` is the one that brings multi-cluster Gateways.

A feature is a singleton of the fleet. Its operation is done soon; its own state goes to OK later, and only then does
the config cluster get its GatewayClasses.
"""

from __future__ import annotations

from typing import Any

from backend.emulator import faults
from backend.emulator.google import operations, schema
from backend.emulator.google.errors import failed_precondition, invalid
from backend.emulator.google.gkehub import SERVICE, begin, exists, location_of, not_found, refuse_if_busy, routes
from backend.emulator.google.iam import add_agent
from backend.emulator.google.operations import stamp
from backend.emulator.google.routing import Call, page
from backend.emulator.google.serviceusage import enabled
from backend.emulator.world import World

Json = dict[str, Any]
INGRESS = "multiclusteringress"
_AT = "/projects/{project}/locations/{location}/features"
_APIS = {
    INGRESS: "multiclusteringress.googleapis.com",
    "multiclusterservicediscovery": "multiclusterservicediscovery.googleapis.com",
}


def _shown(world: World, row: Json) -> Json:
    """The row with the state of every membership, which depends on the fleet."""
    if row.get("state", {}).get("state", {}).get("code") != "OK":
        return row
    at = row["state"]["state"]["updateTime"]
    states = {}
    for key, membership in world.tables["memberships"].items():
        *_, region, _, cluster = membership["endpoint"]["gkeCluster"]["resourceLink"].split("/")
        lost = faults.lost_connection(world, region, cluster)
        state = {"code": "ERROR", "description": "Lost connection"} if lost else {"code": "OK"}
        name = f"projects/{world.project_number}/locations/{key.replace('/', '/memberships/')}"
        states[name] = {"state": state | {"updateTime": at}}
    return row | ({"membershipStates": states} if states else {})


def _feature(call: Call) -> tuple[str, Json]:
    key = f"{location_of(call)}/{call.path['feature']}"
    row = call.world.tables["features"].get(key)
    if row is None:
        raise not_found(call, "features", call.path["feature"])
    return key, row


@routes.add("GET", _AT, "gkehub.features.list")
def list_features(call: Call) -> Json:
    """Features of the fleet."""
    location = location_of(call)
    rows = [row for key, row in call.world.tables["features"].items() if location in {"-", key.partition("/")[0]}]
    chosen, following = page(call, [_shown(call.world, row) for row in rows])
    return ({"resources": chosen} if chosen else {}) | ({"nextPageToken": following} if following else {})


@routes.add("GET", f"{_AT}/{{feature}}", "gkehub.features.get")
def get_feature(call: Call) -> Json:
    """One feature."""
    return _shown(call.world, _feature(call)[1])


@routes.add("POST", _AT, "gkehub.features.create")
def create_feature(call: Call) -> Json:
    """Begin to turn a feature on; multi-cluster ingress needs a config membership that exists."""
    world, location, name = call.world, location_of(call), call.query.get("featureId", "")
    if name not in _APIS or location != "global":
        raise invalid(
            f"InvalidValueError for field feature_id: '{name}' is not a feature of location '{location}'.",
            field="feature_id",
        )
    wanted = schema.parse(SERVICE, "Feature", call.body)
    key = f"{location}/{name}"
    if key in world.tables["features"]:
        raise exists(call, "features", name)
    if not enabled(world, _APIS[name]):
        raise failed_precondition(
            f"The feature {name} needs the service {_APIS[name]}, which is not enabled in project {world.project}."
        )
    if name == INGRESS:
        _check_config_membership(world, wanted)
        add_agent(world, f"service-{world.project_number}@gcp-sa-multiclusteringress.iam.gserviceaccount.com")
    now = stamp(world.now())
    world.tables["features"][key] = {
        "name": f"projects/{world.project}/locations/{location}/features/{name}",
        **{field: wanted[field] for field in ("labels", "spec") if field in wanted},
        "resourceState": {"state": "ENABLING"},
        "createTime": now,
        "updateTime": now,
    }
    return begin(world, "feature.create", location, "features", name)


def _check_config_membership(world: World, wanted: Json) -> None:
    field = "spec.multiclusteringress.config_membership"
    path: str = wanted.get("spec", {}).get("multiclusteringress", {}).get("configMembership", "")
    parts = path.split("/")
    known = len(parts) == 6 and parts[1] in {world.project, world.project_number}
    if not known or f"{parts[3]}/{parts[5]}" not in world.tables["memberships"]:
        raise invalid(f"InvalidValueError for field {field}: membership '{path}' was not found.", field=field)


@operations.effect("feature.create")
def _created(world: World, record: Json) -> None:
    row = world.tables["features"][record["key"]]
    row["resourceState"] = {"state": "ACTIVE"}
    row["updateTime"] = stamp(record["doneAt"])
    location, name = record["key"].split("/")
    view = {"createTime": row["createTime"]}
    operations.start(
        world, api="", location=location, what="feature.ready", key=f"{location}/{name}", pace="gatewayclass", **view
    )


@operations.effect("feature.ready")
def _ready(world: World, record: Json) -> None:
    row = world.tables["features"].get(record["key"])
    if row is not None and row["createTime"] == record["view"]["createTime"]:
        row["state"] = {"state": {"code": "OK", "description": "Ready to use", "updateTime": stamp(record["doneAt"])}}


@routes.add("PATCH", f"{_AT}/{{feature}}", "gkehub.features.update")
def patch_feature(call: Call) -> Json:
    """Begin to change the config membership or the labels."""
    world = call.world
    key, row = _feature(call)
    wanted = schema.parse(SERVICE, "Feature", call.body)
    refuse_if_busy(call, key)
    mask = {field.replace("_", "").lower() for field in call.query.get("updateMask", "").split(",") if field}
    unknown = mask - {"labels", "spec", "spec.multiclusteringress", "spec.multiclusteringress.configmembership"}
    if unknown:
        raise invalid(
            f"InvalidValueError for field update_mask: '{min(unknown)}' cannot be updated.", field="update_mask"
        )
    if "labels" in (mask or wanted):
        row["labels"] = wanted.get("labels", {})
    if any(field.startswith("spec") for field in mask or wanted):
        if key == f"global/{INGRESS}":
            _check_config_membership(world, wanted)
        row["spec"] = wanted.get("spec", {})
    location, _, name = key.partition("/")
    row["resourceState"], row["updateTime"] = {"state": "UPDATING"}, stamp(world.now())
    return begin(world, "feature.update", location, "features", name)


@operations.effect("feature.update")
def _patched(world: World, record: Json) -> None:
    world.tables["features"][record["key"]]["resourceState"] = {"state": "ACTIVE"}


@routes.add("DELETE", f"{_AT}/{{feature}}", "gkehub.features.delete")
def delete_feature(call: Call) -> Json:
    """Begin to turn a feature off."""
    key, row = _feature(call)
    refuse_if_busy(call, key)
    row["resourceState"] = {"state": "DISABLING"}
    location, _, name = key.partition("/")
    return begin(call.world, "feature.delete", location, "features", name)


@operations.effect("feature.delete")
def _deleted(world: World, record: Json) -> None:
    world.tables["features"].pop(record["key"], None)
