"""Drains a region by policy while a light load runs, measures what that did, and restores it.

A quarter of the time shows how it was, half of it the region is drained, and a last quarter shows it come back.
Invariants: the region is restored on every way out that lets a process act at all; what a killed one leaves behind
carries the time until which it was meant to last, so that the next plan sees and mends it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from backend.errors import Conflict, RateLimited, Unavailable, UsageError
from backend.load.job import Load
from backend.load.result import LoadResult, Point
from backend.load.run import Each
from backend.load.tally import Tally
from backend.monitor.pages import added, summed
from backend.resources import drained
from backend.resources.manifests import is_ours
from backend.spec import GatewaySpec

if TYPE_CHECKING:
    from backend.clients import Clients

LOOK_S = 0.5
"""Seconds between two looks: the grain of the times that are measured."""
MARGIN_S = 60.0
"""Seconds beyond the drained half after which a drill counts as forgotten."""
RESTORES, RESTORE_AGAIN_S = 5, 2.0
"""Times that restoring is tried while the API server does not answer, and seconds between two."""
SHORTEST_S = 8.0
RATE, SECONDS, PROMPT_TOKENS, MAX_TOKENS = 4.0, 120.0, 200, 50
"""A light load: many short requests show a gap better than few long ones."""


@dataclass(frozen=True, slots=True)
class Drill:
    """The drill that is wanted."""

    region: str
    rate: float = RATE
    """Requests a second, sent from the region itself."""
    seconds: float = SECONDS
    """How long in all; raises ``UsageError`` below ``SHORTEST_S``."""

    def __post_init__(self) -> None:
        if not self.seconds >= SHORTEST_S:
            raise UsageError(
                f"{self.seconds:g} s are too short for a drill",
                cause="a quarter before, half of it drained and a quarter after are measured",
                fix=f"--seconds {SHORTEST_S:g} or more",
            )

    @property
    def load(self) -> Load:
        """The traffic that goes on meanwhile."""
        return Load(self.rate, self.seconds, self.region, PROMPT_TOKENS, MAX_TOKENS)

    def check(self, spec: GatewaySpec) -> None:
        """Raise ``UsageError`` when the region cannot be drained."""
        regions = sorted({cluster.region for cluster in spec.targets})
        if self.region not in regions:
            raise UsageError(
                f"{spec.name} has no model servers in {self.region}",
                cause=f"it has some in {', '.join(regions)}",
                fix=f"--region {regions[0]}",
            )
        if len(regions) == 1:
            raise UsageError(
                f"{self.region} is the only region of {spec.name}",
                cause="nobody would take its traffic over",
                fix="add a cluster in another region, then `mcig apply`",
            )


@dataclass(frozen=True, slots=True)
class DrillResult:
    """What a drill showed. Times in seconds are as fine as ``LOOK_S``."""

    stack: str
    region: str
    sent: int
    lost: int | None
    """Requests without an answer; None when the client told nothing."""
    slowed: float | None
    """Requests whose first token took longer than every one's before the drain, by the Pods' clocks."""
    slow_s: float | None
    """How long that is: the bound of the Pods' histogram."""
    share_before: float | None
    """The region's share of the requests, 0..1, before it was drained."""
    moved_s: float | None
    """From the policy's change until the look at which the last request had come to the region.

    0 when none came after it, None when they went on coming.
    """
    back_s: float | None
    """From the restoring until requests came again; None when none came in the time that was left."""
    drained_s: float
    """How long the region was drained."""
    restored: bool
    load: LoadResult

    @property
    def ok(self) -> bool:
        """Whether traffic moved and nothing was lost."""
        return self.load.ok and self.lost == 0 and self.moved_s is not None and self.restored

    def to_json(self) -> dict[str, Any]:
        """The document of ``mcig drill --json``."""
        return {name: value for name, value in asdict(self).items() if name != "load"} | {"load": self.load.to_json()}


@dataclass(slots=True)
class _Course:
    started: float | None = None
    drained: float | None = None
    restored: float | None = None
    last_in: float | None = None
    """The last look while drained at which requests had come to the region."""
    back: float | None = None
    came: float = 0.0
    came_all: float = 0.0
    before: Mapping[float, float] | None = None
    """Times to the first token until the drain."""


class Traffic(Protocol):
    """What a drill needs of the load test that runs meanwhile."""

    @property
    def tally(self) -> Tally: ...
    async def run(self, each: Each) -> LoadResult: ...


class DrillRun:
    """One drill of one stack; the caller holds the stack's lock."""

    def __init__(
        self,
        spec: GatewaySpec,
        clients: Clients,
        drill: Drill,
        *,
        test: Traffic,
        note: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        drill.check(spec)
        self._clock = clock
        self._spec, self._drill, self._test, self._note = spec, drill, test, note
        self._kube = clients.kube(spec.config_cluster)
        self._mine = {cluster.name for cluster in spec.targets if cluster.region == drill.region}
        self._course = _Course()

    async def run(self) -> DrillResult:
        """Run to the end; raises ``Conflict`` when the policy is not mcig's or is drained already."""
        policy = await drained.read(self._kube, self._spec)
        self._refuse(policy)
        try:
            load = await self._test.run(self._each)
        finally:
            if self._course.drained is not None and self._course.restored is None:
                await self._restore()
        left = drained.until(await drained.read(self._kube, self._spec))
        return self._result(load, restored=left is None)

    def _refuse(self, policy: Mapping[str, Any] | None) -> None:
        name = self._spec.name
        if policy is None or not is_ours(policy, self._spec):
            raise Conflict(
                f"the backend policy of {name} is {'not there' if policy is None else 'not made by mcig'}",
                cause="a drill changes the policy, and only one of mcig's own",
                fix=f"mcig plan {name}",
            )
        end = drained.until(dict(policy))
        if end is not None:
            raise Conflict(
                f"a region of {name} is drained already, until {end}",
                cause="an earlier drill was killed before it could restore the policy",
                fix=f"mcig apply {name} --only backend-policy",
            )

    async def _each(self, point: Point) -> None:
        """Follow the course: drain after a quarter of the time, restore after three."""
        course, now = self._course, self._clock()
        came = sum(each.requests for each in point.clusters if each.name in self._mine)
        if course.started is None:
            course.started = now if point.requests > 0 else None
            return
        gone = now - course.started
        if course.drained is None:
            course.came, course.came_all = course.came + came, course.came_all + point.requests
            if gone >= self._drill.seconds / 4:
                course.before = self._ttft()
                await self._drain()
        elif course.restored is None:
            if came > 0:
                course.last_in = now
            if gone >= self._drill.seconds * 3 / 4:
                await self._restore()
        elif came > 0 and course.back is None:
            course.back = now

    async def _drain(self) -> None:
        end = datetime.now(UTC) + timedelta(seconds=self._drill.seconds / 2 + MARGIN_S)
        self._course.drained = self._clock()
        await self._kube.apply(drained.drained(self._spec, self._drill.region, end), manager=drained.MANAGER)
        self._note(f"{self._drill.region} is drained: its clusters have no capacity in the policy")

    async def _restore(self) -> None:
        for attempt in range(1, RESTORES + 1):
            try:
                await asyncio.shield(self._kube.apply(drained.restored(self._spec), manager=drained.MANAGER))
                break
            except (Unavailable, RateLimited):
                if attempt == RESTORES:
                    raise
                await asyncio.sleep(RESTORE_AGAIN_S)
        self._course.restored = self._clock()
        self._note(f"{self._drill.region} is restored")

    def _ttft(self) -> dict[float, float]:
        return summed([count.ttft for count in self._test.tally.counts.values()])

    def _result(self, load: LoadResult, *, restored: bool) -> DrillResult:
        course = self._course
        slow_s, slowed = slower(course.before or {}, self._ttft())
        found = DrillResult(
            stack=self._spec.name,
            region=self._drill.region,
            sent=load.load.requests,
            lost=load.lost,
            slowed=slowed,
            slow_s=slow_s,
            share_before=course.came / course.came_all if course.came_all > 0 else None,
            moved_s=None,
            back_s=None,
            drained_s=0.0,
            restored=restored,
            load=load,
        )
        if course.drained is None or course.restored is None:
            return found
        last = course.drained if course.last_in is None else course.last_in
        quiet = course.restored - last >= max(3 / self._drill.rate, 2 * LOOK_S)
        return replace(
            found,
            moved_s=round(last - course.drained, 2) if quiet else None,
            back_s=None if course.back is None else round(course.back - course.restored, 2),
            drained_s=round(course.restored - course.drained, 2),
        )


def slower(before: Mapping[float, float], whole: Mapping[float, float]) -> tuple[float | None, float | None]:
    """The bound in seconds below which every time before lay, and how many times since then lay above it.

    Both are None when there was none before, or when the bound is the unbounded one.
    """
    total = max(before.values(), default=0.0)
    bound = min((bound for bound, count in before.items() if count >= total), default=None)
    if total <= 0 or bound is None or bound == float("inf"):
        return None, None
    since = added(before, whole)
    return bound, max(since.values(), default=0.0) - since.get(bound, 0.0)
