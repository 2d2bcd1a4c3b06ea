"""Node pools that grow when Pods ask: the cluster autoscaler, as far as flex-start pools need it.

What a pool has grown to is data, `tables["machines"]["LOCATION/CLUSTER/POOL"] = {ZONE: nodes}`, beside the node pool's
row, which never tells its present size. Invariant: a pool never has more nodes than its autoscaling allows, and gets
none in a zone that is out of stock.
"""

from __future__ import annotations

from typing import Any

from backend.emulator import faults
from backend.emulator.kube.controllers.nodes import WITH_MACHINES, gpus, node
from backend.emulator.kube.controllers.objects import name_of
from backend.emulator.kube.controllers.replicasets import finished
from backend.emulator.kube.controllers.scheduling import gpus_asked, refusal
from backend.emulator.kube.controllers.seams import Cluster, Object
from backend.emulator.kube.controllers.turn import Turn

POOL = "cloud.google.com/gke-nodepool"


def scales(pool: Object) -> bool:
    """Whether the pool's size follows what Pods ask for."""
    return bool(pool.get("autoscaling", {}).get("enabled")) and bool(pool.get("config", {}).get("flexStart"))


def most(pool: Object) -> int:
    """The largest number of nodes that the pool may have over all its zones."""
    limits, zones = pool["autoscaling"], len(pool["locations"])
    return int(limits.get("totalMaxNodeCount") or int(limits.get("maxNodeCount", 0)) * zones)


def needed(cluster: Cluster, pool: Object, project: str) -> int:
    """The nodes that living Pods need of the pool: those that run on it and those that wait for it."""
    count, _ = gpus(pool["config"])
    template = node("template", pool, pool["locations"][0], project)
    template["status"] = {"allocatable": {"nvidia.com/gpu": str(count)}}
    own = {name_of(each) for each in cluster.store.list("/nodes", labels={POOL: pool["name"]})}
    asked = 0
    for pod in cluster.store.list("/pods"):
        wants, place = gpus_asked(pod["spec"]), pod["spec"].get("nodeName")
        if wants and not finished(pod) and (place in own or (not place and refusal(pod["spec"], template, 0) is None)):
            asked += wants
    return min(-(-asked // count), most(pool)) if count else 0


def reconcile_pool(turn: Turn, cluster: Cluster, pool: Object) -> None:
    """Give one pool the nodes that Pods ask for, and take them back after a while without any."""
    world, key = turn.world, f"{cluster.key}/{pool['name']}"
    machines: dict[str, Any] = world.tables.setdefault("machines", {})
    grown: dict[str, int] = machines.get(key, {})
    have, want = sum(grown.values()), needed(cluster, pool, world.project)
    if want > have:
        zones = [zone for zone in pool["locations"] if faults.stockout(world, [zone]) is None]
        if zones and turn.waited("node-pool.create", key, f"from {have}"):
            sizes = {zone: grown.get(zone, 0) for zone in pool["locations"]}
            for _ in range(want - have):
                sizes[min(zones, key=lambda zone: sizes[zone])] += 1
            machines[key] = sizes
            world.touch()
    elif have and not want and turn.waited("node-pool.scale-down", key):
        del machines[key]
        world.touch()


async def reconcile(turn: Turn) -> None:
    """Bring every pool that scales to the size that Pods ask for, and forget those of pools that are gone."""
    rows = turn.world.tables.get("clusters", {})
    living = set()
    for cluster in turn.world.kube.values():
        for pool in rows.get(cluster.key, {}).get("nodePools", ()):
            if pool.get("status") in WITH_MACHINES:
                living.add(f"{cluster.key}/{pool['name']}")
            if scales(pool) and pool.get("status") in WITH_MACHINES:
                reconcile_pool(turn, cluster, pool)
    machines = turn.world.tables.setdefault("machines", {})
    for key in machines.keys() - living:
        del machines[key]
