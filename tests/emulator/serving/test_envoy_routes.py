"""Routes of the Gateway API as Envoy's own, and an Envoy that takes whatever worlds there are."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from backend.emulator.serving.balance import Terms
from backend.emulator.serving.envoy import GatewayDataPlane
from backend.emulator.serving.envoy_routes import EXACT, PREFIX, Match, Share, grouped
from backend.emulator.serving.frontends import Backend, Check, Frontend
from tests.emulator.serving.gateways import VIP, World, listen

REGIONS = ("europe-west3", "us-east4", "asia-east1")


async def server(name: str) -> tuple[web.AppRunner, int]:
    async def say(_: web.Request) -> web.Response:
        return web.Response(text=name)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", say)
    return await listen(app)


@pytest.fixture
async def ports() -> AsyncIterator[dict[str, int]]:
    found = {name: await server(name) for name in ("llama", "qwen", "canary")}
    yield {name: port for name, (_, port) in found.items()}
    for runner, _ in found.values():
        await runner.cleanup()


def frontend(service: str, port: int, *shares: Share) -> Frontend:
    backend = Backend(f"{REGIONS[0]}/gke", REGIONS[0], "127.0.0.1", port, service)
    name = f"default/{service}"
    return Frontend("gw", REGIONS[0], VIP, 80, 10, "/", (backend,), service=name, shares=shares)


async def test_every_request_goes_where_the_best_match_says(plane: GatewayDataPlane, ports: dict[str, int]) -> None:
    chat = Share(Match("/v1/chat"))
    beta = Share(Match("/", headers=(("x-team", "beta"),)))
    exact = Share(Match("/v1/chat/models", EXACT))
    shop = Share(Match("/", hosts=("*.example.com",)))
    query = Share(Match("/v1", method="GET", query=(("canary", "1"),)))
    await plane.apply(
        [
            frontend("llama", ports["llama"], Share(Match("/v1")), exact),
            frontend("qwen", ports["qwen"], chat, beta),
            frontend("canary", ports["canary"], shop, query),
        ]
    )
    (door,) = plane.doors()
    async with aiohttp.ClientSession() as http:

        async def who(path: str, method: str = "GET", **headers: str) -> str:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            async with http.request(method, f"http://127.0.0.1:{door.port}{path}", headers=sent) as response:
                return await response.text() if response.status == 200 else f"{response.status}"

        assert await who("/v1/completions") == "llama"
        assert await who("/v1") == "llama"
        assert await who("/v1x") == "404"
        assert await who("/v1/chat/completions") == "qwen"
        assert await who("/v1/chat/models") == "llama"
        assert await who("/metrics", x_team="beta") == "qwen"
        assert await who("/v1/models", x_team="beta") == "llama", "the longer path counts before the header"
        assert await who("/v1/models?canary=1") == "canary"
        assert await who("/v1/models?canary=1", "POST") == "llama"
        assert await who("/v1/chat", Host="shop.example.com:8080") == "canary"
        assert await who("/v1/chat", Host="example.com") == "qwen"
        async with http.get(f"http://{VIP}/v1/chat", proxy=f"http://127.0.0.1:{plane.vpc_port()}") as response:
            assert await response.text() == "qwen"
        async with http.get(f"http://127.0.0.1:{door.port}/other") as response:
            assert (response.status, await response.text()) == (404, "fault filter abort")


async def test_one_match_is_shared_by_weight(plane: GatewayDataPlane, ports: dict[str, int]) -> None:
    match = Match("/")
    llama, canary = ports["llama"], ports["canary"]
    some = [frontend("llama", llama, Share(match, 1)), frontend("canary", canary, Share(match, 1))]
    await plane.apply(some)
    (door,) = plane.doors()
    async with aiohttp.ClientSession() as http:

        async def asked(count: int) -> Counter[str]:
            found = Counter[str]()
            for _ in range(count):
                async with http.get(f"http://127.0.0.1:{door.port}/") as response:
                    found[await response.text()] += 1
            return found

        assert set(await asked(40)) == {"llama", "canary"}
        await plane.apply([some[0], replace(some[1], shares=(Share(match, 0),))])
        assert await asked(10) == {"llama": 10}
        await plane.apply([replace(each, shares=(Share(match, 0),)) for each in some])
        assert await asked(1) == {"": 1}


def test_older_routes_come_first_among_equals() -> None:
    old, new = Match(age=("2026-01-01", "b", 0)), Match(age=("2026-01-02", "a", 0))
    found = grouped({"new": [Share(new)], "old": [Share(old)]})
    assert [services for _, services in found] == [{"old": 1}, {"new": 1}]


@st.composite
def matches(draw: st.DrawFn) -> Match:
    words = st.sampled_from(["/", "/v1", "/v1/", "/v1/chat/completions", "/a%20b", "/~x"])
    names = st.sampled_from(["x-team", "X-Objective", "accept"])
    pairs = st.lists(st.tuples(names, st.text(st.characters(codec="ascii", categories=("L", "N", "P")))), max_size=2)
    return Match(
        path=draw(words),
        kind=draw(st.sampled_from([EXACT, PREFIX])),
        method=draw(st.sampled_from(["", "GET", "POST"])),
        headers=tuple(draw(pairs)),
        query=tuple(draw(pairs)),
        hosts=tuple(draw(st.lists(st.sampled_from(["a.example", "*.example", "x"]), max_size=2, unique=True))),
    )


@st.composite
def frontends(draw: st.DrawFn) -> list[Frontend]:
    backends = st.builds(
        Backend,
        cluster=st.sampled_from(["a/one", "b/two"]),
        region=st.sampled_from([*REGIONS, "mars-north1"]),
        host=st.just("127.0.0.1"),
        port=st.integers(20000, 20003),
        pod=st.sampled_from(["p", "q"]),
        terms=st.builds(Terms, scaler=st.sampled_from([0.0, 0.01, 1.0])),
    )
    one = st.builds(
        Frontend,
        gateway=st.just("gw"),
        region=st.sampled_from(REGIONS),
        vip=st.sampled_from([VIP, "10.150.0.9"]),
        port=st.sampled_from([80, 8080]),
        timeout_s=st.sampled_from([0.001, 1, 30, 100_000, 2_147_483_647]),
        health_path=st.sampled_from([None, "/health", "/a?b=c"]),
        backends=st.lists(backends, max_size=6).map(tuple),
        check=st.builds(
            Check,
            interval_s=st.integers(1, 300),
            timeout_s=st.integers(1, 300),
            healthy=st.integers(1, 10),
            unhealthy=st.integers(1, 10),
        ),
        service=st.sampled_from(["", "default/pool", "other/pool", "other/pool.v2"]),
        shares=st.lists(st.builds(Share, matches(), st.sampled_from([0, 1, 1_000_000])), max_size=3).map(tuple),
    )
    found = draw(st.lists(one, max_size=5, unique_by=lambda each: each.name))
    regions = {each.listener: each.region for each in found}
    return [replace(each, region=regions[each.listener], namespace=each.vip) for each in found]


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[tuple[asyncio.Runner, GatewayDataPlane]]:
    with asyncio.Runner() as runner:

        async def made() -> GatewayDataPlane:
            return GatewayDataPlane(World(tmp_path))

        plane = runner.run(made())
        yield runner, plane
        runner.run(plane.close())


@settings(
    max_examples=15, phases=[Phase.generate], deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(found=frontends())
def test_envoy_rejects_no_update_whatever_the_world(
    worlds: tuple[asyncio.Runner, GatewayDataPlane], found: list[Frontend]
) -> None:
    runner, plane = worlds

    async def rejected() -> set[str]:
        await plane.apply(found)
        stats = await plane._stats()
        return {count for name, count in stats.items() if name.endswith("update_rejected")}

    assert runner.run(rejected()) <= {"0"}
