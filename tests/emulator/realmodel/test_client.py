"""Asking the real model's process: taken, busy, gone, and broken off in the middle."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from backend.emulator.realmodel import __main__ as process
from backend.emulator.realmodel.client import MARK, RealAnswer, ask

Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HELLO = [{"role": "user", "content": "hello"}]


class Served:
    """A server that speaks as it is told, and its port."""

    def __init__(self) -> None:
        self._servers: list[asyncio.Server] = []

    async def __call__(self, speak: Speak) -> int:
        server = await asyncio.start_server(speak, "127.0.0.1", 0)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    def close(self) -> None:
        for server in self._servers:
            server.close()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    found = Served()
    yield found
    found.close()


async def read(answer: RealAnswer | None) -> list[str]:
    assert answer is not None
    found = []
    async with asyncio.timeout(5):
        for text in answer:
            found.append(text)
            await asyncio.sleep(0)
    answer.close()
    return [text for text in found if text]


def saying(*lines: object) -> Speak:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        for line in lines:
            writer.write(json.dumps(line).encode() + b"\n")
        writer.close()

    return speak


async def test_an_answer_is_marked_and_comes_token_by_token(served: Served) -> None:
    port = await served(saying({"accepted": True}, {"text": "Hi"}, {"text": " you"}, {"end": True}))
    assert await read(await ask(port, HELLO, 5)) == [MARK, " Hi", " you"]


@pytest.mark.parametrize("lines", [[{"busy": True}], []])
async def test_a_busy_model_and_a_silent_one_leave_the_answer_to_others(served: Served, lines: list[object]) -> None:
    assert await ask(await served(saying(*lines)), HELLO, 5) is None


async def test_a_model_that_is_gone_leaves_the_answer_to_others(served: Served) -> None:
    port = await served(saying())
    served.close()
    assert await ask(port, HELLO, 5) is None


async def test_an_answer_that_breaks_off_ends(served: Served) -> None:
    port = await served(saying({"accepted": True}, {"text": "Hi"}))
    assert await read(await ask(port, HELLO, 5)) == [MARK, " Hi"]


class Slow(process.RealModel):
    """Says the same for ever."""

    def _texts(self, messages: object, limit: int) -> "Slow":
        return self

    def __iter__(self) -> "Slow":
        return self

    def __next__(self) -> str:
        return "word "


async def test_one_client_has_the_model_the_next_waits_and_others_are_sent_away(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "PATIENCE_S", 60)
    model = Slow()
    port = await served(model.serve)
    first = await ask(port, HELLO, 5)
    assert first is not None
    second = asyncio.create_task(ask(port, HELLO, 5))
    async with asyncio.timeout(5):
        while not model._next_waits:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert await ask(port, HELLO, 5) is None
    assert not second.done()
    first.close()
    answer = await second
    assert answer is not None, "a client that hangs up makes room"
    answer.close()
