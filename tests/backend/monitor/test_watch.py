"""A monitor against API servers that misbehave: what cannot be known is unknown, with its reason."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from backend.clients.kube import Kube
from backend.clients.loading import load
from backend.monitor import ClusterSnapshot, CostSnapshot, Monitor, PodSnapshot
from backend.monitor import watch as watching
from backend.spec import GatewaySpec
from tests.backend.kubes import AUTHORITY, FakeClients, stub_server, token

Page = Callable[[], web.StreamResponse]


def page(finished: float = 10, cache: str = "0.5", *, tokens: float | None = 100) -> str:
    lines = [
        "vllm:num_requests_running 3.0",
        "vllm:num_requests_waiting 1.0",
        f"vllm:kv_cache_usage_perc {cache}",
        *([] if tokens is None else [f"vllm:generation_tokens_total {tokens}"]),
        f"vllm:request_success_total {finished}",
    ]
    return "\n".join(lines) + "\n"


@dataclass
class Cloud:
    """One API server: its Pods and what their pages answer."""

    pages: dict[str, str | int] = field(default_factory=dict)
    """Pod -> text of its page, or a status; a negative one hangs."""
    pods: list[dict[str, Any]] = field(default_factory=list)
    gateways: list[dict[str, Any]] = field(default_factory=list)
    silent: bool = False
    broken: bool = False

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if self.silent:
            await asyncio.sleep(60)
        if self.broken:
            return web.json_response({"message": "etcd is gone"}, status=500)
        if "/proxy/" in request.path:
            told = self.pages[request.path.split("/")[6].partition(":")[0]]
            if isinstance(told, str):
                return web.Response(text=told)
            if told < 0:
                await asyncio.sleep(60)
            return web.Response(status=told, text="no")
        if request.path.endswith("/pods"):
            return web.json_response({"items": self.pods or [pod(name) for name in self.pages]})
        if "/deployments/" in request.path:
            return web.json_response({"spec": {"replicas": 2}})
        return web.json_response({"items": self.gateways if request.path.endswith("/gateways") else []})


def pod(name: str, **status: Any) -> dict[str, Any]:
    told = {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}
    return {"metadata": {"name": name}, "spec": {"nodeName": "n"}, "status": told | status}


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def monitored(spec: GatewaySpec, clock: Clock, **clouds: Cloud) -> AsyncIterator[Monitor]:
    async def cost() -> CostSnapshot:
        return CostSnapshot(1.0, None)

    async def addresses() -> list[Any]:
        return []

    async with AsyncExitStack() as opened:
        kubes = {}
        for cluster in spec.clusters:
            cloud = clouds.get(cluster.region.replace("-", "_"), Cloud())
            url = await opened.enter_async_context(stub_server(cloud.answer))
            kubes[cluster.name] = Kube(url, AUTHORITY.cert_pem, token, cluster=cluster.name)
            opened.push_async_callback(kubes[cluster.name].close)
        clients = FakeClients(kubes).as_clients()
        yield Monitor(spec, clients, cost=cost, addresses=addresses, clock=clock)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a server on this machine keeps, and one that hangs is soon known by."""
    load("kubernetes.aio.client")
    monkeypatch.setattr(watching, "POD_LIMIT_S", 1.0)
    monkeypatch.setattr(watching, "TURN_LIMIT_S", 0.5)
    monkeypatch.setattr(watching, "CLUSTER_LIMIT_S", 1.5)


def west(clusters: tuple[ClusterSnapshot, ...]) -> ClusterSnapshot:
    return clusters[0]


async def look_at(spec: GatewaySpec, told: str | int) -> PodSnapshot:
    cloud = Cloud({"p": told})
    async with monitored(spec, Clock(), **{spec.targets[0].region.replace("-", "_"): cloud}) as monitor:
        (found,) = west((await monitor.look()).clusters).pods
        return found


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (401, "its metrics page answers 401"),
        (404, "its metrics page answers 404"),
        (503, "its metrics page answers 503"),
        ("<html>\x00 garbage {{{ \n", "its metrics name no KV cache"),
        ("vllm:kv_cache_usage_perc NaN\nvllm:num_requests_running +Inf\n", "its metrics name no KV cache"),
        ("vllm:kv_cache_usage_perc 0.4", "its metrics name no KV cache"),
        ("", "its metrics name no KV cache"),
    ],
)
async def test_a_bad_page_is_unknown_with_its_reason(spec: GatewaySpec, told: str | int, reason: str) -> None:
    found = await look_at(spec, told)
    assert found.reason == reason
    assert (found.kv_cache, found.running, found.requests_per_s) == (None, None, None)
    assert found.ready, "what Kubernetes says is another matter"


@pytest.mark.usefixtures("impatient")
async def test_pods_that_hang_delay_nobody_for_longer_than_their_turn(
    spec: GatewaySpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "AT_ONCE", 2)
    cloud = Cloud({"a": -1, "b": -1, "c": page()})
    async with monitored(spec, Clock(), **{spec.targets[0].region.replace("-", "_"): cloud}) as monitor:
        reasons = [[pod.reason for pod in west((await monitor.look()).clusters).pods] for _ in range(2)]
    hung = "no metrics: no answer within 1 s"
    assert reasons == [[hung, hung, watching.NO_TURN], [hung, hung, None]]


@pytest.mark.usefixtures("impatient")
async def test_one_hanging_pod_and_one_dead_cluster_cost_only_their_own_figures(spec: GatewaySpec) -> None:
    first, second = (cluster.region.replace("-", "_") for cluster in spec.targets[:2])
    clouds = {first: Cloud({"good": page(), "hangs": -1}), second: Cloud(silent=True)}
    async with monitored(spec, Clock(), **clouds) as monitor:
        snapshot = await monitor.look()
        good, hangs = snapshot.clusters[0].pods
        assert (good.kv_cache, hangs.kv_cache) == (0.5, None)
        assert snapshot.clusters[0].kv_cache == 0.5
        assert snapshot.clusters[1].reason == "no answer within 1.5 s"
        assert (snapshot.clusters[1].running, snapshot.clusters[1].share) == (None, None)


async def test_a_cluster_goes_and_comes_and_rates_begin_anew(spec: GatewaySpec) -> None:
    cloud, clock = Cloud({"p": page(10)}), Clock()
    async with monitored(spec, clock, **{spec.targets[0].region.replace("-", "_"): cloud}) as monitor:
        await monitor.look()
        clock.now, cloud.broken = 102.0, True
        gone = west((await monitor.look()).clusters)
        assert gone.reason
        assert "etcd is gone" in gone.reason
        assert gone.pods == ()
        clock.now, cloud.broken, cloud.pages = 104.0, False, {"p": page(30)}
        back = west((await monitor.look()).clusters)
        assert (back.reason, back.kv_cache) == (None, 0.5)
        clock.now, cloud.pages = 106.0, {"p": page(40)}
        assert west((await monitor.look()).clusters).requests_per_s == 5


async def test_a_gateway_whose_config_cluster_does_not_answer_is_not_told_as_it_was(spec: GatewaySpec) -> None:
    conditions = [{"type": "Accepted", "status": "True"}, {"type": "Programmed", "status": "True"}]
    conditions.append({"type": "networking.gke.io/GatewayHealthy", "status": "True"})
    gateway = {"metadata": {"name": spec.gateway.name}, "status": {"conditions": conditions}}
    cloud, clock = Cloud({"p": page()}, gateways=[gateway]), Clock()
    async with monitored(spec, clock, **{spec.config.region.replace("-", "_"): cloud}) as monitor:
        assert (await monitor.look()).gateway.healthy is True
        clock.now, cloud.broken = clock.now + 1, True
        seen = (await monitor.look()).gateway
        assert seen.healthy is None
        assert re.fullmatch(rf"{spec.config_cluster}: .*etcd is gone.*; healthy at \d\d:\d\d:\d\d", seen.reason or "")
        clock.now, cloud.broken = clock.now + 1, False
        assert (await monitor.look()).gateway.healthy is True


async def test_a_clock_that_jumps_gives_no_rate_and_no_error(spec: GatewaySpec) -> None:
    cloud, clock = Cloud({"p": page(10)}), Clock()
    async with monitored(spec, clock, **{spec.targets[0].region.replace("-", "_"): cloud}) as monitor:
        for at, finished in ((100.0, 10.0), (50.0, 20.0), (50.0, 30.0)):
            clock.now, cloud.pages = at, {"p": page(finished)}
            found = west((await monitor.look()).clusters)
            assert (found.requests_per_s, found.kv_cache) == (None, 0.5)


async def test_half_a_page_is_no_burst_of_traffic(spec: GatewaySpec) -> None:
    cloud, clock = Cloud({"p": page(1000, tokens=9000)}), Clock()
    async with monitored(spec, clock, **{spec.targets[0].region.replace("-", "_"): cloud}) as monitor:
        await monitor.look()
        for at, text in ((102.0, page(1004, tokens=None)), (104.0, page(1008, tokens=9400))):
            clock.now, cloud.pages = at, {"p": text}
            found = west((await monitor.look()).clusters)
        assert (found.requests_per_s, found.tokens_per_s) == (2, 100)


async def test_names_of_200_characters_and_pods_that_are_over(spec: GatewaySpec) -> None:
    long = "p" * 200
    gone = pod("gone", phase="Failed", reason="Terminated", conditions=[])
    cloud = Cloud({long: page()}, [pod(long), gone, pod("fails", phase="Failed", reason="Evicted")])
    async with monitored(spec, Clock(), **{spec.targets[0].region.replace("-", "_"): cloud}) as monitor:
        found = west((await monitor.look()).clusters)
        assert [one.name for one in found.pods] == [long]
        assert found.lost == 1, "its machine was taken; an eviction is no lost machine"


async def test_shares_come_from_the_pods_counters(spec: GatewaySpec) -> None:
    first, second = (cluster.region.replace("-", "_") for cluster in spec.targets[:2])
    clouds, clock = {first: Cloud({"a": page(0)}), second: Cloud({"b": page(0)})}, Clock()
    async with monitored(spec, clock, **clouds) as monitor:
        assert [one.share for one in (await monitor.look()).clusters] == [None, None]
        clock.now = 102.0
        clouds[first].pages, clouds[second].pages = {"a": page(30)}, {"b": page(10)}
        assert [one.share for one in (await monitor.look()).clusters] == [0.75, 0.25]
