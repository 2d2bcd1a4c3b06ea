"""Looks at a running stack again and again, through the API servers and nothing else.

Every Pod's metrics page is read through the API server's proxy, so no tunnel into the VPC is needed and what is shown
is what the Pods say of themselves. Invariants: a cluster or a Pod that does not answer costs its own figures and delays
nobody; nothing is changed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from backend.clients.kinds import DEPLOYMENT, POD
from backend.errors import McigError
from backend.monitor.drift import DriftLook
from backend.monitor.gateway import GatewayLook
from backend.monitor.objects import lost, over, pod_seen, why
from backend.monitor.pages import RUNNING, WAITING, Page, quantile, read, summed
from backend.monitor.rates import Meter, Reading, Work
from backend.monitor.snapshot import (
    ClusterSnapshot,
    CostSnapshot,
    DriftSnapshot,
    PodSnapshot,
    Snapshot,
)
from backend.spec import ClusterSpec, GatewaySpec

if TYPE_CHECKING:
    from backend.address import Address
    from backend.clients import Clients
    from backend.clients.kube import Kube

POD_LIMIT_S = 2.0
"""Seconds that one Pod's page may take."""
CLUSTER_LIMIT_S = 4.0
"""Seconds that a cluster's list of Pods may take."""
OBJECTS_EVERY_S = 10.0
"""Seconds between two looks at the gateway's objects and the Deployments."""
AT_ONCE, AT_ONCE_IN_ALL = 12, 40
"""Pages that are read side by side of one cluster, and of all together: a connection takes 0.3 MB."""
TURN_LIMIT_S = 2.0
"""Seconds that a Pod waits for its turn to be asked; Pods that gave no figures the last time come last."""
NO_TURN = "no metrics: not asked, because other Pods of its cluster gave no answer in time"
LONGEST_PAGE = 4 * 1024 * 1024
"""Bytes after which a page is given up."""

Object = Mapping[str, Any]


@dataclass
class _Cluster:
    """What is remembered of a cluster between two looks."""

    spec: ClusterSpec
    meters: dict[str, Meter] = field(default_factory=dict)
    wanted: int | None = None
    wanted_at: float = float("-inf")
    lost: set[str] = field(default_factory=set)
    """Pods that lost their machine."""
    silent: frozenset[str] = frozenset()
    """Pods that were asked at the last look and gave no figures."""


class Monitor:
    """The traffic of one stack; belongs to one event loop."""

    def __init__(
        self,
        spec: GatewaySpec,
        clients: Clients,
        *,
        cost: Callable[[], Awaitable[CostSnapshot]],
        addresses: Callable[[], Awaitable[Sequence[Address]]],
        drift: DriftLook | None = None,
        where: str = "",
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._spec = spec
        self._clients = clients
        self._cost = cost
        self._drift = drift
        self._where = where
        self._clock = clock
        self._now = now
        self._clusters = [_Cluster(cluster) for cluster in spec.targets]
        self._gateway = GatewayLook(spec, clients, addresses, clock, now)
        self._heard: Callable[[str, str, Page], None] = lambda cluster, pod, page: None

    def listen(self, heard: Callable[[str, str, Page], None]) -> None:
        """Have every page that is read told, with the names of its cluster and its Pod."""
        self._heard = heard

    async def look(self) -> Snapshot:
        """Look once; rates need a second look. Raises nothing for what the world does."""
        clusters, gateway, cost, drift = await asyncio.gather(
            asyncio.gather(*map(self._look_at, self._clusters)), self._gateway.look(), self._cost(), self._drifted()
        )
        silent = {cluster.name: cluster.reason for cluster in clusters if cluster.reason is not None}
        if gateway.healthy is not None and (told := silent.get(self._spec.config_cluster)) is not None:
            gateway = self._gateway.unknown(gateway, told)
        return Snapshot(self._now(), self._spec.name, tuple(_with_shares(clusters)), gateway, cost, self._where, drift)

    async def watch(self, every_s: float) -> AsyncIterator[Snapshot]:
        """Look again and again, so many seconds from one beginning to the next, later when a look takes longer."""
        try:
            while True:
                began = self._clock()
                yield await self.look()
                await asyncio.sleep(max(0.0, every_s - (self._clock() - began)))
        finally:
            if self._drift is not None:
                await self._drift.close()

    async def _drifted(self) -> DriftSnapshot | None:
        return None if self._drift is None else await self._drift()

    async def _look_at(self, cluster: _Cluster) -> ClusterSnapshot:
        kube = self._clients.kube(cluster.spec.name)
        try:
            async with asyncio.timeout(CLUSTER_LIMIT_S):
                pods, _ = await asyncio.gather(self._pods(kube), self._count_wanted(kube, cluster))
        except (McigError, TimeoutError) as error:
            for meter in cluster.meters.values():
                meter.lose()
            reason = why(error, CLUSTER_LIMIT_S)
            gone = len(cluster.lost)
            return ClusterSnapshot(cluster.spec.name, cluster.spec.region, 0, cluster.wanted, reason=reason, lost=gone)
        cluster.lost |= {pod["metadata"]["name"] for pod in pods if lost(pod)}
        pods = [pod for pod in pods if not over(pod)]
        names = {pod["metadata"]["name"] for pod in pods}
        cluster.meters = {name: cluster.meters.get(name) or Meter() for name in names}
        turns = asyncio.Semaphore(max(1, min(AT_ONCE, AT_ONCE_IN_ALL // len(self._clusters))))

        async def one(pod: Object) -> tuple[PodSnapshot, Work | None]:
            try:
                async with asyncio.timeout(TURN_LIMIT_S):
                    await turns.acquire()
            except TimeoutError:
                cluster.meters[pod["metadata"]["name"]].lose()
                return replace(pod_seen(pod), reason=NO_TURN), None
            try:
                return await self._look_into(cluster, kube, pod)
            finally:
                turns.release()

        pods.sort(key=lambda pod: pod["metadata"]["name"] in cluster.silent)
        found = sorted(await asyncio.gather(*map(one, pods)), key=lambda one: one[0].name)
        cluster.silent = frozenset(pod.name for pod, _ in found if pod.reason not in {None, NO_TURN})
        return _together(cluster, [pod for pod, _ in found], [work for _, work in found if work is not None])

    async def _pods(self, kube: Kube) -> list[Object]:
        found = await kube.list(POD, self._spec.pool.namespace, {"app": self._spec.model.name})
        return sorted(found, key=lambda pod: str(pod["metadata"]["name"]))

    async def _count_wanted(self, kube: Kube, cluster: _Cluster) -> None:
        if self._clock() - cluster.wanted_at < OBJECTS_EVERY_S:
            return
        found = await kube.get(DEPLOYMENT, self._spec.pool.namespace, self._spec.model.name)
        cluster.wanted = None if found is None else int(found["spec"].get("replicas", 1))
        cluster.wanted_at = self._clock()

    async def _look_into(self, cluster: _Cluster, kube: Kube, pod: Object) -> tuple[PodSnapshot, Work | None]:
        seen = pod_seen(pod)
        meter = cluster.meters[seen.name]
        if seen.phase != "Running" or not (pod.get("status") or {}).get("podIP", True):
            meter.lose()
            return seen, None
        try:
            async with asyncio.timeout(POD_LIMIT_S):
                page = await self._page(kube, seen.name)
        except (McigError, TimeoutError) as error:
            meter.lose()
            return replace(seen, reason=f"no metrics: {why(error, POD_LIMIT_S)}"), None
        if isinstance(page, str):
            meter.lose()
            return replace(seen, reason=page), None
        meter.take(Reading(self._clock(), page))
        self._heard(cluster.spec.name, seen.name, page)
        work = meter.work
        told = replace(
            seen,
            kv_cache=page.kv_cache,
            running=page.gauges.get(RUNNING),
            waiting=page.gauges.get(WAITING),
            adapters=page.adapters,
            reason=None if page.kv_cache is not None else "its metrics name no KV cache",
        )
        return (told, None) if work is None else (_with_work(told, work), work)

    async def _page(self, kube: Kube, pod: str) -> Page | str:
        """The page, or why there is none."""
        spec = self._spec
        async with kube.proxy(spec.pool.namespace, pod, spec.pool.port, "metrics", read_timeout_s=POD_LIMIT_S) as told:
            if told.status != 200:
                return f"its metrics page answers {told.status}"
            parts, length = [], 0
            async for part in told.chunks():
                length += len(part)
                if length > LONGEST_PAGE:
                    return f"its metrics page is longer than {LONGEST_PAGE} bytes"
                parts.append(part)
        return read(b"".join(parts).decode(errors="replace"))


def _with_work(pod: PodSnapshot, work: Work) -> PodSnapshot:
    return replace(
        pod,
        requests_per_s=work.requests_per_s,
        tokens_per_s=work.tokens_per_s,
        ttft_p50_s=quantile(0.5, work.ttft),
        ttft_p95_s=quantile(0.95, work.ttft),
        inter_token_p50_s=quantile(0.5, work.between),
    )


def _together(cluster: _Cluster, pods: list[PodSnapshot], works: list[Work]) -> ClusterSnapshot:
    caches = [pod.kv_cache for pod in pods if pod.kv_cache is not None]
    ttft, between = summed([work.ttft for work in works]), summed([work.between for work in works])
    return ClusterSnapshot(
        cluster.spec.name,
        cluster.spec.region,
        ready=sum(pod.ready for pod in pods),
        wanted=cluster.wanted,
        kv_cache=sum(caches) / len(caches) if caches else None,
        running=_total(pod.running for pod in pods),
        waiting=_total(pod.waiting for pod in pods),
        requests_per_s=_total(pod.requests_per_s for pod in pods),
        tokens_per_s=_total(pod.tokens_per_s for pod in pods),
        ttft_p50_s=quantile(0.5, ttft),
        ttft_p95_s=quantile(0.95, ttft),
        inter_token_p50_s=quantile(0.5, between),
        pods=tuple(pods),
        lost=len(cluster.lost),
    )


def _total(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _with_shares(clusters: Iterable[ClusterSnapshot]) -> list[ClusterSnapshot]:
    found = list(clusters)
    total = sum(each.requests_per_s or 0.0 for each in found)
    if total <= 0:
        return found
    return [each if each.requests_per_s is None else replace(each, share=each.requests_per_s / total) for each in found]
