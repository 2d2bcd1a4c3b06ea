"""What the emulated serving path costs: the gateway's added latency, and token gaps under a thousand streams.

Run by path: ``python tests/benchmarks/serving.py``. Figures are differences and ratios within one run on one machine:
Envoy with its endpoint picker against the model server asked directly, and the 99th percentile of the time between two
tokens against the pace that the model server aims at under that load. Ends with 1 when one of them does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
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
from backend.emulator.serving.engine import Latency
from backend.emulator.serving.envoy import Backend, Frontend, GatewayDataPlane
from backend.emulator.serving.modelserver_client import ModelServerProcess

ADDED_MS = 1.0
"""Milliseconds at the median that the gateway may add on one connection."""
GAP = 2.0
"""How many times its aim the 99th percentile of the time between two tokens may be."""
PODS = 4
WORDS = ("vllm", "serve", "m", "--max-num-seqs", "512", "--disable-log-requests", "--disable-uvicorn-access-log")


class World:
    """A folder; nobody listens to what changes."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def touch(self) -> None:
        """Nothing follows."""


async def model_servers(count: int) -> tuple[ModelServerProcess, list[int]]:
    """One model-server process with so many Pods, and their ports."""
    process, ports = ModelServerProcess(), asyncio.Queue[int]()

    def hear(event: dict[str, Any]) -> None:
        if event["event"] == "started":
            ports.put_nowait(event["port"])

    for index in range(count):
        order = {"uid": f"pod-{index}", "image": "vllm/vllm-openai:v0.8.5", "words": WORDS, "env": {}, "container": "c"}
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


def main() -> int:
    """Measure and print; 0 when everything holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--tokens", type=int, default=150)
    options = parser.parse_args()
    direct, gateway = uvloop.run(added_latency(options.requests))
    aim, p99 = asyncio.run(gap_ratio(options.streams, options.tokens))
    held = gateway - direct <= ADDED_MS, p99 / aim <= GAP
    told = [
        f"one connection: {direct:.2f} ms directly, {gateway:.2f} ms through the gateway, {gateway - direct:+.2f} ms",
        f"{options.streams} streams, one process: {aim:.1f} ms aimed at, p99 {p99:.1f} ms, {p99 / aim:.2f} times",
        "holds" if all(held) else f"does not hold: at most {ADDED_MS} ms and {GAP} times",
    ]
    sys.stdout.write("\n".join(told) + "\n")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
