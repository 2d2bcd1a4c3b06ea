"""Thousands of clients at once: all are answered, and nothing is left of them."""

import asyncio
import json
import resource
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backend.emulator.processes import raise_descriptor_limit
from backend.emulator.serving.envoy import GatewayDataPlane
from backend.emulator.serving.frontends import Backend, Frontend
from tests.emulator.serving.gateways import VIP
from tests.emulator.serving.servers import Server, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="descriptors of another process are counted in /proc")
AT_ONCE = 250
"""Clients that connect, or wait for an answer, at the same time; all stay connected to the end."""
SPARE = 500
MANY = [pytest.param(600, id="600"), pytest.param(10_000, id="10000", marks=pytest.mark.long)]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    raise_descriptor_limit()
    one = Server()
    await one.start("--max-num-seqs", "256", "--disable-log-requests", "--disable-uvicorn-access-log")
    yield one
    await one.process.stop()


async def stay_and_ask(port: int, count: int) -> int:
    """Let so many clients connect, ask once each and stay until all have; how many were answered in full."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < count + SPARE:
        pytest.skip(f"this machine allows no process {count + SPARE} open files")
    body = json.dumps({"prompt": "hello", "max_tokens": 2, "ignore_eos": True}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    turn = asyncio.Semaphore(AT_ONCE)
    writers: list[asyncio.StreamWriter] = []

    async def ask() -> bool:
        async with turn:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writers.append(writer)
            writer.write(f"{head}\r\n\r\n".encode() + body)
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(answer.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            usage = json.loads(await reader.readexactly(length))["usage"]
            return answer.startswith(b"http/1.1 200") and usage["completion_tokens"] == 2

    answered = sum(await asyncio.gather(*(ask() for _ in range(count))))
    assert len(writers) == count
    for writer in writers:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for writer in writers))
    return answered


@pytest.mark.parametrize("count", MANY)
async def test_a_model_server_answers_all_and_keeps_nothing(server: Server, count: int) -> None:
    await server.busy()
    before = server.descriptors()
    assert await stay_and_ask(server.port, count) == count

    async def idle() -> bool:
        return await server.busy() == [0, 0, 0] and server.descriptors() <= before

    await until(idle)


@pytest.mark.parametrize("count", MANY)
async def test_the_gateway_answers_all_and_keeps_nothing(
    server: Server, plane: GatewayDataPlane, tmp_path: Path, count: int
) -> None:
    backend = Backend("europe-west3/gke", "europe-west3", "127.0.0.1", server.port, "pod")
    await plane.apply([Frontend("gateway", "europe-west3", VIP, 80, 100, "/health", (backend,))])
    assert await stay_and_ask(plane.doors()[0].port, count) == count

    async def let_go() -> bool:
        return await connections(tmp_path / "envoy" / "admin.sock") == 0 and await server.busy() == [0, 0, 0]

    await until(let_go)


async def connections(admin: Path) -> int:
    """Clients that Envoy holds, of its addresses and with requests at the picker."""
    reader, writer = await asyncio.open_unix_connection(str(admin))
    wanted = r"^(cluster\.picker\.upstream|http\.vip.*\.downstream)_cx_active$"
    writer.write(f"GET /stats?filter={wanted} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
    lines = (await reader.read()).decode().splitlines()
    writer.close()
    await writer.wait_closed()
    return sum(int(line.rpartition(": ")[2]) for line in lines if "_cx_active" in line)
