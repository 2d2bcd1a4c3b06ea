"""A model server in a process of its own, and what it says of itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from backend.emulator.serving.modelserver_client import Event, ModelServerProcess

MODEL = "meta-llama/Llama-3.1-8B-Instruct"
IMAGE = "vllm/vllm-openai:v0.8.5"
WORDS = ["python3", "-m", "vllm.entrypoints.openai.api_server", "--model", MODEL]
BUSY = ("vllm:num_requests_running{", "vllm:num_requests_waiting{", "vllm:gpu_cache_usage_perc{")


class Server:
    """A model server in a process of its own."""

    def __init__(self) -> None:
        self.process = ModelServerProcess()
        self.port = 0

    async def start(self, *words: str) -> None:
        """Start it with further words of its command line, and wait until it accepts connections."""
        up = asyncio.Event()

        def hear(event: Event) -> None:
            if event["event"] == "started":
                self.port = event["port"]
                up.set()

        order = {
            "uid": "1",
            "image": "vllm/vllm-openai:v0.8.5",
            "words": [*WORDS, *words],
            "env": {},
            "container": "vllm",
        }
        await self.process.add(order, hear)
        await up.wait()

    async def busy(self) -> list[float]:
        """Requests running, requests waiting and the share of the KV cache in use."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        lines = (await reader.read()).decode().splitlines()
        writer.close()
        await writer.wait_closed()
        return [float(line.rpartition(" ")[2]) for name in BUSY for line in lines if line.startswith(name)]

    def descriptors(self) -> int:
        """How many files and connections its process has open; Linux only."""
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds; fails after half a minute."""
    async with asyncio.timeout(30):
        while not await true():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
