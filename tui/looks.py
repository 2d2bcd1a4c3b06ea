"""Where the monitor screen's snapshots come from: a stack that runs, or a recording.

Invariants: a live stack is only looked at; a recording asks no cloud, and its times are the recorded ones.
"""

from __future__ import annotations

import asyncio
import bisect
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from backend.monitor import Snapshot
    from backend.stack import Stack

EVERY_S = 2.0
"""Seconds between two looks."""
PACES = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""What the keys step through."""

Show = Callable[["Snapshot"], None]


class Looks(Protocol):
    """What the monitor screen shows."""

    every_s: float
    """Seconds from one snapshot to the next, about."""

    @property
    def live(self) -> bool:
        """Whether it is happening now."""

    async def play(self, show: Show) -> None:
        """Hand over every snapshot as its time comes."""


class LiveLooks:
    """A stack, looked at again and again; each snapshot is also kept where ``keep`` is given."""

    live = True

    def __init__(self, stack: Stack, *, every_s: float = EVERY_S, keep: Show | None = None) -> None:
        self.stack = stack
        self.every_s = every_s
        self._keep = keep

    async def play(self, show: Show) -> None:
        """Look until nobody wants to know any more."""
        async for snapshot in self.stack.monitor().watch(self.every_s):
            if self._keep is not None:
                self._keep(snapshot)
            show(snapshot)


class RecordedLooks:
    """A recording, played at a pace that may change and from any place; wants one snapshot at least."""

    live = False

    def __init__(
        self, snapshots: Sequence[Snapshot], *, pace: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.snapshots = snapshots
        self.pace = pace
        """Times faster than it was recorded."""
        self.paused = False
        self._times = [(one.at - snapshots[0].at).total_seconds() for one in snapshots]
        self.length_s = self._times[-1]
        """Seconds that it covers."""
        gaps = sorted(after - before for before, after in pairwise(self._times))
        self.every_s = max(gaps[len(gaps) // 2], 0.1) if gaps else EVERY_S
        self._clock = clock
        self._mark = (clock(), 0.0)
        self._changed = asyncio.Event()
        self.restart: Callable[[Sequence[Snapshot]], None] = lambda _: None
        """Called with all that came before, when somebody goes to another place."""
        self._next = 0

    @property
    def position_s(self) -> float:
        """Seconds of it that have been played."""
        at, position = self._mark
        return position if self.paused else min(position + (self._clock() - at) * self.pace, self.length_s)

    @property
    def now(self) -> datetime:
        """The recorded time at which it has arrived."""
        return self.snapshots[max(self._next - 1, 0)].at

    async def play(self, show: Show) -> None:
        """Hand over every snapshot when its time has come; at the end wait for somebody to go back."""
        if self._next:
            self.restart(self.snapshots[: self._next])
        while True:
            self._changed.clear()
            while self._next < len(self.snapshots) and self._times[self._next] <= self.position_s + 1e-9:
                self._next += 1
                show(self.snapshots[self._next - 1])
            over = self._next >= len(self.snapshots)
            wait = None if over or self.paused else (self._times[self._next] - self.position_s) / self.pace
            try:
                await asyncio.wait_for(self._changed.wait(), wait)
            except TimeoutError:
                continue

    def toggle(self) -> None:
        """Pause, or go on; at its end begin again."""
        if not self.paused and self.position_s >= self.length_s:
            self.seek(-self.length_s)
            return
        self._mark = (self._clock(), self.position_s)
        self.paused = not self.paused
        self._changed.set()

    def change_pace(self, by: int) -> None:
        """Take the next quicker or slower pace."""
        place = min(range(len(PACES)), key=lambda number: abs(PACES[number] - self.pace))
        self._mark = (self._clock(), self.position_s)
        self.pace = PACES[min(max(place + by, 0), len(PACES) - 1)]
        self._changed.set()

    def seek(self, by_s: float) -> None:
        """Go so many seconds on or back."""
        place = min(max(self.position_s + by_s, 0.0), self.length_s)
        self._mark = (self._clock(), place)
        self._next = max(1, bisect.bisect_right(self._times, place + 1e-9))
        self.restart(self.snapshots[: self._next])
        self._changed.set()
