"""A run so far, as data for a screen: lanes of steps, what each is doing, how far it all is.

A listener of the engine's events like the journal and the plain printer. Invariants: taking an event draws nothing, so
a thousand a second cost little; the same events give the same picture, live or from a journal; the share that is done
never shrinks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from backend.engine.events import (
    Action,
    Event,
    Failure,
    Outcome,
    RunFinished,
    RunStarted,
    StepFinished,
    StepNote,
    StepStarted,
)
from tui.step_facts import StepFacts
from tui.style import SHARED, clock, elapsed

NOTES_KEPT = 50
"""Notes of one step that are kept."""
LINES_KEPT = 5000
"""Lines of the log that are kept."""
_NEARLY = 0.95
"""Share of a running step that is counted as done at most."""


class State(StrEnum):
    """Where a step stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    SKIPPED = "skipped"
    STOPPED = "stopped"


_DOING = {
    Action.CREATE: "creating",
    Action.UPDATE: "updating",
    Action.REPLACE: "replacing",
    Action.DELETE: "deleting",
    Action.NO_OP: "looking",
}
_DID = {
    Action.CREATE: "created",
    Action.UPDATE: "updated",
    Action.REPLACE: "replaced",
    Action.DELETE: "deleted",
    Action.NO_OP: "as it is",
}
_ENDED = {
    Outcome.SUCCEEDED: State.DONE,
    Outcome.FAILED: State.FAILED,
    Outcome.SKIPPED: State.SKIPPED,
    Outcome.CANCELLED: State.STOPPED,
}


@dataclass(slots=True)
class StepProgress:
    """A step and how it goes."""

    facts: StepFacts
    state: State = State.WAITING
    began: datetime | None = None
    elapsed_s: float | None = None
    """Seconds of this machine's clock that it took; ``None`` until it has ended."""
    notes: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=NOTES_KEPT))
    """(seconds since the start of the run, text), the latest last."""
    operation: str | None = None
    error: Failure | None = None
    reason: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def word(self) -> str:
        """Its state in one word, which the sign beside it repeats."""
        match self.state:
            case State.RUNNING:
                return _DOING[self.facts.action]
            case State.DONE | State.UNCHANGED:
                return _DID[self.facts.action]
            case State.FAILED:
                return "FAILED"
            case state:
                return str(state)

    def lasted_s(self, now: datetime) -> float | None:
        """Seconds since it began, or that it took; ``None`` before it begins."""
        if self.elapsed_s is not None:
            return self.elapsed_s
        return None if self.began is None else max((now - self.began).total_seconds(), 0.0)


@dataclass(frozen=True, slots=True)
class Lane:
    """The steps of one region, or those that all regions share."""

    name: str
    cluster: str
    """Name of the region's cluster; empty for the shared lane, and where there are several or none."""
    steps: tuple[StepProgress, ...]

    def short(self, resource: str) -> str:
        """The resource's name without what the lane's heading says already."""
        if not self.cluster:
            return resource.removesuffix(f"/{self.name}")
        name = resource.removesuffix(f"@{self.cluster}").removesuffix(f"/{self.cluster}").removesuffix(f"/{self.name}")
        return name.replace(f"/{self.cluster}/", "/")


class Progress:
    """What a run has told so far."""

    def __init__(self, steps: Iterable[StepFacts], *, speed: float | None = None) -> None:
        self.steps: dict[str, StepProgress] = {facts.resource: StepProgress(facts) for facts in steps}
        self.speed = speed
        """How many times faster than real time it plays; ``None`` on a real cloud and where nobody knows."""
        self.lanes = _lanes(tuple(self.steps.values()))
        self.started: datetime | None = None
        self.last: datetime | None = None
        """When the latest event happened."""
        self.finished: RunFinished | None = None
        self.lines: deque[str] = deque(maxlen=LINES_KEPT)
        """The log."""
        self.told = 0
        """Number of lines that were ever added to the log."""
        self._share = 0.0

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        self.started = self.started or event.at
        self.last = event.at
        match event.payload:
            case RunStarted():
                pass
            case StepStarted() as begun:
                step = self._step(begun.resource, begun.action)
                step.state, step.began = State.RUNNING, event.at
                self._log(event, begun.resource, step.word)
            case StepNote() as note:
                step = self._step(note.resource, Action.CREATE)
                step.operation = note.operation or step.operation
                if not step.notes or step.notes[-1][1] != note.text:
                    step.notes.append((self.elapsed(event.at), note.text))
                    self._log(event, note.resource, note.text)
            case StepFinished() as ended:
                self._end(event, ended)
            case RunFinished() as run:
                self.finished = run
                counts = ", ".join(f"{count} {word}" for word, count in run.counts.items() if count)
                self._log(event, "run", f"{run.outcome} in {elapsed(run.elapsed_s)}: {counts or 'nothing to do'}")

    def elapsed(self, now: datetime) -> float:
        """Seconds since the run began."""
        return 0.0 if self.started is None else max((now - self.started).total_seconds(), 0.0)

    @property
    def ended(self) -> int:
        """Number of steps that are over."""
        return sum(step.state not in {State.WAITING, State.RUNNING} for step in self.steps.values())

    @property
    def failed(self) -> tuple[StepProgress, ...]:
        """The steps that failed by themselves."""
        return tuple(step for step in self.steps.values() if step.state is State.FAILED)

    @property
    def running(self) -> tuple[StepProgress, ...]:
        """The steps under way, the longest first."""
        under_way = [step for step in self.steps.values() if step.state is State.RUNNING]
        return tuple(sorted(under_way, key=lambda step: -step.facts.estimate_s))

    def share(self, now: datetime) -> float:
        """Share of the work that is done, 0 to 1, every step weighed with its usual length."""
        weights = {name: 1.0 + step.facts.estimate_s for name, step in self.steps.items() if _moves(step)}
        done = sum(weights[name] * self._done(self.steps[name], now) for name in weights)
        self._share = max(self._share, done / sum(weights.values()) if weights else float(self.finished is not None))
        return self._share

    def spent_usd(self, now: datetime) -> float | None:
        """What the things made so far have cost, in real dollars; ``None`` where waiting is left out."""
        if self.speed == float("inf"):
            return None
        hours = {
            step.facts.resource: (now - step.began).total_seconds() * (self.speed or 1.0) / 3600
            for step in self.steps.values()
            if step.began is not None and step.facts.action is Action.CREATE
        }
        return sum(self.steps[name].facts.usd_per_hour * max(spent, 0.0) for name, spent in hours.items())

    def _done(self, step: StepProgress, now: datetime) -> float:
        if step.state is State.RUNNING:
            lasted = (step.lasted_s(now) or 0.0) * (self.speed or 1.0)
            return min(lasted / step.facts.estimate_s, _NEARLY) if step.facts.estimate_s else 0.0
        return float(step.state is State.DONE)

    def _step(self, resource: str, action: Action) -> StepProgress:
        """The step of a resource; one that no plan foresaw is added, so that nothing told is lost."""
        if resource not in self.steps:
            self.steps[resource] = StepProgress(StepFacts(resource, action))
            self.lanes = _lanes(tuple(self.steps.values()))
        return self.steps[resource]

    def _end(self, event: Event, ended: StepFinished) -> None:
        step = self._step(ended.resource, ended.action)
        quiet = ended.action is Action.NO_OP and ended.outcome is Outcome.SUCCEEDED
        step.state = State.UNCHANGED if quiet else _ENDED[ended.outcome]
        step.elapsed_s, step.error, step.reason, step.detail = (
            ended.elapsed_s,
            ended.error,
            ended.reason,
            ended.detail,
        )
        if quiet:
            return
        said = ended.error.message.splitlines()[0] if ended.error is not None else ended.reason
        took = f" in {elapsed(ended.elapsed_s)}" if ended.outcome is Outcome.SUCCEEDED else ""
        self._log(event, ended.resource, f"{step.word}{took}{': ' if said else ''}{said}")

    def _log(self, event: Event, subject: str, text: str) -> None:
        step = self.steps.get(subject)
        lane = (step.facts.region if step is not None else None) or SHARED
        self.lines.append(f"{clock(self.elapsed(event.at)):>5}  {lane:<13} {subject}  {' '.join(text.split())}")
        self.told += 1


def _moves(step: StepProgress) -> bool:
    return step.facts.action is not Action.NO_OP


def _lanes(steps: tuple[StepProgress, ...]) -> tuple[Lane, ...]:
    """What is shared first, then the regions as they come."""
    names = dict.fromkeys(step.facts.region or SHARED for step in steps)
    ordered = [*([SHARED] if SHARED in names else []), *(name for name in names if name != SHARED)]
    lanes = []
    for name in ordered:
        mine = tuple(step for step in steps if (step.facts.region or SHARED) == name)
        clusters = [step.facts.resource.partition("/")[2] for step in mine if step.facts.kind == "cluster"]
        lanes.append(Lane(name, clusters[0] if len(clusters) == 1 and name != SHARED else "", mine))
    return tuple(lanes)
