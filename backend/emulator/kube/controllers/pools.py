"""The status of exported InferencePools: whether the multi-cluster controller took them over.

No single-cluster Gateway uses a pool here, so a pool has no parents until its export has come through. Invariant:
`status.parents` names the import of the pool exactly while the pool is one of those behind it.
"""

from __future__ import annotations

from backend.emulator.kube.controllers.exports import IMPORTS, POOLS, exported
from backend.emulator.kube.controllers.fleet import MANAGER, config_cluster, members
from backend.emulator.kube.controllers.objects import Condition, conditions, name_of, namespace_of
from backend.emulator.kube.controllers.seams import Object, Store
from backend.emulator.kube.controllers.turn import Turn


def exporting(imported: Object | None) -> list[str]:
    """The memberships that an import says export its pool."""
    controllers = (imported or {}).get("status", {}).get("controllers", ())
    return [each["name"] for controller in controllers for each in controller["exportingClusters"]]


def status(pool: Object, now: float) -> Object:
    """The status of a pool whose export has come through."""
    parents = pool.get("status", {}).get("parents") or [{}]
    generation = pool["metadata"].get("generation", 1)
    taken = [Condition("Exported", "True", "Exported", "Exported to the fleet's config cluster")]
    return {
        "parents": [
            {
                "parentRef": {
                    "group": "networking.gke.io",
                    "kind": "GCPInferencePoolImport",
                    "name": name_of(pool),
                    "namespace": namespace_of(pool),
                },
                "conditions": conditions(parents[0].get("conditions", ()), taken, now, generation=generation),
            }
        ]
    }


def report(store: Store, pool: Object, wanted: Object) -> None:
    """Write a pool's status if it says something new."""
    if wanted != pool.get("status", {}):
        store.set_status(POOLS, namespace_of(pool), name_of(pool), wanted, manager=MANAGER)


async def reconcile(turn: Turn) -> None:
    """Report every InferencePool of the fleet."""
    config = config_cluster(turn.world)
    if config is None:
        return
    for membership, cluster in members(turn.world).values():
        for pool in cluster.store.list(POOLS):
            imported = config.store.get(IMPORTS, namespace_of(pool), name_of(pool))
            through = exported(pool) and membership in exporting(imported)
            report(cluster.store, pool, status(pool, turn.now) if through else {})
