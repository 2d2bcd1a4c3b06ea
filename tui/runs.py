"""Where a run on the screen comes from: the engine at work, or a journal played again.

Both hand the same events to the same listener. Invariants: a live run works through ``Stack`` and nothing else; a
recording asks no cloud, and its times are the recorded ones.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from backend import stockout
from backend.engine.durations import Duration
from backend.engine.events import Emit, Event, Outcome, RunStarted, Verb
from backend.engine.plan import Plan
from backend.errors import CloudError
from tui.commands import guard, teardown
from tui.step_facts import StepFacts, facts_of_events, facts_of_plan
from tui.style import times_faster

if TYPE_CHECKING:
    from backend.engine.apply import Result
    from backend.stack import Spent, Stack
    from tui.commands.teardown import Remains

LENGTH_S = 60.0
"""Seconds that a recording takes at most, where no pace is asked for."""
PACES = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 600.0, math.inf)
"""What the keys step through."""
COUNTED_S = 20.0
"""Most seconds between two counts of what was spent, while the guard is not passed."""
_AT_ONCE = 256
"""Events that are handed over before others get their turn."""


class RunSource(Protocol):
    """What the run screen shows."""

    @property
    def stack_name(self) -> str:
        """The stack's name."""

    @property
    def verb(self) -> Verb:
        """What the run is for."""

    @property
    def where(self) -> str:
        """The cloud and the pace, in words."""

    @property
    def speed(self) -> float | None:
        """How many times faster than real time the cloud plays; ``None`` on a real cloud."""

    @property
    def facts(self) -> Sequence[StepFacts]:
        """What is known of every step."""

    async def play(self, emit: Emit, note: Callable[[str], None]) -> None:
        """Hand over every event as it comes; cancelling stops the run cleanly."""

    def now(self) -> datetime:
        """The time on the run's own clock."""

    def left(self) -> Duration | None:
        """Seconds on this machine's clock until it ends; ``None`` where nobody knows."""

    @property
    def spent(self) -> Spent | None:
        """What the whole stack has cost, as it was last counted; ``None`` where nobody counts."""

    @property
    def guard_at(self) -> datetime | None:
        """When the guard will be passed; ``None`` without one."""

    @property
    def guard(self) -> str:
        """Which limits of the guard are passed, in words; empty when none is."""


class LiveRun:
    """A plan that is carried out."""

    def __init__(self, stack: Stack, plan: Plan, *, ignore: Collection[str] = ()) -> None:
        self.stack, self.plan = stack, plan
        self.stack_name, self.verb = stack.spec.name, plan.verb
        self.speed = stack.connection.speed
        self.where = place(stack)
        self.facts: Sequence[StepFacts] = facts_of_plan(plan)
        self.result: Result | None = None
        """How it ended; ``None`` before, and when it was stopped."""
        self.remains: Remains | None = None
        """What a finished destroy left; ``None`` before, and after an apply."""
        self.spent: Spent | None = None
        self.guard_at: datetime | None = None
        self.guard = ""
        self._ignore = tuple(ignore)
        self._forecast = stack.forecast(plan)

    async def play(self, emit: Emit, note: Callable[[str], None]) -> None:
        """Carry the plan out; raises what ``Stack.apply`` raises."""

        def both(event: Event) -> None:
            self._forecast(event)
            emit(event)

        watching = asyncio.create_task(self._watch(note))
        try:
            self.result = await self.stack.apply(self.plan, emit=both, note=note, ignore=self._ignore)
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    async def _watch(self, note: Callable[[str], None]) -> None:
        """Count what was spent now and then, and say once that the guard is passed."""
        told = False
        while self.verb is Verb.APPLY and self.stack.spec.guard is not None:
            left = await self._count()
            if self.guard and not told:
                told = True
                note(f"guard: {self.guard}. c stops the run; then d takes the stack away.")
            pause = guard.LONGEST_PAUSE_S if left is None else left
            await asyncio.sleep(min(max(pause, guard.SHORTEST_PAUSE_S), guard.LONGEST_PAUSE_S if told else COUNTED_S))

    async def _count(self) -> float | None:
        """Count what was spent; gives the seconds until the guard is passed."""
        with suppress(CloudError):
            self.spent = await self.stack.money.spent()
            self.guard = self.stack.money.guard_passed(self.spent)
            left = self.stack.money.guard_left_s(self.spent)
            self.guard_at = None if left is None else self.spent.at + timedelta(seconds=left)
            return left
        return None

    async def look_back(self) -> None:
        """Find out, once it is over, what is left of a destroy, and what an apply has cost under its guard."""
        if self.verb is Verb.APPLY and self.stack.spec.guard is not None:
            await self._count()
        if self.result is not None and self.result.outcome is Outcome.SUCCEEDED:
            with suppress(CloudError):
                self.remains = await teardown.remains(self.stack, self.plan)

    @property
    def out_of_stock(self) -> tuple[str, ...]:
        """Names of the clusters whose pools could not be had, and for which there is something else."""
        if self.result is None or self.verb is Verb.DESTROY:
            return ()
        found = stockout.without_machines(self.result)
        return tuple(name for name in found if stockout.alternatives(self.stack.spec, name))

    def now(self) -> datetime:
        """The time."""
        return datetime.now(UTC)

    def left(self) -> Duration | None:
        """Seconds until it ends; ``None`` where waiting is left out."""
        if self.speed is not None and math.isinf(self.speed):
            return None
        return self._forecast.left(self.now())

    def with_other(self, stack: Stack, plan: Plan) -> LiveRun:
        """The run of another plan of the stack, opened with other answers, that ignores the same checks."""
        return LiveRun(stack, plan, ignore=self._ignore)

    async def again(self) -> LiveRun:
        """Look at the cloud once more and give the run of what is still to be done."""
        return LiveRun(self.stack, await self.stack.plan(self.verb), ignore=self._ignore)


class RecordedRun:
    """A journal, played at a pace that may change; raises ``ValueError`` for one without a run in it."""

    spent: Spent | None = None
    guard_at: datetime | None = None
    guard = ""

    def __init__(
        self, events: Sequence[Event], *, pace: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if not events or not isinstance(events[0].payload, RunStarted):
            raise ValueError("no run begins in it")
        started = events[0].payload
        self.events = events
        self.stack_name, self.verb, self.speed = started.stack, started.verb, started.speed
        self.facts: Sequence[StepFacts] = facts_of_events(events)
        self.length_s = (events[-1].at - events[0].at).total_seconds()
        """Seconds that the run took."""
        self.paused = False
        self.pace = pace if pace is not None else max(1.0, self.length_s / LENGTH_S)
        """Times faster than it was recorded."""
        self._clock = clock
        self._mark = (clock(), 0.0)
        self._changed = asyncio.Event()

    @property
    def where(self) -> str:
        """That it is a recording, of when, and how fast it plays."""
        speed = "at once" if math.isinf(self.pace) else f"{self.pace:.3g} times as fast"
        state = "paused" if self.paused else "as recorded" if self.pace == 1 else speed
        return f"recorded on {self.events[0].at.astimezone():%Y-%m-%d %H:%M}, {state}"

    async def play(self, emit: Emit, note: Callable[[str], None]) -> None:
        """Hand over every event when its time has come."""
        del note
        self._mark = (self._clock(), 0.0)
        for count, event in enumerate(self.events, 1):
            while (wait := self._wait_s(event)) > 0:
                await self._sleep(wait)
            emit(event)
            if count % _AT_ONCE == 0:
                await asyncio.sleep(0)

    def now(self) -> datetime:
        """The time at which the recording has arrived."""
        return self.events[0].at + timedelta(seconds=min(self.position_s, self.length_s))

    def left(self) -> Duration | None:
        """Seconds until it is over, at the present pace."""
        if math.isinf(self.pace):
            return Duration(0.0, 0.0)
        left = max(self.length_s - self.position_s, 0.0) / self.pace
        return Duration(left, left)

    @property
    def position_s(self) -> float:
        """Seconds of the recording that have been played."""
        at, position = self._mark
        if self.paused:
            return position
        return self.length_s if math.isinf(self.pace) else position + (self._clock() - at) * self.pace

    def toggle(self) -> None:
        """Pause, or go on."""
        self._mark = (self._clock(), self.position_s)
        self.paused = not self.paused
        self._changed.set()

    def faster(self) -> None:
        """Take the next quicker pace."""
        self._set(next((one for one in PACES if one > self.pace), self.pace))

    def slower(self) -> None:
        """Take the next slower pace."""
        self._set(next((one for one in reversed(PACES) if one < self.pace), self.pace))

    def _set(self, pace: float) -> None:
        self._mark = (self._clock(), self.position_s)
        self.pace = pace
        self._changed.set()

    def _wait_s(self, event: Event) -> float:
        missing = (event.at - self.events[0].at).total_seconds() - self.position_s
        if self.paused:
            return math.inf
        return 0.0 if math.isinf(self.pace) else missing / self.pace

    async def _sleep(self, seconds: float) -> None:
        self._changed.clear()
        try:
            await asyncio.wait_for(self._changed.wait(), None if math.isinf(seconds) else seconds)
        except TimeoutError:
            return


def place(stack: Stack) -> str:
    """A stack's cloud and its pace, in words."""
    speed = stack.connection.speed
    return stack.connection.description if speed is None else f"on this machine, {times_faster(speed)}"
