"""What the emulated serving path costs and how it settles: added latency, token gaps, use of KV caches after a step.

Run by path: ``python tests/benchmarks/serving.py``. Figures are differences and ratios within one run on one machine:
Envoy with its endpoint picker against the model server asked directly, and the 99th percentile of the time between two
tokens against the pace that the model server aims at under that load. Then load steps up beyond what the near region
may take: 10 s later its KV cache has to be at the policy's target, within 7 points, and the rest spilled over. Ends
with 1 when one of them does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from backend.emulator.serving.balance import Gauge, Terms
from backend.emulator.serving.envoy import GatewayDataPlane
from backend.emulator.serving.frontends import Backend, Frontend
from backend.emulator.serving.generation import Latency
from backend.emulator.serving.loads import series
from backend.emulator.serving.modelserver_client import ModelServerProcess

ADDED_MS = 1.0
"""Milliseconds at the median that the gateway may add on one connection."""
GAP = 2.0
"""How many times its aim the 99th percentile of the time between two tokens may be."""
TARGET, NEAR_BY, SETTLED_S = 0.6, 0.07, 10.0
"""The policy's target, how far from it the near region may be, and how soon after a step."""
STEPS = (12.0, 15.0)
"""Requests a second: more than the near region's two Pods take at the target, less than both regions do."""
REGIONS = ("europe-west3", "us-east4")
SERIES = "vllm:gpu_cache_usage_perc"
PODS = 4
WORDS = ("vllm", "serve", "m", "--max-num-seqs", "512", "--disable-log-requests", "--disable-uvicorn-access-log")


class World:
    """A folder; nobody listens to what changes."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def touch(self) -> None:
        """Nothing follows."""

    def seen(self) -> None:
        """Nobody counts."""


async def model_servers(count: int, *words: str) -> tuple[ModelServerProcess, list[int]]:
    """One model-server process with so many Pods, and their ports."""
    process, ports = ModelServerProcess(), asyncio.Queue[int]()

    def hear(event: dict[str, Any]) -> None:
        if event["event"] == "started":
            ports.put_nowait(event["port"])

    for index in range(count):
        order = {
            "uid": f"pod-{index}",
            "image": "vllm/vllm-openai:v0.8.5",
            "words": [*WORDS, *words],
            "env": {},
            "container": "c",
        }
        await process.add({**order, "syncer": None, "adapters": []}, hear)
    return process, [await ports.get() for _ in range(count)]


async def timed(http: aiohttp.ClientSession, url: str, count: int) -> float:
    """Median of so many requests one after another, in milliseconds."""
    spans = []
    for _ in range(count):
        began = time.perf_counter()
        async with http.get(f"{url}/v1/models") as response:
            await response.read()
        spans.append((time.perf_counter() - began) * 1000)
    return statistics.median(spans)


async def added_latency(count: int) -> tuple[float, float]:
    """Median milliseconds of a request asked directly, and through the gateway."""
    process, ports = await model_servers(1)
    with tempfile.TemporaryDirectory() as home:
        plane = GatewayDataPlane(World(Path(home)))
        terms = Terms(mode="CUSTOM_METRICS", gauges=(Gauge(ports[0], "/metrics", "vllm:gpu_cache_usage_perc", 0.6),))
        backend = Backend("europe-west3/gke-west", "europe-west3", "127.0.0.1", ports[0], "pod", terms)
        await plane.apply([Frontend("gw", "europe-west3", "10.0.0.9", 80, 100, "/health", (backend,))])
        try:
            async with aiohttp.ClientSession() as http:
                urls = [f"http://127.0.0.1:{port}" for port in (ports[0], plane.doors()[0].port)]
                for url in urls:
                    await timed(http, url, 50)
                rounds = [[await timed(http, url, count // 5) for url in urls] for _ in range(5)]
            direct, gateway = (statistics.median(column) for column in zip(*rounds, strict=True))
            return direct, gateway
        finally:
            await plane.close()
            await process.stop()


async def gaps(port: int, streams: int, tokens: int, prompt_tokens: int) -> list[float]:
    """Seconds between two tokens of every one of so many streams at once; raw sockets, because a client costs too."""
    prompt = "word " * prompt_tokens
    body = f'{{"model":"m","prompt":"{prompt}","max_tokens":{tokens},"stream":true,"ignore_eos":true}}'.encode()
    fields = f"host: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    head = f"POST /v1/completions HTTP/1.1\r\n{fields}"
    found: list[float] = []

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.encode() + body)
        last = None
        while data := await reader.read(65536):
            now = time.perf_counter()
            if last is not None:
                found.append(now - last)
            if b"data: " in data:
                last = now
            if b"[DONE]" in data:
                break
        writer.close()

    await asyncio.gather(*(one() for _ in range(streams)))
    return found


def generate(port: int, streams: int, tokens: int, answer: Callable[[list[float]], None]) -> None:
    """A generator process: every generator has an interpreter of its own."""
    answer(uvloop.run(gaps(port, streams, tokens, 64)))


async def gap_ratio(streams: int, tokens: int) -> tuple[float, float]:
    """(the pace aimed at, the 99th percentile seen), in milliseconds between two tokens."""
    process, ports = await model_servers(PODS)
    try:
        queue: multiprocessing.Queue[list[float]] = multiprocessing.Queue()
        each = streams // PODS
        workers = [multiprocessing.Process(target=generate, args=(port, each, tokens, queue.put)) for port in ports]
        for worker in workers:
            worker.start()
        found = sorted([gap for _ in workers for gap in await asyncio.to_thread(queue.get)])
        for worker in workers:
            worker.join()
    finally:
        await process.stop()
    latency = Latency()
    return latency.next_token[0] * latency.slowdown(each) * 1000, found[int(len(found) * 0.99)] * 1000


async def settled() -> list[tuple[float, float, float]]:
    """(requests a second, mean KV-cache use of the near region 10 to 15 s later, share elsewhere) of every step."""
    small = ("--num-gpu-blocks-override", "1000", "--max-model-len", "4096")
    process, ports = await model_servers(PODS, *small)
    backends = tuple(
        Backend(f"{region}/gke", region, "127.0.0.1", port, f"pod-{port}", terms)
        for region, two in zip(REGIONS, (ports[:2], ports[2:]), strict=True)
        for port in two
        for terms in [Terms(mode="CUSTOM_METRICS", gauges=(Gauge(port, "/metrics", SERIES, TARGET),))]
    )
    numbers = itertools.count()
    under_way: set[asyncio.Task[None]] = set()
    found = []
    with tempfile.TemporaryDirectory() as home:
        plane = GatewayDataPlane(World(Path(home)))
        await plane.apply([Frontend("gw", REGIONS[0], "10.0.0.9", 80, 100, "/health", backends)])
        door = f"http://127.0.0.1:{plane.doors()[0].port}/v1/completions"
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as http:

            async def ask() -> None:
                prompt = f"{next(numbers)}. {'word ' * 400}"  # begins like no other, so that it takes blocks of its own
                async with http.post(door, json={"prompt": prompt, "max_tokens": 200, "ignore_eos": True}) as response:
                    await response.read()

            async def look(name: str, of: list[int]) -> float:
                values = []
                for port in of:
                    async with http.get(f"http://127.0.0.1:{port}/metrics") as response:
                        values.append(sum(series(await response.text(), [name]).values()))
                return statistics.mean(values)

            for rate in STEPS:
                began, sent, seen = time.perf_counter(), 0, []
                counted: list[list[float]] = []
                while (now := time.perf_counter() - began) < SETTLED_S + 5:
                    while sent < now * rate:
                        under_way.add(task := asyncio.create_task(ask()))
                        task.add_done_callback(under_way.discard)
                        sent += 1
                    if now >= SETTLED_S:
                        seen.append(await look(SERIES, ports[:2]))
                        counted.append(
                            [await look("vllm:prompt_tokens_total", part) for part in (ports[:2], ports[2:])]
                        )
                    await asyncio.sleep(0.05)
                near, far = (last - first for first, last in zip(counted[0], counted[-1], strict=True))
                found.append((rate, statistics.mean(seen), far / (near + far)))
            for task in list(under_way):
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
        await plane.close()
        await process.stop()
    return found


def main() -> int:
    """Measure and print; 0 when everything holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--tokens", type=int, default=150)
    options = parser.parse_args()
    direct, gateway = uvloop.run(added_latency(options.requests))
    aim, p99 = asyncio.run(gap_ratio(options.streams, options.tokens))
    steps = asyncio.run(settled())
    near = [abs(use - TARGET) <= NEAR_BY and elsewhere > 0 for _, use, elsewhere in steps]
    held = gateway - direct <= ADDED_MS, p99 / aim <= GAP, *near
    told = [
        f"one connection: {direct:.2f} ms directly, {gateway:.2f} ms through the gateway, {gateway - direct:+.2f} ms",
        f"{options.streams} streams, one process: {aim:.1f} ms aimed at, p99 {p99:.1f} ms, {p99 / aim:.2f} times",
        *(
            f"{rate:g} requests/s: near region's KV caches {use:.0%} full 10 s later, {TARGET:.0%} wanted, "
            f"{elsewhere:.0%} elsewhere"
            for rate, use, elsewhere in steps
        ),
        "holds" if all(held) else f"does not hold: at most {ADDED_MS} ms, {GAP} times, {NEAR_BY:.0%} off",
    ]
    sys.stdout.write("\n".join(told) + "\n")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
