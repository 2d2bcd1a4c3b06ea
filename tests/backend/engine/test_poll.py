"""Polling in made-up time: few looks, never much too late."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.engine.poll import Expired, RetryAfter, pause_after, poll


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@given(st.floats(0, 3000))
async def test_the_end_is_noticed_soon_and_with_few_looks(ready_at: float) -> None:
    time, looks = Time(), 0

    async def check() -> str | None:
        nonlocal looks
        looks += 1
        return "yes" if time.now >= ready_at else None

    assert await poll(check, timeout_s=4000, clock=lambda: time.now, sleep=time.sleep) == "yes"
    assert time.now - ready_at <= max(0.2, 0.0501 * ready_at)
    assert looks <= 400


async def test_retry_after_wins() -> None:
    time = Time()

    async def check() -> str | None:
        if time.now < 7:
            raise RetryAfter(7)
        return "yes"

    await poll(check, timeout_s=100, clock=lambda: time.now, sleep=time.sleep)
    assert time.pauses == [7]


async def test_it_gives_up_on_time_and_says_how_long_it_waited() -> None:
    time = Time()

    async def never() -> None:
        return None

    with pytest.raises(Expired) as expired:
        await poll(never, timeout_s=30, clock=lambda: time.now, sleep=time.sleep)
    assert expired.value.waited_s == pytest.approx(30)
    assert time.now == pytest.approx(30)


async def test_errors_of_the_check_come_through() -> None:
    async def broken() -> None:
        raise LookupError("no")

    with pytest.raises(LookupError):
        await poll(broken, timeout_s=1)


def test_pauses_stay_within_their_bounds() -> None:
    assert (pause_after(0), pause_after(60), pause_after(3600)) == (0.2, 3.0, 10.0)
