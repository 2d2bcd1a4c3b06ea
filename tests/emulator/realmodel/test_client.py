"""Asking the real model's process: taken, busy, gone, and broken off in the middle."""

import asyncio

import pytest

from backend.emulator.realmodel import __main__ as process
from backend.emulator.realmodel.client import MARK, RealAnswer, ask
from tests.emulator.realmodel.wire import saying, served

HELLO = [{"role": "user", "content": "hello"}]


async def read(answer: RealAnswer | None) -> list[str]:
    assert answer is not None
    found = []
    async with asyncio.timeout(5):
        for text in answer:
            found.append(text)
            await asyncio.sleep(0)
    answer.close()
    return [text for text in found if text]


async def test_an_answer_is_marked_and_comes_token_by_token() -> None:
    async with served(saying({"accepted": True}, {"text": "Hi"}, {"text": " you"}, {"end": True})) as port:
        assert await read(await ask(port, HELLO, 5)) == [MARK, " Hi", " you"]


@pytest.mark.parametrize("lines", [[{"busy": True}], []])
async def test_a_busy_model_and_a_silent_one_leave_the_answer_to_others(lines: list[object]) -> None:
    async with served(saying(*lines)) as port:
        assert await ask(port, HELLO, 5) is None


async def test_a_model_that_is_gone_leaves_the_answer_to_others() -> None:
    async with served(saying()) as port:
        pass
    assert await ask(port, HELLO, 5) is None


async def test_an_answer_that_breaks_off_ends() -> None:
    async with served(saying({"accepted": True}, {"text": "Hi"})) as port:
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
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "PATIENCE_S", 60)
    model = Slow()
    async with served(model.serve) as port:
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
