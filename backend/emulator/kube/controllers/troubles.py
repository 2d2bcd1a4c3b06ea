"""What hits whole clusters: a region that is down, model servers that are slow, and a real model that answers.

A cluster that is down keeps its objects and its processes; nobody reaches them, watches of it end, and its controllers
stand still until it is back. Invariant: how model servers answer is told in every pass, so it follows faults, settings
and restarts alike.
"""

from __future__ import annotations

import math

from backend.emulator import faults, settings
from backend.emulator.kube.controllers.turn import Turn


async def reconcile(turn: Turn) -> None:
    """Tell model servers how to answer, and end the watches of clusters that are down."""
    world = turn.world
    change = faults.next_turn(world)
    if change is not None:
        turn.wake_at(change)
    world.kubelet.real_model(settings.value(world, settings.REAL_MODEL) == settings.ON)
    for key, cluster in world.kube.items():
        location, _, name = key.partition("/")
        if faults.down(world, location):
            world.kubelet.pace(key, math.inf)
            cluster.store.history.close()
        else:
            world.kubelet.pace(key, faults.token_slowness(world, location, name))
