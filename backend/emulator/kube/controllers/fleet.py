"""The fleet: which clusters are members, which of them holds the multi-cluster configuration, and the GatewayClasses
that follow.

The multi-cluster controller runs while the feature `multiclusteringress` is enabled and OK, on the cluster that its
config membership names. Invariant: a `-mc` GatewayClass exists only there.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from backend.emulator.kube.controllers.objects import GATEWAY_CONTROLLER, Condition, conditions, name_of
from backend.emulator.kube.controllers.seams import Cluster, Object, Store, World
from backend.emulator.kube.controllers.turn import Turn

FEATURE = "global/multiclusteringress"
CLASSES = "gateway.networking.k8s.io/gatewayclasses"
CROSS_REGION_INTERNAL = "gke-l7-cross-regional-internal-managed-mc"
MULTI_CLUSTER_CLASSES = (
    CROSS_REGION_INTERNAL,
    "gke-l7-global-external-managed-mc",
    "gke-l7-gxlb-mc",
    "gke-l7-regional-external-managed-mc",
    "gke-l7-rilb-mc",
)
"""What the multi-cluster controller installs
(cloud.google.com/kubernetes-engine/docs/how-to/enabling-multi-cluster-gateways).
"""
SINGLE_CLUSTER_CLASSES = (
    "gke-l7-global-external-managed",
    "gke-l7-gxlb",
    "gke-l7-regional-external-managed",
    "gke-l7-rilb",
)
"""What every cluster with the Gateway API has (same page as above)."""
MANAGER = "networking.gke.io"


class Member(NamedTuple):
    """A cluster of the fleet."""

    membership: str
    """The membership's own name, without its location."""
    cluster: Cluster


def cluster_key(resource_link: str) -> str | None:
    """ "LOCATION/NAME" of a GKE cluster link, whatever host it starts with; None when it is no such link."""
    found = re.search(r"/projects/[^/]+/(?:locations|zones)/([^/]+)/clusters/([^/]+)$", resource_link)
    return f"{found[1]}/{found[2]}" if found else None


def linked(world: World, membership: Object) -> Cluster | None:
    """The running cluster behind a membership."""
    key = cluster_key(membership.get("endpoint", {}).get("gkeCluster", {}).get("resourceLink", ""))
    return world.kube.get(key) if key else None


def members(world: World) -> dict[str, Member]:
    """The fleet's running clusters by key; a membership counts once it was created, also while it is updated."""
    found = {}
    for key, membership in sorted(world.tables.get("memberships", {}).items()):
        cluster = linked(world, membership)
        if cluster is not None and membership.get("state", {}).get("code") != "CREATING":
            found[cluster.key] = Member(key.rpartition("/")[2], cluster)
    return found


def config_cluster(world: World) -> Cluster | None:
    """The cluster that holds the Gateways; None while the feature is not OK or the Gateway API is off there."""
    feature = world.tables.get("features", {}).get(FEATURE)
    if feature is None or feature.get("state", {}).get("state", {}).get("code") != "OK":
        return None
    link = feature.get("spec", {}).get("multiclusteringress", {}).get("configMembership", "")
    location, _, name = link.partition("/locations/")[2].partition("/memberships/")
    membership = world.tables.get("memberships", {}).get(f"{location}/{name}")
    cluster = linked(world, membership) if membership is not None else None
    return cluster if cluster is not None and gateway_api(world, cluster.key) else None


def gateway_api(world: World, key: str) -> bool:
    """Whether GKE manages the Gateway API on this cluster."""
    row = world.tables.get("clusters", {}).get(key, {})
    channel = row.get("networkConfig", {}).get("gatewayApiConfig", {}).get("channel")
    return channel in ("CHANNEL_STANDARD", "CHANNEL_EXPERIMENTAL")


def gateway_class(name: str) -> Object:
    """A GatewayClass of GKE's controller."""
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": name},
        "spec": {"controllerName": GATEWAY_CONTROLLER, "description": f"GKE Gateway class {name}"},
    }


def install(store: Store, names: set[str], now: float) -> None:
    """Make GKE's own GatewayClasses on a cluster exactly `names`, each Accepted."""
    ours = {
        name_of(each)
        for each in store.list(CLASSES)
        if each["spec"]["controllerName"] == GATEWAY_CONTROLLER
        and name_of(each) in (*MULTI_CLUSTER_CLASSES, *SINGLE_CLUSTER_CLASSES)
    }
    for name in sorted(ours - names):
        store.delete(CLASSES, None, name)
    for name in sorted(names - ours):
        store.create(CLASSES, gateway_class(name), manager=MANAGER)
    for name in sorted(names):
        found = store.get(CLASSES, None, name)
        if found is None:
            continue
        accepted = Condition("Accepted", "True", "Accepted")
        previous = found.get("status", {}).get("conditions", ())
        generation = found["metadata"].get("generation", 1)
        status = {"conditions": conditions(previous, [accepted], now, generation=generation)}
        if status != found.get("status"):
            store.set_status(CLASSES, None, name, status, manager=MANAGER)


async def reconcile(turn: Turn) -> None:
    """Bring the GatewayClasses of every cluster in line with its Gateway API and with the fleet's feature."""
    config = config_cluster(turn.world)
    for cluster in turn.world.kube.values():
        if not gateway_api(turn.world, cluster.key):
            continue
        names = set(SINGLE_CLUSTER_CLASSES)
        if cluster is config:
            names |= set(MULTI_CLUSTER_CLASSES)
        install(cluster.store, names, turn.now)
