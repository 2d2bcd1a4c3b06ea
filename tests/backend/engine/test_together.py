"""Side by side as one: all answers, or the first error and nothing that goes on."""

from __future__ import annotations

import asyncio

import pytest

from backend.engine.together import together


async def gives(number: int) -> int:
    await asyncio.sleep(0)
    return number


async def fails() -> int:
    try:
        raise OSError("wire cut")
    except OSError as error:
        raise ValueError("no answer") from error


async def test_all_answers_come_in_the_order_of_the_questions() -> None:
    assert await together(gives(1), gives(2), gives(3)) == [1, 2, 3]
    assert await together() == []


async def test_the_first_error_ends_the_others_and_keeps_its_cause() -> None:
    stopped = asyncio.Event()

    async def endless() -> int:
        try:
            return await asyncio.Event().wait()
        finally:
            stopped.set()

    with pytest.raises(ValueError, match="no answer") as caught:
        await together(endless(), together(endless(), fails()))

    assert stopped.is_set()
    assert isinstance(caught.value.__cause__, OSError)
