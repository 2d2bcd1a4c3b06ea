"""How long a run still needs.

Invariant: a step that is late is given more time the later it is, so that nothing is ever due "now".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from backend.engine.durations import NOTHING, Duration, last_end
from backend.engine.events import Event, StepFinished, StepNote, StepStarted
from backend.engine.plan import Plan


@dataclass(frozen=True, slots=True)
class Late:
    """A step that lasts longer than nine of ten do."""

    resource: str
    usual: Duration
    """How long it usually lasts on a real cloud."""
    lasted_s: float
    """Seconds that it has lasted, in real time."""
    said: str
    """What it told last, such as that a zone is out of stock since 0:40; empty when nothing."""


class Forecast:
    """A listener that knows how long the run still needs."""

    def __init__(self, plan: Plan, *, speed: float | None) -> None:
        self._after = {step.resource: step.after for step in plan.steps}
        self._open = {step.resource: step.duration for step in plan.steps}
        self._begun: dict[str, datetime] = {}
        self._said: dict[str, str] = {}
        self._speed = 1.0 if speed is None else speed

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        match event.payload:
            case StepStarted(resource=resource):
                self._begun[resource] = event.at
            case StepNote(resource=resource, text=text):
                self._said[resource] = text
            case StepFinished(resource=resource):
                self._open = {name: duration for name, duration in self._open.items() if name != resource}

    def left(self, now: datetime) -> Duration:
        """Seconds of wall clock until the run ends."""
        if math.isinf(self._speed):
            return NOTHING
        open_steps = {
            name: duration.left((now - self._begun[name]).total_seconds() * self._speed)
            if name in self._begun
            else duration
            for name, duration in self._open.items()
        }
        return last_end(open_steps, self._after).scaled(1 / self._speed)

    def late(self, now: datetime) -> tuple[Late, ...]:
        """The steps under way that are late, in the order of the plan; none where waiting is left out."""
        if math.isinf(self._speed):
            return ()
        lasted = {
            name: (now - self._begun[name]).total_seconds() * self._speed for name in self._open if name in self._begun
        }
        return tuple(
            Late(name, self._open[name], lasted_s, self._said.get(name, ""))
            for name, lasted_s in lasted.items()
            if 0 < self._open[name].p90_s < lasted_s
        )
