"""Spot machines that Google takes back: half a minute of notice, then the machine is gone, later another comes.

Which machines are on their way out or away is data, `tables["preempted"][NODE] = {"cluster", "zone", "at", "gone"}`.
The instance group makes another one under the same name as soon as the zone has one (node-pool.create). Invariant: a
machine that was taken back is away for a pass at least, whatever the speed.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from backend.emulator import faults
from backend.emulator.kube.controllers.nodes import MANAGER, wanted
from backend.emulator.kube.controllers.objects import Condition, conditions, name_of
from backend.emulator.kube.controllers.replicasets import finished
from backend.emulator.kube.controllers.seams import Object, World
from backend.emulator.kube.controllers.turn import Turn

NOTICE_S = 30.0
"""Seconds between the notice and the end (cloud.google.com/compute/docs/instances/spot)."""
TAINT: Object = {"key": "cloud.google.com/impending-node-termination", "effect": "NoSchedule"}
"""What GKE puts on a node that is about to be terminated."""


def candidates(turn: Turn) -> dict[str, tuple[str, str]]:
    """Node name -> (cluster key, zone) of every Spot machine that is there, those with the most Pods first."""
    world, found, placed = turn.world, {}, Counter[str]()
    grown, gone = world.tables.get("machines", {}), world.tables.get("preempted", {})
    for key, cluster in sorted(world.kube.items()):
        placed.update(each["spec"].get("nodeName", "") for each in cluster.store.list("/pods") if not finished(each))
        there = {name_of(each) for each in cluster.store.list("/nodes")}
        for name, (pool, zone) in wanted(key, world.tables.get("clusters", {}).get(key, {}), grown).items():
            if pool.get("config", {}).get("spot") and name in there and name not in gone:
                found[name] = key, zone
    return dict(sorted(found.items(), key=lambda each: (-placed[each[0]], each[0])))


def take_back(turn: Turn) -> None:
    """Give notice to as many machines as faults ask for."""
    world, machines = turn.world, candidates(turn)
    while (asked := faults.preemption(world, {zone for _, zone in machines.values()})) is not None:
        fault, zones = asked
        name = next(name for name, (_, zone) in machines.items() if zone in zones)
        key, zone = machines.pop(name)
        faults.spend(world, fault)
        world.tables.setdefault("preempted", {})[name] = {"cluster": key, "zone": zone, "at": turn.now, "gone": False}
        warn(turn, key, name)


def warn(turn: Turn, key: str, name: str) -> None:
    """Make a Node say that its machine ends."""
    store = turn.world.kube[key].store
    node = store.get("/nodes", None, name)
    if node is None:
        return
    taints = [*node["spec"].get("taints", ()), TAINT]
    node = store.replace("/nodes", {**node, "spec": {**node["spec"], "taints": taints}}, manager=MANAGER)
    ready = Condition("Ready", "False", "KubeletNotReady", "node is shutting down")
    others = [each for each in node["status"]["conditions"] if each["type"] != "Ready"]
    found = conditions(node["status"]["conditions"], [ready], turn.now)
    store.set_status("/nodes", None, name, {**node["status"], "conditions": [*others, *found]}, manager=MANAGER)


def ending(world: World, name: str) -> bool:
    """Whether a Node's machine was given notice: its Pods end."""
    return name in world.tables.get("preempted", {})


async def reconcile(turn: Turn) -> None:
    """Take machines back, and give them back."""
    world = turn.world
    preempted: dict[str, Any] = world.tables.setdefault("preempted", {})
    for name, one in list(preempted.items()):
        if one["cluster"] not in world.kube:
            del preempted[name]
        elif one["gone"] and faults.stockout(world, [one["zone"]]) is None:
            key = f"{one['cluster']}/{name}"
            if turn.waited("node-pool.create", key, f"{one['at']}"):
                del preempted[name]
    take_back(turn)
    for one in preempted.values():
        end = one["at"] + world.pace.played(NOTICE_S)
        if one["gone"]:
            continue
        if turn.now >= end:
            one["gone"] = True
            world.touch()
        else:
            turn.wake_at(end)
