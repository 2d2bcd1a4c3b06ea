"""Kubernetes Engine: clusters and their operations.

A cluster's location is where it was created: the zone of a regional cluster knows nothing of it. While an operation
works on a cluster, any other change to it is refused. A cluster's Kubernetes API server runs from the moment the
cluster is RUNNING until it is deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backend.emulator.google import geography, networks, operations, quota, refusals, schema
from backend.emulator.google.clusterjson import (
    BASE,
    cluster_row,
    label_fingerprint,
    node_pool,
    shown,
)
from backend.emulator.google.clusterserver import features, open_cluster
from backend.emulator.google.errors import ApiError, failed_precondition, invalid
from backend.emulator.google.operations import stamp
from backend.emulator.google.poolrules import NAME, check_pool
from backend.emulator.google.routing import Call, Routes
from backend.emulator.google.subnetworks import free_range
from backend.emulator.google.versions import resolve_version, server_config
from backend.emulator.world import World

Json = dict[str, Any]
API = "container"
SERVICE = "container.googleapis.com"
_AT = "/projects/{project}/locations/{location}"
_DOING = {
    "cluster.create": "creating",
    "cluster.update": "updating",
    "cluster.delete": "deleting",
    "node-pool.create": "creating a node pool for",
    "node-pool.delete": "deleting a node pool of",
    "node-pool.resize": "resizing a node pool of",
    "node-pool.update": "updating a node pool of",
    "cluster.label": "updating",
    "cluster.upgrade": "upgrading",
    "node-pool.upgrade": "upgrading a node pool of",
}
_UPDATES = {
    "desiredGatewayApiConfig": ("networkConfig", "gatewayApiConfig"),
    "desiredWorkloadIdentityConfig": ("workloadIdentityConfig",),
    "desiredMonitoringConfig": ("monitoringConfig",),
    "desiredLoggingConfig": ("loggingConfig",),
    "desiredReleaseChannel": ("releaseChannel",),
    "desiredPodAutoscaling": ("podAutoscaling",),
    "desiredLocations": ("locations",),
    "desiredControlPlaneEndpointsConfig": ("controlPlaneEndpointsConfig",),
}
routes = Routes(SERVICE, "/container/v1")
Change = Callable[[Call, Json, Json], Json]
CHANGES: dict[str, Change] = {}
"""Fields of an update that are more than a value in the cluster's row: what begins each change and shows its operation,
given the call, the row and the update."""


def location_of(call: Call, *, anywhere: bool = False) -> str:
    """The location of the path, checked; `-` where a list may span all."""
    location = call.path["location"]
    if not geography.zones_of(location) and not (anywhere and location == "-"):
        raise ApiError(400, f'Location "{location}" does not exist.')
    return location


def row_of(call: Call) -> Json:
    """The row of the cluster that the path names; 404 as GKE says it, also for the zone of a regional cluster."""
    location, name = location_of(call), call.path["cluster"]
    row = call.world.tables["clusters"].get(f"{location}/{name}")
    if row is None:
        raise ApiError(404, f"Not found: projects/{call.world.project}/locations/{location}/clusters/{name}.")
    found: Json = row
    return found


def refuse_if_busy(world: World, row: Json) -> None:
    """400 while another operation works on the cluster."""
    for one in operations.running(world, API, f"{row['location']}/{row['name']}"):
        doing = f"{_DOING[one['what']]} cluster {row['name']}"
        raise failed_precondition(
            f"Operation {one['name']} is currently {doing}. Please wait and try again once it is done."
        )


def begin(world: World, what: str, row: Json, kind: str, *, pool: str = "", pace: str = "", **view: Any) -> Json:
    """Start an operation on a cluster or node pool and show it."""
    location = row["location"]
    key = f"{location}/{row['name']}" + (f"/{pool}" if pool else "")
    target = f"{BASE}/projects/{world.project_number}/locations/{location}/clusters/{row['name']}"
    target += f"/nodePools/{pool}" if pool else ""
    record = operations.start(
        world, api=API, location=location, what=what, key=key, pace=pace, type=kind, target=target, **view
    )
    return operation_view(world, record)


def operation_view(world: World, record: Json) -> Json:
    """An operation as GKE shows it."""
    location, name = record["location"], record["name"]
    view = {
        "name": name,
        "zone": location,
        "location": location,
        "operationType": record["view"]["type"],
        "status": "DONE" if record["done"] else "RUNNING",
        "selfLink": f"{BASE}/projects/{world.project_number}/locations/{location}/operations/{name}",
        "targetLink": record["view"]["target"],
        "startTime": stamp(record["startedAt"]),
    }
    warning = record["view"].get("warning")
    if warning and not record["done"] and warning["from"] <= world.now():
        view["statusMessage"] = warning["text"]
    if record["done"]:
        view["endTime"] = stamp(record["doneAt"])
        if record["error"]:
            view |= {"error": record["error"], "statusMessage": record["error"]["message"]}
    return view


@routes.add("GET", f"{_AT}/serverConfig", "container.clusters.list")
def get_server_config(call: Call) -> Json:
    """The versions that a location offers."""
    return server_config(call.world, location_of(call))


@routes.add("GET", f"{_AT}/clusters", "container.clusters.list")
def list_clusters(call: Call) -> Json:
    """Clusters of a location, or of all; a region that gives no answer is told of by its zones."""
    location = location_of(call, anywhere=True)
    silent = refusals.silent_regions(call.world, "cluster") if location == "-" else []
    rows = [row for row in call.world.tables["clusters"].values() if location in {"-", row["location"]}]
    found = [shown(call.world, row) for row in rows if geography.region_of(row["location"]) not in silent]
    missing = sorted(zone for region in silent for zone in geography.zones_of(region))
    return ({"clusters": found} if found else {}) | ({"missingZones": missing} if missing else {})


@routes.add("GET", f"{_AT}/clusters/{{cluster}}", "container.clusters.get")
def get_cluster(call: Call) -> Json:
    """One cluster."""
    return shown(call.world, row_of(call))


@routes.add("POST", f"{_AT}/clusters", "container.clusters.create")
def create_cluster(call: Call) -> Json:
    """Begin to make a cluster with its first node pools."""
    world, location = call.world, location_of(call)
    wanted = schema.parse(SERVICE, "CreateClusterRequest", call.body).get("cluster", {})
    name = wanted.get("name", "")
    if not NAME.fullmatch(name):
        message = f'Invalid value for field "cluster.name": "{name}": 1 to 40 lower case letters, digits and hyphens.'
        raise invalid(message, field="cluster.name")
    key = f"{location}/{name}"
    if key in world.tables["clusters"]:
        raise ApiError(409, f"Already exists: projects/{world.project}/locations/{location}/clusters/{name}.")
    channel = wanted.get("releaseChannel", {}).get("channel", "")
    version = resolve_version(world, location, channel, wanted.get("initialClusterVersion", ""))
    if version is None:
        raise invalid(f'Master version "{wanted["initialClusterVersion"]}" is unsupported.')
    pool_id = wanted.get("workloadIdentityConfig", {}).get("workloadPool", f"{world.project}.svc.id.goog")
    if pool_id != f"{world.project}.svc.id.goog":
        raise invalid(f'Workload Identity pool "{pool_id}" is not the pool of project "{world.project}".')
    network, subnetwork = networks.subnetwork_for(world, geography.region_of(location), wanted)
    placed = wanted | {"network": network, "subnetwork": subnetwork}
    row = cluster_row(world, location, placed, version=version, pod_range=free_range(world, 14, network))
    pools = wanted.get("nodePools") or [
        {
            "name": "default-pool",
            "initialNodeCount": wanted.get("initialNodeCount", 0),
            "config": wanted.get("nodeConfig", {}),
        }
    ]
    for pool in pools:
        check_pool(world, row, pool)
        row["nodePools"].append(node_pool(world, row, pool))
    region = geography.region_of(location)
    needs = [quota.need(pool, quota.pool_nodes(pool)) for pool in row["nodePools"]]
    quota.check(world, region, sum(needs[1:], needs[0]))
    world.tables["clusters"][key] = row
    return begin(world, "cluster.create", row, "CREATE_CLUSTER")


@operations.effect("cluster.create")
async def _created(world: World, record: Json) -> None:
    row = world.tables["clusters"][record["key"]]
    await open_cluster(world, row)
    row["status"] = "RUNNING"
    for pool in row["nodePools"]:
        pool["status"] = "RUNNING"


@routes.add("DELETE", f"{_AT}/clusters/{{cluster}}", "container.clusters.delete")
def delete_cluster(call: Call) -> Json:
    """Begin to delete a cluster with all in it."""
    row = row_of(call)
    refuse_if_busy(call.world, row)
    row["status"] = "STOPPING"
    return begin(call.world, "cluster.delete", row, "DELETE_CLUSTER")


@operations.effect("cluster.delete")
async def _deleted(world: World, record: Json) -> None:
    world.tables["clusters"].pop(record["key"], None)
    if cluster := world.kube.pop(record["key"], None):
        await cluster.stop()
        await world.kubelet.forget(record["key"])


@routes.add("PUT", f"{_AT}/clusters/{{cluster}}", "container.clusters.update")
def update_cluster(call: Call) -> Json:
    """Begin to change one thing of a cluster."""
    world, row = call.world, row_of(call)
    update = schema.parse(SERVICE, "UpdateClusterRequest", call.body).get("update", {})
    if not update:
        raise invalid("Must specify a field to update.")
    if len(update.keys() - {"desiredNodePoolId"}) > 1:
        raise invalid(
            f"Only one update can be applied to a cluster with each request, not {', '.join(sorted(update))}."
        )
    field = max(update, key=lambda one: one != "desiredNodePoolId")
    if field not in _UPDATES and field not in CHANGES:
        raise ApiError(501, f"The emulated Kubernetes Engine does not update {field}.")
    refuse_if_busy(world, row)
    if field in CHANGES:
        return CHANGES[field](call, row, update)
    row["status"] = "RECONCILING"
    return begin(world, "cluster.update", row, "UPDATE_CLUSTER", field=field, value=update[field])


@operations.effect("cluster.update")
def _updated(world: World, record: Json) -> None:
    row = world.tables["clusters"][record["key"]]
    *above, last = _UPDATES[record["view"]["field"]]
    target = row
    for step in above:
        target = target[step]
    value = record["view"]["value"]
    target[last] = _merged(target[last], value) if last == "controlPlaneEndpointsConfig" else value
    row["status"] = "RUNNING"
    if cluster := world.kube.get(record["key"]):
        cluster.install(features(row))


def _merged(present: Json, update: Json) -> Json:
    """What is there with the fields of an update over it, message by message."""
    both = {name: (present[name], value) for name, value in update.items() if isinstance(present.get(name), dict)}
    return present | update | {name: _merged(one, other) for name, (one, other) in both.items()}


@routes.add("POST", f"{_AT}/clusters/{{cluster}}:setResourceLabels", "container.clusters.update")
def set_labels(call: Call) -> Json:
    """Replace the labels of a cluster; the fingerprint of the present ones must be named."""
    row = row_of(call)
    wanted = schema.parse(SERVICE, "SetLabelsRequest", call.body)
    if wanted.get("labelFingerprint", "") != row["labelFingerprint"]:
        raise failed_precondition("Labels could not be set due to fingerprint mismatch.")
    refuse_if_busy(call.world, row)
    row["resourceLabels"] = wanted.get("resourceLabels", {})
    row["labelFingerprint"] = label_fingerprint(row["resourceLabels"])
    return begin(call.world, "cluster.label", row, "UPDATE_CLUSTER", pace="membership.create")


@operations.effect("cluster.label")
def _labelled(_world: World, _record: Json) -> None:
    """Labels count from the request on."""


@routes.add("GET", f"{_AT}/operations", "container.operations.list")
def list_operations(call: Call) -> Json:
    """Operations of a location, or of all."""
    found = operations.of(call.world, API, location_of(call, anywhere=True))
    return {"operations": [operation_view(call.world, one) for one in found]} if found else {}


@routes.add("GET", f"{_AT}/operations/{{operation}}", "container.operations.get")
def get_operation(call: Call) -> Json:
    """One operation under way or done."""
    location, name = location_of(call), call.path["operation"]
    record = operations.find(call.world, API, name, location)
    if record is None:
        raise ApiError(404, f"Not found: projects/{call.world.project}/locations/{location}/operations/{name}.")
    return operation_view(call.world, record)
