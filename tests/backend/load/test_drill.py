"""A drill's course against an API server: what it changes when, what it measures, and that it always gives back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from backend.clients.kinds import BACKEND_POLICY
from backend.clients.kube import Kube
from backend.errors import Conflict
from backend.load import ClusterPoint, Drill, DrillResult, Latency, Load, LoadResult, Point, Report
from backend.load.drill import DrillRun
from backend.load.run import Each
from backend.load.tally import Tally
from backend.monitor.pages import FINISHED, TTFT, Page
from backend.resources.drained import until
from backend.resources.gateway import backend_policy
from backend.resources.manifests import BACKEND_POLICY_NAME
from backend.spec import GatewaySpec
from tests.backend.kubes import FakeClients, Notes, api_server, client_of

DRILL = Drill("us-east4", rate=2, seconds=40)
TIMES = Latency(None, None, None)
Came = tuple[float, float]
"""Requests that came to the near and to the drained region at a look."""


@pytest.fixture
async def kube() -> AsyncIterator[Kube]:
    async with api_server() as cluster:
        made = client_of(cluster)
        yield made
        await made.close()


class Script:
    """A load test that shows what it is told to, a look a second, and what the policy said at each."""

    def __init__(
        self, kube: Kube, looks: Sequence[Came], *, lost: int = 0, broken: BaseException | None = None
    ) -> None:
        self.tally = Tally()
        self.drained: list[bool] = []
        self.now = 100.0
        self._kube, self._looks, self._lost, self._broken = kube, looks, lost, broken

    def clock(self) -> float:
        return self.now

    async def run(self, each: Each) -> LoadResult:
        self.tally.begin()
        finished, clusters = [0.0, 0.0], ("gke-west", "gke-east")
        for look in self._looks:
            self.now += 1
            for index, name in enumerate(clusters):
                finished[index] += look[index]
                slow = finished[0] if index == 0 else 0  # every answer of the other region takes longer
                buckets = {0.1: finished[index] - slow, 1.0: finished[index], float("inf"): finished[index]}
                self.tally.take(name, "pod", Page({}, {FINISHED: finished[index]}, {TTFT: buckets}))
            shown = zip(clusters, look, strict=True)
            await each(Point(self.now, 1.0, tuple(ClusterPoint(name, came, None, None, 0, 0) for name, came in shown)))
            policy = await self._kube.get(BACKEND_POLICY, "default", BACKEND_POLICY_NAME)
            self.drained.append(until(policy) is not None)
        if self._broken is not None:
            raise self._broken
        report = Report(80 - self._lost, None, 40.0, None, None, None, None, TIMES, TIMES, TIMES)
        return LoadResult(
            "s", Load(2, 40), "gke-east", "us-east4", "10.0.0.1", "i", "m", None, report, (), (), (), None
        )


async def drill(spec: GatewaySpec, kube: Kube, script: Script) -> DrillResult:
    clients = FakeClients({"gke-west": kube}).as_clients()
    row = backend_policy(spec, clients)
    await row.apply(row.create(), Notes())
    return await DrillRun(spec, clients, DRILL, test=script, note=lambda _: None, clock=script.clock).run()


NEAR, FAR, NONE = (0.0, 2.0), (2.0, 0.0), (0.0, 0.0)


async def test_it_measures_before_meanwhile_and_after(spec: GatewaySpec, kube: Kube) -> None:
    looks = [NONE, *[NEAR] * 11, *[NEAR] * 3, *[FAR] * 17, FAR, NEAR, *[NEAR] * 6]
    script = Script(kube, looks)
    result = await drill(spec, kube, script)
    assert [index for index, drained in enumerate(script.drained) if drained] == list(range(11, 31))
    assert (result.sent, result.lost, result.restored, result.ok) == (80, 0, True, True)
    assert result.share_before == 1
    assert (result.moved_s, result.drained_s, result.back_s) == (3, 20, 2)
    assert (result.slow_s, result.slowed) == (0.1, 18 * 2)


async def test_traffic_that_stays_has_not_moved(spec: GatewaySpec, kube: Kube) -> None:
    result = await drill(spec, kube, Script(kube, [NEAR] * 40))
    assert result.moved_s is None
    assert result.restored
    assert not result.ok


async def test_lost_requests_make_it_fail(spec: GatewaySpec, kube: Kube) -> None:
    result = await drill(spec, kube, Script(kube, [*[NEAR] * 12, *[FAR] * 20, *[NEAR] * 8], lost=3))
    assert (result.lost, result.ok) == (3, False)


@pytest.mark.parametrize("error", [asyncio.CancelledError(), Conflict("the Job was deleted")])
async def test_a_drill_that_is_broken_off_restores(spec: GatewaySpec, kube: Kube, error: BaseException) -> None:
    script = Script(kube, [NEAR] * 15, broken=error)
    with pytest.raises(type(error)):
        await drill(spec, kube, script)
    assert script.drained[-1]
    assert until(await kube.get(BACKEND_POLICY, "default", BACKEND_POLICY_NAME)) is None


async def test_without_a_policy_of_mcigs_nothing_is_drained(spec: GatewaySpec, kube: Kube) -> None:
    clients = FakeClients({"gke-west": kube}).as_clients()
    script = Script(kube, [NEAR])
    with pytest.raises(Conflict, match="is not there"):
        await DrillRun(spec, clients, DRILL, test=script, note=lambda _: None).run()
    assert script.drained == []
