"""A load test's way through an API server: what stands in its way, how it ends, and what it takes with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from backend.address import Address
from backend.clients.kinds import JOB
from backend.clients.kube import Kube
from backend.emulator.kube.cluster import KubeCluster
from backend.errors import Conflict, PromptError
from backend.load import Load, LoadResult, Point
from backend.load.job import CONTAINER, NAME, OF_JOB, job
from backend.load.run import LoadTest
from backend.monitor import CostSnapshot, Monitor
from backend.spec import GatewaySpec
from tests.backend.kubes import FakeClients, api_server, client_of

ADDRESS = Address("europe-west3", "10.156.0.7", "http://10.156.0.7/v1")
WISH = Load(1, 5)


@pytest.fixture
async def cluster() -> AsyncIterator[KubeCluster]:
    async with api_server() as running:
        yield running


@pytest.fixture
async def kube(cluster: KubeCluster) -> AsyncIterator[Kube]:
    made = client_of(cluster)
    yield made
    await made.close()


class Case:
    """A test against one API server without controllers; what they would do is done by hand."""

    def __init__(self, spec: GatewaySpec, kube: Kube, cluster: KubeCluster) -> None:
        self.spec, self.kube, self.cluster = spec, kube, cluster
        self.notes: list[str] = []
        self.points: list[Point] = []
        self.noted, self.pointed, self.begun = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._looks = 0

    def test(self, addresses: Sequence[Address] = (ADDRESS,)) -> LoadTest:
        clients = FakeClients({"gke-west": self.kube}).as_clients()

        async def cost() -> CostSnapshot:
            self._looks += 1
            if self._looks > 1:
                self.begun.set()  # the first look is before there is a Job, every other one after
            return CostSnapshot(0.0, None)

        async def where() -> Sequence[Address]:
            return addresses

        monitor = Monitor(self.spec, clients, cost=cost, addresses=where)
        return LoadTest(self.spec, clients, WISH, addresses=addresses, monitor=monitor, note=self.note, look_s=0.02)

    def note(self, text: str) -> None:
        self.notes.append(text)
        if "waits" in text:
            self.noted.set()

    async def each(self, point: Point) -> None:
        self.points.append(point)
        self.pointed.set()

    def end(self, kind: str, message: str = "because") -> None:
        said = {"status": "True", "reason": "R", "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z"}
        status = {"conditions": [{"type": kind, **said}]}
        self.cluster.store.set_status("batch/jobs", "default", NAME, status, manager="m")

    def pod(self, **status: object) -> None:
        """Give the Job a Pod, or its Pod another status."""
        store = self.cluster.store
        if store.get("/pods", "default", "load-x") is None:
            containers = [{"name": CONTAINER, "image": "i"}]
            meta = {"name": "load-x", "namespace": "default", "labels": OF_JOB}
            store.create(
                "/pods",
                {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": containers}},
                manager="m",
            )
        store.set_status("/pods", "default", "load-x", status, manager="m")


@pytest.fixture
def case(spec: GatewaySpec, kube: Kube, cluster: KubeCluster) -> Case:
    return Case(spec, kube, cluster)


async def test_a_test_that_runs_is_not_disturbed(case: Case) -> None:
    await case.kube.create(job(case.spec, WISH, ADDRESS.address))
    with pytest.raises(Conflict, match="still runs") as refused:
        await case.test().run(case.each)
    assert refused.value.fix.endswith("-n default delete job mcig-load")
    assert await case.kube.get(JOB, "default", NAME) is not None


async def test_somebody_elses_job_is_left_even_when_it_has_ended(case: Case) -> None:
    other = job(case.spec, WISH, ADDRESS.address)
    other["metadata"]["labels"] = {}
    await case.kube.create(other)
    case.end("Complete")
    with pytest.raises(Conflict, match="belongs to another stack"):
        await case.test().run(case.each)


async def test_an_ended_test_makes_way_and_a_failed_one_says_why(case: Case) -> None:
    await case.kube.create(job(case.spec, WISH, ADDRESS.address))
    case.end("Complete")
    running = asyncio.create_task(case.test().run(case.each))
    await case.begun.wait()
    case.pod(phase="Pending", conditions=[{"type": "PodScheduled", "status": "False", "message": "0/3 nodes fit"}])
    await case.noted.wait()
    assert case.notes == [
        "Job mcig-load on gke-west is made; its client starts",
        "the load's Pod waits: 0/3 nodes fit",
    ]
    assert case.points == []
    case.pod(phase="Running")
    await case.pointed.wait()
    case.end("Failed", "Job has reached the specified backoff limit")
    result = await running
    assert not result.ok
    assert result.failure == "Job has reached the specified backoff limit"
    assert result.report is None
    assert result.lost is None
    east = result.timeline[0].clusters[1]
    assert (east.name, east.share) == ("gke-east", None)
    assert east.reason == "cluster gke-east does not exist"


class Kubelet:
    """Who reads containers' logs; the connection breaks off some times before."""

    def __init__(self, *, breaks: int) -> None:
        self._breaks = breaks
        self.asked = 0

    def logs(self, *_: object) -> list[str]:
        self.asked += 1
        if self.asked <= self._breaks:
            raise ConnectionResetError("the node went away")
        return ["it went wrong"]


async def ended(case: Case, kubelet: Kubelet, monkeypatch: pytest.MonkeyPatch) -> LoadResult:
    """The result of a test whose Job has done its work."""
    monkeypatch.setattr(KubeCluster, "kubelet", kubelet)
    running = asyncio.create_task(case.test().run(case.each))
    await case.begun.wait()
    case.pod(phase="Running")
    await case.pointed.wait()
    case.end("Complete")
    return await running


async def test_an_api_server_that_hiccups_at_the_end_costs_no_test(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    kubelet = Kubelet(breaks=2)
    result = await ended(case, kubelet, monkeypatch)
    assert kubelet.asked == 3
    assert result.failure == "its log has no report"
    assert result.log == ("it went wrong",)


async def test_a_log_that_cannot_be_read_leaves_what_was_seen_meanwhile(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KubeCluster, "denies", lambda _, permission: permission == "container.pods.getLogs")
    result = await ended(case, Kubelet(breaks=0), monkeypatch)
    assert result.failure is not None
    assert result.failure.startswith("its log could not be read: ")
    assert result.timeline == tuple(case.points)
    assert not result.ok


async def test_a_stopped_test_takes_its_job_with_it(case: Case) -> None:
    running = asyncio.create_task(case.test().run(case.each))
    await case.begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await case.kube.get(JOB, "default", NAME) is None


async def test_a_job_that_somebody_deletes_ends_the_test(case: Case) -> None:
    running = asyncio.create_task(case.test().run(case.each))
    await case.begun.wait()
    await case.kube.delete(JOB, "default", NAME)
    with pytest.raises(Conflict, match="was deleted while it ran"):
        await running


async def test_without_an_address_nothing_is_sent(case: Case) -> None:
    with pytest.raises(PromptError) as refused:
        case.test(())
    assert refused.value.fix == f"mcig apply {case.spec.name}"
