"""The rows ``node-pool/CLUSTER/POOL``: the GPU machines that run the model servers.

A pool that runs gets another size where the specification has one, and nothing else of it can change. Invariant: what
goes wrong with a resize never costs the machines that run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from backend import catalog
from backend.clients import Clients
from backend.clients.google import Json
from backend.engine.events import Action
from backend.engine.resource import STATUS, About, Change, Departure, Note, Resource, ResourceId, Step
from backend.errors import AlreadyExists, InvalidRequest, OperationFailed, ServiceDisabled, StockOut
from backend.resources import cluster as cluster_row
from backend.resources import marks
from backend.resources.gke import WORKING, dig, follow, node_flags
from backend.resources.node_pool_arrival import DEGRADED, Arrival
from backend.resources.node_pool_shape import MOST_NODES, again, body, differences, flags, resize, stands_in
from backend.resources.removal import remove
from backend.resources.stock import explained, lacks_machines, said_of
from backend.resources.waiting import Watch
from backend.spec import ClusterSpec, GatewaySpec, GpuPool, OnStockout
from backend.stockout import next_pool

_DEPARTURES = (
    Departure(
        document="asks for the pool at the location of a zone",
        mcig="asks at the cluster's region and names the zones with --node-locations",
        because="a regional cluster is not found at a zone: 404",
    ),
)


def resource_id(cluster: ClusterSpec) -> ResourceId:
    """Id of the row of a cluster's GPU pool."""
    return ResourceId(f"node-pool/{cluster.name}/{cluster.serving_pool.name}")


class NodePool(Resource[Json]):
    """One cluster's GPU node pool."""

    def __init__(
        self,
        spec: GatewaySpec,
        cluster: ClusterSpec,
        clients: Clients,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.id = resource_id(cluster)
        self.within = cluster_row.resource_id(cluster.name)
        self._spec = spec
        self._cluster = cluster.name
        self._region = cluster.region
        self._pool = cluster.serving_pool
        self._clients = clients
        self._operation: str | None = None
        self._arrival = Arrival(spec, cluster, clients, observe=self.observe, clock=clock)

    @property
    def about(self) -> About:
        """What can be said without asking any cloud."""
        pool = self._pool
        nodes = pool.nodes * len(pool.zones)
        machine = catalog.price(pool.machine_type, self._region, pool.provisioning) or 0.0
        return About(
            title=f"Create node pool {pool.name} of {self._cluster}: {nodes} x {pool.machine_type}",
            region=self._region,
            command=(
                f"gcloud container node-pools create {pool.name} --cluster={self._cluster} --location={self._region} "
                f"--project={self._clients.project} --node-locations={','.join(pool.zones)} "
                f"--machine-type={pool.machine_type} --accelerator=type={pool.accelerator},"
                f"count={pool.accelerators_per_node},gpu-driver-version=latest {flags(pool)} "
                f"{node_flags(self._spec, self._clients.project)} "
                f"--labels={marks.flag(self._spec)}"
            ),
            permissions=(
                "container.clusters.get",
                "container.clusters.update",
                "container.operations.get",
                "iam.serviceAccounts.actAs",
            ),
            departures=_DEPARTURES,
            estimate_s=catalog.duration("node-pool"),
            usd_per_hour=machine * nodes,
        )

    async def observe(self) -> Json | None:
        """Give the node pool in Google's JSON form."""
        try:
            return await self._clients.container.node_pool(self._region, self._cluster, self._pool.name)
        except ServiceDisabled:
            return None

    def diff(self, observed: Json | None) -> Step:
        """Create it, go on waiting for it, make it again where it failed, or say where it differs."""
        if observed is None:
            return self.create()
        status = observed.get("status", "")
        if status == "PROVISIONING":
            return self.create("already under way")
        if status == "STOPPING":
            return self.create("the old one is being deleted")
        changes = list(differences(self._pool, observed))
        if status not in WORKING:
            changes.insert(0, Change(STATUS, status, "RUNNING"))
        if status == "ERROR" and self._ours(observed):
            zones = " and ".join(observed.get("locations", ()))
            why = f"{zones} had no machines" if lacks_machines(observed) else "it failed"
            return Step(self.id, Action.REPLACE, tuple(changes), why)
        size = self._resize(observed)
        return self.update(*changes, *([] if size is None else [size]), reason=self._standing(observed))

    def removal(self, observed: Json | None) -> Step:
        """Delete it when it was made for this stack."""
        if observed is not None and not self._ours(observed):
            return self.no_op(f"{marks.whose(self._spec, _labels(observed))}: left")
        return super().removal(observed)

    async def apply(self, step: Step, note: Note) -> None:
        """Ask for the pool as soon as the cluster takes requests."""
        self._arrival.begins()
        watch = self._arrival.watch(note, f"creating node pool {self._pool.name}")
        seen = await self._settled(watch)
        if seen is not None and seen.get("status") == "ERROR" and self._ours(seen):
            await self.delete(note)
            seen = None
        if seen is None:
            await self._ask(watch, self._pool)
        else:
            self._refuse_other(seen)
            if seen.get("status") in {*WORKING, DEGRADED}:
                self._operation = None
                await self._resized(seen, watch)

    async def wait(self, note: Note) -> Json:
        """Return once the pool runs and its nodes are ready; a flex-start pool has none until Pods ask for them.

        Where a zone is out of stock and the spec says so, the next one of the region is tried. Raises ``StockOut``.
        """
        asked, out = self._pool, set[str]()
        while True:
            try:
                operation, self._operation = self._operation, None
                return await self._arrival.won(note, operation)
            except StockOut as stock_out:
                out |= set(stock_out.zones)
                following = next_pool(asked, self._region, out) if self._moves_on else None
                if following is None:
                    raise explained(self._spec, self._cluster, out, stock_out) from stock_out
                asked = following
                note(f"{' and '.join(stock_out.zones)} has no {asked.machine_type}: next {' and '.join(asked.zones)}")
                await self.delete(note)
                await self._ask(self._arrival.watch(note, f"creating node pool {asked.name}"), asked)

    def detail(self, observed: Json) -> Mapping[str, Any]:
        """The zones that the machines are in."""
        return {"zones": sorted(observed.get("locations", ()))}

    async def delete(self, note: Note) -> None:
        """Delete it and return once it is gone."""
        doing = f"deleting node pool {self._pool.name} of {self._cluster}"
        watch = self._arrival.watch(note, doing)
        seen = await self.observe()
        if seen is None:
            return
        await remove(
            watch,
            doing,
            going=seen.get("status") == "STOPPING",
            begun=self._operation,
            ask=lambda: self._clients.container.delete_node_pool(self._region, self._cluster, self._pool.name),
            ended=lambda name: follow(self._clients, watch, self._region, name, doing=doing),
        )
        await watch.until_gone(self.observe)

    @property
    def _moves_on(self) -> bool:
        return self._spec.on_stockout is OnStockout.NEXT_ZONE

    async def _settled(self, watch: Watch) -> Json | None:
        """The pool once it is not on its way out, nor another process's attempt at something else."""
        seen = await self.observe()
        if seen is not None and seen.get("status") == "STOPPING":
            await watch.until_gone(self.observe)
            return None
        if seen is None or seen.get("status") != "PROVISIONING" or not any(differences(self._pool, seen)):
            return seen

        async def ended() -> Json | None:
            now = await self.observe() or {}
            watch.saw(f"waiting for what was asked before: {said_of(now) or now.get('status', '')}")
            return now if now.get("status") != "PROVISIONING" else None

        return await watch.until(ended) or None

    async def _ask(self, watch: Watch, pool: GpuPool) -> None:
        other = None if pool is self._pool else self._pool
        wanted = body(self._spec, pool, project=self._clients.project, instead_of=other)
        try:
            operation = await watch.when_free(
                lambda: self._clients.container.create_node_pool(self._region, self._cluster, wanted)
            )
        except AlreadyExists:
            return
        self._operation = operation["name"]
        watch.saw(f"creating node pool {pool.name} in {' and '.join(pool.zones)}", operation=operation["name"])

    def _resize(self, seen: Json) -> Change | None:
        return resize(self._pool, seen) if self._ours(seen) else None

    async def _resized(self, seen: Json, watch: Watch) -> None:
        change = self._resize(seen)
        if change is None and seen.get("status") == DEGRADED and self._ours(seen):
            change = again(self._pool, seen)
        if change is None:
            return
        doing = f"resizing node pool {self._pool.name} of {self._cluster}"
        container, at = self._clients.container, (self._region, self._cluster, self._pool.name)
        if change.field == MOST_NODES:
            bounds = seen["autoscaling"] | {"totalMaxNodeCount": change.after}
            operation = await watch.when_free(lambda: container.autoscale_node_pool(*at, bounds))
        else:
            operation = await watch.when_free(lambda: container.resize_node_pool(*at, change.after))
        watch.saw(f"{doing} from {change.before} to {change.after}", operation=operation["name"])
        try:
            await follow(
                self._clients, watch, self._region, operation["name"], doing=doing, places=tuple(seen["locations"])
            )
        except StockOut as error:
            raise OperationFailed(
                error.message,
                cause=f"{' and '.join(error.zones)} has no more {self._pool.machine_type} now; those that run stay",
                fix=f"`mcig apply` again later, or set gpu_pool.nodes of {self._cluster} back",
                reason=error.reason,
            ) from error

    def _standing(self, observed: Json) -> str:
        if adopted := marks.adopted(self._spec, _labels(observed)):
            other = marks.other_stack(self._spec, _labels(observed))
            return marks.refused(other) if other and any(differences(self._pool, observed)) else adopted
        if stands_in(self._pool, observed):
            zones = " and ".join(sorted(observed.get("locations", ())))
            return f"in {zones}, because {' and '.join(self._pool.zones)} had no machines"
        return ""

    def _ours(self, observed: Json) -> bool:
        return marks.ours(self._spec, _labels(observed))

    def _refuse_other(self, seen: Json) -> None:
        changes = list(differences(self._pool, seen))
        if changes and (other := marks.other_stack(self._spec, _labels(seen))):
            raise marks.refusal(other, f"node pool {self._pool.name} of {self._cluster}")
        if changes:
            told = "; ".join(f"{change.field} is {change.before}, not {change.after}" for change in changes)
            raise InvalidRequest(
                f"node pool {self._pool.name} of {self._cluster} is another than is wanted: {told}",
                cause="the machines of a pool cannot be changed",
                fix="give gpu_pool another name to have a new pool beside it, or change the spec to what is there",
            )


def _labels(pool: Json) -> Mapping[str, str]:
    found: Mapping[str, str] = dig(pool, "config.resourceLabels") or {}
    return found
