"""Clients that go away by the hundred, at every stage of a request, from a model server and from the gateway."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from backend.emulator.serving.envoy import GatewayDataPlane
from backend.emulator.serving.frontends import Backend, Frontend
from tests.emulator.serving.gateways import VIP
from tests.emulator.serving.servers import Server, until

MANY = 150


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    one = Server()
    await one.start("--max-num-seqs", "20")
    yield one
    await one.process.stop()


def request(*, stream: bool = True) -> tuple[bytes, bytes]:
    """The head and the body of a request that would run for minutes."""
    asked = {"prompt": "hello " * 40, "max_tokens": 9000, "ignore_eos": True, "stream": stream}
    body = json.dumps(asked).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return f"{head}\r\n\r\n".encode(), body


async def leave(
    port: int, *sent: bytes, last: Callable[[asyncio.StreamReader], Awaitable[object]] | None = None
) -> None:
    """Connect, send, perhaps wait for something, and hang up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in sent:
        writer.write(part)
    if last is not None:
        await last(reader)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors of another process are counted in /proc")
async def test_a_client_that_hangs_up_at_any_stage_leaves_nothing_behind(server: Server) -> None:
    head, body = request()
    _, whole = request(stream=False)
    unstreamed = head.replace(str(len(body)).encode(), str(len(whole)).encode()) + whole
    half = body[: len(body) // 2]

    async def busy() -> bool:
        return (await server.busy())[0] > 0

    async def first_event(reader: asyncio.StreamReader) -> None:
        await reader.readuntil(b"data: ")

    await busy()
    before = server.descriptors()

    async def idle() -> bool:
        return await server.busy() == [0, 0, 0] and server.descriptors() <= before

    stages: dict[str, tuple[bytes, ...]] = {
        "no word": (),
        "headers only": (head,),
        "half a body": (head, half),
        "gone at once": (head, body),
        "gone while it waits for a whole answer": (unstreamed,),
    }
    for sent in stages.values():
        await asyncio.gather(*(leave(server.port, *sent) for _ in range(MANY)))
        await until(idle)
    await asyncio.gather(*(leave(server.port, head, body, last=first_event) for _ in range(20)))
    await until(idle)

    seen = asyncio.Event()

    async def in_the_queue(_: asyncio.StreamReader) -> None:
        await seen.wait()

    async def queued() -> bool:
        return (await server.busy())[:2] == [20, MANY - 20]

    leaving = asyncio.gather(*(leave(server.port, unstreamed, last=in_the_queue) for _ in range(MANY)))
    await until(queued)
    seen.set()
    await leaving
    await until(idle)


async def test_a_client_that_sent_more_behind_its_request_is_missed_all_the_same(server: Server) -> None:
    _, body = request(stream=False)
    head = request()[0].replace(str(len(request()[1])).encode(), str(len(body)).encode())

    async def running() -> bool:
        return (await server.busy())[0] == 1

    async def idle() -> bool:
        return await server.busy() == [0, 0, 0]

    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(head + body)
    await until(running)
    writer.write(head + body)
    await writer.drain()
    assert await running()
    writer.close()
    await writer.wait_closed()
    await until(idle)
    assert reader.at_eof()


async def test_the_gateway_keeps_no_connection_for_clients_that_are_gone(
    server: Server, plane: GatewayDataPlane, tmp_path: Path
) -> None:
    backend = Backend("europe-west3/gke", "europe-west3", "127.0.0.1", server.port, "pod")
    owner = "europe-west3/gke/default/gateway"
    await plane.apply([Frontend(owner, "europe-west3", VIP, 80, 100, "/health", (backend,))])
    door = plane.doors()[0].port
    head, body = request()
    admin = tmp_path / "envoy" / "admin.sock"
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(admin))) as http:

        async def held() -> list[str]:
            wanted = r"^(cluster\.picker\.upstream|http\.vip.*\.downstream)_cx_active$"
            async with http.get("http://envoy/stats", params={"filter": wanted}) as response:
                return [line for line in (await response.text()).splitlines() if not line.endswith(": 0")]

        async def let_go() -> bool:
            return not await held() and await server.busy() == [0, 0, 0]

        async def leave_after(seconds: float) -> None:
            async def a_moment(_: asyncio.StreamReader) -> None:
                await asyncio.sleep(seconds)

            await leave(door, head, body, last=a_moment)

        await asyncio.gather(
            *(leave_after(number / 1000) for number in range(2 * MANY)),
            *(leave(door, head, body[:9]) for _ in range(MANY)),
        )
        assert any("picker" in line for line in await held())
        await until(let_go)
