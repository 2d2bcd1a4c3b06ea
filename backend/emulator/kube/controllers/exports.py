"""Exported InferencePools to GCPInferencePoolImports on the config cluster, and to network endpoint groups.

A pool is exported by the annotation `networking.gke.io/export: "True"` on a cluster of the fleet. Invariant: an
import exists exactly while some member exports the pool of its namespace and name.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence

from backend.emulator.kube.controllers import compute
from backend.emulator.kube.controllers.fleet import MANAGER, Member, config_cluster, members
from backend.emulator.kube.controllers.objects import (
    BASE36,
    GATEWAY_CONTROLLER,
    deleting,
    is_true,
    name_of,
    namespace_of,
    path_of,
    suffix,
    uid_of,
)
from backend.emulator.kube.controllers.seams import Cluster, Object, Store, World
from backend.emulator.kube.controllers.turn import Turn
from backend.emulator.kube.selectors import matches

EXPORT = "networking.gke.io/export"
POOLS = "inference.networking.k8s.io/inferencepools"
IMPORTS = "networking.gke.io/gcpinferencepoolimports"


def exported(pool: Object) -> bool:
    """Whether the pool asks to be exported."""
    return pool["metadata"].get("annotations", {}).get(EXPORT) == "True" and not deleting(pool)


def exporters(world: World, namespace: str, name: str) -> dict[str, tuple[Cluster, Object]]:
    """Cluster key -> (cluster, pool) of every member that exports the pool."""
    found = {}
    for key, member in members(world).items():
        pool = member.cluster.store.get(POOLS, namespace, name)
        if pool is not None and exported(pool):
            found[key] = member.cluster, pool
    return found


def endpoints(store: Store, pool: Object) -> list[Object]:
    """The ready Pods that the pool selects, by name."""
    selector = pool["spec"]["selector"]
    ready = (pod for pod in store.list("/pods", namespace_of(pool)) if is_true(pod, "Ready") and not deleting(pod))
    return sorted((pod for pod in ready if matches(selector, pod["metadata"].get("labels", {}))), key=name_of)


def ports(pool: Object) -> list[int]:
    """The pool's target ports."""
    return [each["number"] for each in pool["spec"]["targetPorts"]]


def zone_of(node: Object) -> str:
    """The zone that a Node is in."""
    return str(node["metadata"]["labels"]["topology.kubernetes.io/zone"])


def neg_keys(cluster: Cluster, pool: Object) -> list[str]:
    """Keys ("ZONE/NAME") of the network endpoint groups of an exported pool: one for each port in each zone with
    Nodes.
    """
    zones = {zone_of(each) for each in cluster.store.list("/nodes")}
    return [f"{zone}/{neg_name(cluster.key, pool, port)}" for zone in sorted(zones) for port in ports(pool)]


def neg_name(cluster: str, pool: Object, port: int) -> str:
    """The name that a pool's network endpoint groups have in every zone."""
    fingerprint = suffix(8, cluster, path_of(pool), port, alphabet=BASE36[:16])
    head = f"k8s1-{suffix(8, cluster, alphabet=BASE36[:16])}-{path_of(pool).replace('/', '-')}"
    tail = f"-{port}-{fingerprint}"
    return head[: compute.LONGEST_NAME - len(tail)] + tail


def cluster_uid(cluster: Cluster) -> str:
    """What GKE tells clusters apart by: the uid of their kube-system namespace."""
    system = cluster.store.get("/namespaces", None, "kube-system")
    return uid_of(system) if system else cluster.key


def neg_description(cluster: Cluster, pool: Object) -> str:
    """What ties an endpoint group to the pool and the cluster that it was made for."""
    tie = {"cluster-uid": cluster_uid(cluster), "namespace": namespace_of(pool), "service-name": name_of(pool)}
    return json.dumps(tie)


def neg_rows(turn: Turn, cluster: Cluster, pool: Object) -> dict[str, Object]:
    """The network endpoint groups of an exported pool."""
    pods, nodes = endpoints(cluster.store, pool), cluster.store.list("/nodes")
    zones = {name_of(node): zone_of(node) for node in nodes}
    return {
        key: {
            "networkEndpointType": "GCE_VM_IP_PORT",
            "network": compute.network_url(turn.world, cluster.key),
            "size": sum(zones.get(pod["spec"].get("nodeName", "")) == key.partition("/")[0] for pod in pods),
        }
        for key in neg_keys(cluster, pool)
    }


def settle_groups(turn: Turn, cluster: Cluster, pools: Sequence[Object]) -> None:
    """Make a cluster's network endpoint groups those of these exported pools."""
    wanted = {neg_description(cluster, pool): neg_rows(turn, cluster, pool) for pool in pools}
    uid = cluster_uid(cluster)
    present = (row["description"] for row in turn.world.tables.get("networkEndpointGroups", {}).values())
    ours = {each for each in present if json.loads(each).get("cluster-uid") == uid}
    for description in sorted(ours | wanted.keys()):
        compute.settle(turn, description, {"networkEndpointGroups": wanted.get(description, {})})


def status(exporting: list[str]) -> Object:
    """An import's status, in the shape of upstream's InferencePoolImport: which memberships export the pool."""
    return {"controllers": [{"name": GATEWAY_CONTROLLER, "exportingClusters": [{"name": each} for each in exporting]}]}


def wanted_imports(turn: Turn, fleet: Mapping[str, Member]) -> dict[tuple[str, str], list[str]]:
    """(namespace, name) -> the memberships whose export has come through by now."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for key, (membership, cluster) in fleet.items():
        for pool in cluster.store.list(POOLS):
            if exported(pool) and turn.waited("import", f"{key}/{path_of(pool)}", uid_of(pool)):
                found[namespace_of(pool), name_of(pool)].append(membership)
    return found


async def reconcile(turn: Turn) -> None:
    """Bring imports and endpoint groups in line with what the fleet's clusters export."""
    config = config_cluster(turn.world)
    if config is None:
        return
    fleet = members(turn.world)
    wanted = wanted_imports(turn, fleet)
    store = config.store
    for each in store.list(IMPORTS):
        if (namespace_of(each), name_of(each)) not in wanted:
            store.delete(IMPORTS, namespace_of(each), name_of(each))
    for (namespace, name), memberships in sorted(wanted.items()):
        found = store.get(IMPORTS, namespace, name)
        if found is None:
            metadata = {"name": name, "namespace": namespace}
            obj = {"apiVersion": "networking.gke.io/v1", "kind": "GCPInferencePoolImport", "metadata": metadata}
            found = store.create(IMPORTS, obj, manager=MANAGER)
        if found.get("status") != status(memberships):
            store.set_status(IMPORTS, namespace, name, status(memberships), manager=MANAGER)
    for membership, cluster in fleet.values():
        pools = cluster.store.list(POOLS)
        through = [pool for pool in pools if membership in wanted.get((namespace_of(pool), name_of(pool)), ())]
        settle_groups(turn, cluster, through)
