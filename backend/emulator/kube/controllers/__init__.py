"""Small controllers that do what GKE's do: from the objects that people apply to the objects, states and addresses that
follow.

Each module is one controller with an `async def reconcile(turn)`. All are level-triggered: they look at what is there
now and take one step. Invariant: where nothing changed and nothing is due, a pass writes nothing.
"""

from __future__ import annotations

import logging

from backend.emulator.kube.controllers import (
    autoscaler,
    dataplane,
    deployments,
    events,
    exports,
    fleet,
    gateways,
    jobs,
    nodes,
    pods,
    policies,
    pools,
    preemption,
    replicasets,
    routes,
    troubles,
)
from backend.emulator.kube.controllers.seams import World
from backend.emulator.kube.controllers.turn import Turn

CONTROLLERS = (
    troubles,
    autoscaler,
    preemption,
    nodes,
    fleet,
    jobs,
    deployments,
    pods,
    replicasets,
    deployments,
    exports,
    pools,
    policies,
    gateways,
    routes,
    dataplane,
    events,
)
"""In the order in which one's work is the next one's input; Deployments come again to report what became of their
Pods.
"""

log = logging.getLogger(__name__)


async def reconcile(world: World) -> float | None:
    """One pass of all controllers over all clusters; the Unix time at which the next one is due by itself, or None.

    A controller that fails is logged and tried again in the next pass; the others go on.
    """
    turn = Turn(world, world.now())
    failed = False
    for controller in CONTROLLERS:
        try:
            await controller.reconcile(turn)
        except Exception:
            failed = True
            log.exception("controller %s failed", controller.__name__.rpartition(".")[2])
    if failed:
        turn.wake_at(turn.now + RETRY_S)
    else:
        turn.forget_unasked()
    return turn.due


RETRY_S = 1.0
"""How soon a pass in which a controller failed is repeated."""
