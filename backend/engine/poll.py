"""Waiting for a condition without asking too often.

The pause between two looks grows with the time already waited: ``clamp(0.05 x elapsed, 0.2 s, 10 s)``; a server's
Retry-After wins. So a wait notices its end at most five per cent late, whether it takes seconds or half an hour.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Found = TypeVar("Found")

SHORTEST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0


class RetryAfter(Exception):
    """Raised by a check to ask for a pause of so many seconds before the next look."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"retry after {seconds} s")
        self.seconds = seconds


class Expired(TimeoutError):
    """The condition did not hold in time."""

    def __init__(self, waited_s: float) -> None:
        super().__init__(f"gave up after {waited_s:.0f} s")
        self.waited_s = waited_s


def pause_after(elapsed_s: float) -> float:
    """Seconds to pause after having waited for so many seconds."""
    return min(max(0.05 * elapsed_s, SHORTEST_PAUSE_S), LONGEST_PAUSE_S)


async def poll(
    check: Callable[[], Awaitable[Found | None]],
    *,
    timeout_s: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Found:
    """Look until ``check`` returns something other than ``None``; raises ``Expired`` after ``timeout_s`` seconds."""
    began = clock()
    while True:
        pause: float | None = None
        try:
            found = await check()
        except RetryAfter as signal:
            found, pause = None, signal.seconds
        if found is not None:
            return found
        elapsed = clock() - began
        if elapsed >= timeout_s:
            raise Expired(elapsed)
        await sleep(min(pause if pause is not None else pause_after(elapsed), max(timeout_s - elapsed, 0.0)))
