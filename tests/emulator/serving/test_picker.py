"""Requests through a real Envoy, sent where the picker says."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from backend.emulator.serving.balance import Gauge, Terms
from backend.emulator.serving.envoy import GatewayDataPlane
from backend.emulator.serving.frontends import Backend, Frontend
from tests.emulator.serving.gateways import VIP, listen

SERIES = "vllm:gpu_cache_usage_perc"


class Pod:
    """Says who it is, and how full it claims to be."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cache = 0.0
        self.waiting = 0
        self.port = 0
        self.answered = 0
        self.hold = asyncio.Event()
        self.hold.set()

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_post("/v1/completions", self._answer)
        runner, self.port = await listen(app)
        return runner

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response()

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(text=f'{SERIES}{{model_name="m"}} {self.cache}\nvllm:num_requests_waiting {self.waiting}\n')

    async def _answer(self, _: web.Request) -> web.Response:
        await self.hold.wait()
        self.answered += 1
        return web.Response(text=self.name)

    def backend(self, region: str, terms: Terms | None = None) -> Backend:
        kv = Terms(mode="CUSTOM_METRICS", gauges=(Gauge(self.port, "/metrics", SERIES, 0.6),))
        return Backend(f"{region}/gke", region, "127.0.0.1", self.port, self.name, terms or kv)


class Client:
    """Asks through the door of the near address."""

    def __init__(self, http: aiohttp.ClientSession, plane: GatewayDataPlane) -> None:
        self._http = http
        self._plane = plane

    async def ask(self, prompt: str = "hi", **headers: str) -> tuple[int, str]:
        url = f"http://127.0.0.1:{self._plane.doors()[0].port}/v1/completions"
        async with self._http.post(url, data=json.dumps({"prompt": prompt}), headers=headers) as response:
            return response.status, await response.text()

    async def answer(self) -> str:
        """Who answers, asked again where the one that is meant was not yet found healthy."""
        while (answer := await self.ask())[0] == 503:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        return answer[1]

    async def until(self, answer: str) -> None:
        async with asyncio.timeout(10):
            while (await self.ask())[1] != answer:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


@pytest.fixture
async def pods() -> AsyncIterator[list[Pod]]:
    found = [Pod("west-a"), Pod("west-b"), Pod("east")]
    runners = [await pod.start() for pod in found]
    yield found
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def client(plane: GatewayDataPlane) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as http:
        yield Client(http, plane)


def frontend(*backends: Backend, objectives: tuple[tuple[str, str, int], ...] = ()) -> Frontend:
    return Frontend("gw", "europe-west3", VIP, 80, 100, "/health", backends, objectives)


async def test_traffic_spills_over_at_the_target_and_comes_back(
    pods: list[Pod], plane: GatewayDataPlane, client: Client
) -> None:
    west, other, east = pods
    both = [west.backend("europe-west3"), other.backend("europe-west3"), east.backend("us-east4")]
    await plane.apply([frontend(*both)])
    await client.until("west-a")
    west.cache, other.cache = 0.7, 0.6
    await client.until("east")
    west.cache = 0.4
    await client.until("west-a")
    other.cache, west.cache = 0.1, 0.5
    await client.until("west-b")
    other.cache, west.cache = 0.5, 0.1
    await client.until("west-a")
    west.waiting = 3
    await client.until("west-b")


async def test_a_prompt_that_begins_like_an_earlier_one_stays_with_its_pod(
    pods: list[Pod], plane: GatewayDataPlane, client: Client
) -> None:
    here = {pod.name: pod for pod in pods[:2]}
    await plane.apply([frontend(*(pod.backend("europe-west3") for pod in here.values()))])
    review = "A long review of a pizzeria in Naples. " * 10
    _, first = await client.ask(review)
    (other,) = here.keys() - {first}
    here[first].cache = 0.2
    await client.until(other)
    assert (await client.ask(review + "What is new?"))[1] == first
    assert (await client.ask("Something else. " * 20))[1] == other


async def test_requests_under_way_are_seen_before_they_end(
    pods: list[Pod], plane: GatewayDataPlane, client: Client
) -> None:
    west, _, east = pods
    terms = Terms(mode="IN_FLIGHT", max_in_flight=2)
    await plane.apply([frontend(west.backend("europe-west3", terms), east.backend("us-east4", terms))])
    await client.until("west-a")
    west.hold.clear()
    asked = {asyncio.create_task(client.answer()) for _ in range(4)}
    answered: set[asyncio.Task[str]] = set()
    async with asyncio.timeout(10):
        while len(answered) < 2:
            done, _ = await asyncio.wait(asked - answered, return_when=asyncio.FIRST_COMPLETED)
            answered |= done
    assert {task.result() for task in answered} == {"east"}
    held = asked - answered
    west.hold.set()
    assert set(await asyncio.gather(*held)) == {"west-a"}
    await client.until("west-a")


async def test_sheddable_requests_are_dropped_while_all_pods_are_saturated(
    pods: list[Pod], plane: GatewayDataPlane, client: Client
) -> None:
    west = pods[0]
    objectives = (("europe-west3/gke", "batch", -1), ("europe-west3/gke", "food-review", 10))
    await plane.apply([frontend(west.backend("europe-west3"), objectives=objectives)])
    batch = {"x-gateway-inference-objective": "batch"}
    assert (await client.ask(**batch))[0] == 200
    west.cache = 0.95
    async with asyncio.timeout(10):
        while (answer := await client.ask(**batch))[0] == 200:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert answer[0] == 429
    assert "sheddable request dropped" in answer[1]
    assert (await client.ask(**{"x-gateway-inference-objective": "food-review"}))[0] == 200
    assert (await client.ask())[0] == 200


async def test_a_drained_region_gets_nothing_even_without_the_picker(
    pods: list[Pod], plane: GatewayDataPlane, client: Client
) -> None:
    west, _, east = pods
    drained = Terms(mode="CUSTOM_METRICS", scaler=0)
    await plane.apply([frontend(west.backend("europe-west3", drained), east.backend("us-east4"))])
    await client.until("east")
    assert plane._picker._child is not None
    await plane._picker._child.stop()
    assert [(await client.ask())[1] for _ in range(5)] == ["east"] * 5
    assert west.answered == 0


async def test_the_destination_header_stays_between_the_picker_and_envoy(
    pods: list[Pod], plane: GatewayDataPlane, client: Client
) -> None:
    west = pods[0]
    await plane.apply([frontend(west.backend("europe-west3"))])
    url = f"http://127.0.0.1:{plane.doors()[0].port}/v1/completions"
    async with aiohttp.ClientSession() as http, http.post(url, data=b"x" * 100_000) as response:
        assert response.status == 200
        assert not [name for name in response.headers if name.lower().startswith("x-")]
