"""Waiting for a node pool's machines: from the request until Google has made them and their nodes are ready.

Invariant: a pool of which a part could not be made is told of as such, and the machines that run are left alone.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

from backend.clients import Clients
from backend.clients.failures import operation_failed, out_of_stock
from backend.clients.google import Json
from backend.clients.kinds import NODE
from backend.engine.resource import Note
from backend.errors import OperationFailed
from backend.resources.gke import WORKING, dig, follow
from backend.resources.stock import EarlyWord, lacks_machines, said_of
from backend.resources.waiting import Watch
from backend.spec import ClusterSpec, GatewaySpec, Provisioning

TIMEOUT_S = 60 * 60.0
POOL_LABEL = "cloud.google.com/gke-nodepool"
"""Label that GKE gives nodes: the name of their pool."""
DEGRADED = "RUNNING_WITH_ERROR"
"""Status of a pool of which a part could not be made."""


class Arrival:
    """The machines of one cluster's GPU pool while they come in."""

    def __init__(
        self,
        spec: GatewaySpec,
        cluster: ClusterSpec,
        clients: Clients,
        *,
        observe: Callable[[], Awaitable[Json | None]],
        clock: Callable[[], float],
    ) -> None:
        """``observe`` reads the pool, ``clock`` gives seconds."""
        self._spec = spec
        self._cluster, self._region, self._pool = cluster.name, cluster.region, cluster.serving_pool
        self._clients = clients
        self._observe = observe
        self._clock = clock
        self._began = clock()

    def begins(self) -> None:
        """The pool is asked for now."""
        self._began = self._clock()

    def watch(self, note: Note, what: str) -> Watch:
        """What waits for the pool, and tells where to look when that takes too long."""
        return Watch(note, what, timeout_s=TIMEOUT_S, look=self._look)

    async def won(self, note: Note, operation: str | None) -> Json:
        """Return the pool once it runs with its nodes; ``operation`` is the name of what asked for it.

        Raises ``StockOut`` when a zone has no machines and ``OperationFailed`` when the pool or a part of it failed.
        """
        doing = f"creating node pool {self._pool.name} of {self._cluster}"
        watch = self.watch(note, doing)
        warning = EarlyWord(self._spec.on_stockout, self._since_s)

        def word(said: str) -> str:
            return warning(said) if out_of_stock(said) else f"{doing}: {said}"

        if operation is not None:
            places = self._pool.zones
            await follow(self._clients, watch, self._region, operation, doing=doing, places=places, word=word)

        async def runs() -> Json | None:
            seen = await self._observe()
            status = "absent" if seen is None else seen.get("status", "")
            if seen is not None and status == "ERROR" and lacks_machines(seen):
                raise operation_failed(doing, said_of(seen), project=self._clients.project, places=self._pool.zones)
            if seen is not None and status == DEGRADED:
                raise self._incomplete(seen)
            if seen is None or status in {"ERROR", "STOPPING"}:
                raise OperationFailed(
                    f"{doing}: the pool is {status}",
                    cause="Google could not make the machines, or somebody deleted the pool",
                    fix=f"look at `{self._look}`, then `mcig apply` again",
                )
            if status in WORKING:
                return seen
            watch.saw(word(said_of(seen)) if lacks_machines(seen) else f"the pool is {status}")
            return None

        seen = await watch.until(runs)
        if self._pool.provisioning is not Provisioning.FLEX_START:
            await watch.until(lambda: self._nodes_ready(watch, seen))
        return seen

    def _since_s(self) -> float | None:
        """Real seconds since the pool was asked for; ``None`` where a rehearsal leaves waiting out."""
        speed = self._clients.connection.speed or 1.0
        return None if math.isinf(speed) else (self._clock() - self._began) * speed

    async def _nodes_ready(self, watch: Watch, seen: Json) -> bool | None:
        per_zone, zones = int(seen.get("initialNodeCount", 0)), len(seen.get("locations", ()))
        wanted = min(self._pool.nodes * len(self._pool.zones), per_zone * zones)
        nodes = await self._clients.kube(self._cluster).list(NODE, labels={POOL_LABEL: self._pool.name})
        ready = sum(_ready(node) for node in nodes)
        if ready >= wanted:
            return True
        pool = await self._observe() or {}
        if pool.get("status") == DEGRADED:
            raise self._incomplete(pool)
        watch.saw(f"{ready} of {wanted} nodes are ready")
        return None

    def _incomplete(self, seen: Json) -> OperationFailed:
        said = said_of(seen) or "no explanation was given"
        return OperationFailed(
            f"node pool {self._pool.name} of {self._cluster} is {DEGRADED}: {said}",
            cause="Google could not make some of its machines; those that run stay",
            fix=f"`mcig apply` asks again, better later; or set gpu_pool.nodes of {self._cluster} lower",
        )

    @property
    def _look(self) -> str:
        return (
            f"gcloud container node-pools describe {self._pool.name} --cluster={self._cluster} "
            f"--location={self._region} --project={self._clients.project}"
        )


def _ready(node: Json) -> bool:
    conditions = dig(node, "status.conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)
