"""A run as lines of text, for terminals, pipes and logs.

Each line stands for itself: time since the start, region, sign and word, resource. Invariants: nothing is ever drawn
over; a resource's notes come at most every few seconds and only when they say something new; what failed is told
again at the end with its cause and what to do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from backend.engine.events import (
    Action,
    Event,
    Outcome,
    RunFinished,
    RunStarted,
    StepFinished,
    StepNote,
    StepStarted,
    Verb,
)
from backend.engine.forecast import Forecast
from tui.style import SHARED, Style, clock, duration, elapsed, pace, span

NOTE_EVERY_S = 4.0
"""Seconds between two notes of one resource."""
PATIENCE_S = 1.0
"""Seconds that a step must last before it is told of, where nothing is usually waited for."""
FORECASTS = 5
"""Times that a run of usual length tells how long it still needs."""
FORECAST_EVERY_S = (10.0, 300.0)
"""Shortest and longest time between two of these, in seconds."""
LATE_FROM_S = 60.0
"""Real seconds that a step must last before its lateness is worth a line of its own."""
LATE_HERE_S = 5.0
"""Seconds that a rehearsed step must last here before it is late: a busy machine is behind by some."""

_DONE = {
    Action.CREATE: "created",
    Action.UPDATE: "updated",
    Action.REPLACE: "replaced",
    Action.DELETE: "deleted",
    Action.NO_OP: "as it is",
}
_ENDED = {Outcome.FAILED: "FAILED", Outcome.SKIPPED: "skipped", Outcome.CANCELLED: "stopped"}
_VERB_DONE = {Verb.APPLY: "Applied", Verb.DESTROY: "Destroyed"}
_HEAD = 9
"""Columns of the word after the sign."""


class PlainRun:
    """A listener that tells a run line by line."""

    def __init__(
        self,
        say: Callable[[str], None],
        style: Style,
        *,
        speed: float | None,
        lane_width: int = 12,
        forecast: Forecast | None = None,
    ) -> None:
        self._say = say
        self._style = style
        self._speed = speed
        self._lane_width = lane_width
        self._began: datetime | None = None
        self._now = 0.0
        self._started: RunStarted | None = None
        self._lanes: dict[str, str] = {}
        self._begun: dict[str, tuple[float, StepStarted]] = {}
        self._told: dict[str, tuple[float, str]] = {}
        self._waiting: dict[str, str] = {}
        self._failed: list[StepFinished] = []
        self._running: dict[str, tuple[float, StepStarted]] = {}
        self._forecast = forecast
        self._forecast_at = 0.0
        self._late_at: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        """Tell one event."""
        self._began = self._began or event.at
        self._now = (event.at - self._began).total_seconds()
        match event.payload:
            case RunStarted() as started:
                self._started = started
            case StepStarted() as step:
                self._lanes[step.resource] = step.region or SHARED
                self._begun[step.resource] = self._running[step.resource] = (self._now, step)
            case StepNote() as note:
                self._waiting[note.resource] = note.text
            case StepFinished() as step:
                self._waiting.pop(step.resource, None)
                self._begun.pop(step.resource, None)
                self._running.pop(step.resource, None)
                self._step_finished(step)
            case RunFinished() as run:
                self._waiting.clear()
                self._run_finished(run)
        self._notes()
        self._tell_forecast(event)

    def _notes(self) -> None:
        patience = PATIENCE_S if self._speed is not None and math.isinf(self._speed) else 0.0
        for resource, text in list(self._waiting.items()):
            began, step = self._begun.get(resource, (-math.inf, None))
            if self._now - began < patience:
                continue
            if step is not None:
                del self._begun[resource], self._waiting[resource]
                self._told[resource] = (self._now, text)
                usual = f"; usually {self._usual(step)}" if step.estimate_s else ""
                self._line("start", str(step.action), resource, f"{text}{usual}")
                continue
            last, told = self._told.get(resource, (-NOTE_EVERY_S, ""))
            if text == told:
                del self._waiting[resource]
            elif self._now - last >= NOTE_EVERY_S:
                del self._waiting[resource]
                self._told[resource] = (self._now, text)
                late = self._late(resource)
                if late:
                    self._late_at[resource] = self._now
                self._line("wait", "waiting", resource, text + late)

    def _tell_forecast(self, event: Event) -> None:
        """Say now and then how long the run still needs, on this machine's clock."""
        started = self._started
        if self._forecast is None or started is None or not started.estimate_s:
            return
        self._forecast(event)
        in_all = started.estimate_s / (self._speed or 1.0)
        shortest, longest = FORECAST_EVERY_S
        every = min(max(in_all / FORECASTS, shortest), longest)
        if isinstance(event.payload, RunFinished):
            return
        for step in self._forecast.late(event.at):
            here = step.lasted_s / (self._speed or 1.0)
            long = step.lasted_s >= LATE_FROM_S and here >= LATE_HERE_S
            if long and self._now - self._late_at.get(step.resource, -every) >= every:
                self._late_at[step.resource] = self._now
                life = "" if self._speed is None else " for real"
                usual = f"usually {span(step.usual.p50_s, step.usual.p90_s)}, now {duration(step.lasted_s)}{life}"
                in_the_way = step.said.partition("; ")[0]
                self._line("wait", "late", step.resource, f"{usual}; {in_the_way}" if in_the_way else usual)
        if self._now - self._forecast_at < every:
            return
        left = self._forecast.left(event.at)
        if left.p90_s >= 1:
            self._forecast_at = self._now
            head = f"{clock(self._now):>5} {'':<{self._lane_width}} "
            text = f"{span(left.p50_s, left.p90_s)} for the whole run"
            self._say(head + self._style.paint("wait", f"{self._style.glyph('wait')} {'to go':<{_HEAD}}") + text)

    def _step_finished(self, step: StepFinished) -> None:
        self._lanes[step.resource] = step.region or SHARED
        if step.outcome is Outcome.SUCCEEDED:
            if step.action is Action.NO_OP:
                return
            why = f": {step.reason}" if step.reason else ""
            self._line("succeeded", _DONE[step.action], step.resource, f"in {elapsed(step.elapsed_s)}{why}")
            for line in detail_lines(step.detail, self._style):
                self._say(line)
            return
        if step.outcome is Outcome.CANCELLED and not step.elapsed_s:
            return
        if step.outcome is Outcome.FAILED:
            self._failed.append(step)
        reason = step.error.message.splitlines()[0] if step.error is not None else step.reason
        self._line(str(step.outcome), _ENDED[step.outcome], step.resource, reason)

    def _run_finished(self, run: RunFinished) -> None:
        started = self._started
        assert started is not None, "a run starts before it finishes"  # noqa: S101 - the engine's invariant
        for step in self._failed:
            self._say("")
            for line in failure_lines(step, self._style):
                self._say(line)
        self._say("")
        took = elapsed(run.elapsed_s)
        counts = ", ".join(f"{count} {word}" for word, count in run.counts.items() if count) or "nothing to do"
        if run.outcome is Outcome.SUCCEEDED:
            text = f"{_VERB_DONE[started.verb]} {started.stack} in {took}: {counts}."
        elif run.outcome is Outcome.CANCELLED:
            text = f"Stopped after {took}: {counts}. What was made stays."
        else:
            text = f"Not finished after {took}: {counts}. What was made stays."
        if said := pace(self._speed):
            text += f" ({said.capitalize()}.)"
        for line in self._style.wrap(text):
            self._say(self._style.paint(run.outcome, line))

    def _usual(self, step: StepStarted) -> str:
        usual = span(step.estimate_s or 0.0, step.estimate_p90_s or step.estimate_s or 0.0)
        return usual if self._speed is None else f"{usual} for real"

    def _late(self, resource: str) -> str:
        """Admit that a step takes longer than nine of ten do."""
        began, step = self._running.get(resource, (0.0, None))
        here = self._now - began
        lasted = here * (1.0 if self._speed is None else self._speed)
        if step is None or not step.estimate_p90_s or not step.estimate_p90_s < lasted < math.inf:
            return ""
        if self._speed is not None and here < LATE_HERE_S:
            return ""
        life = "" if self._speed is None else " for real"
        return f" (usually {span(step.estimate_s or 0.0, step.estimate_p90_s)}, now {duration(lasted)}{life})"

    def _line(self, sign: str, word: str, resource: str, text: str) -> None:
        lane = self._lanes.get(resource, SHARED)
        head = f"{clock(self._now):>5} {lane:<{self._lane_width}} "
        mark = f"{self._style.glyph(sign)} {word:<{_HEAD}}"
        indent = " " * (len(head) + len(mark))
        first, *rest = self._style.wrap(f"{resource}  {text}" if text else resource, first=indent, indent=indent)
        self._say(head + self._style.paint(sign, mark) + first[len(indent) :])
        for line in rest:
            self._say(line)


def failure_lines(step: StepFinished, style: Style) -> Iterator[str]:
    """What failed, why, and what to do."""
    error = step.error
    if error is None:
        return
    yield style.paint("failed", f"{style.glyph('failed')} {step.resource} failed")
    parts = {"": error.message, "cause: ": error.cause, "fix: ": error.fix, "said: ": error.original}
    for label, text in parts.items():
        if text:
            yield from style.wrap(text, first=f"  {label}", indent="  " + " " * len(label))


def detail_lines(detail: Mapping[str, Any], style: Style) -> Iterator[str]:
    """What a resource told of its final state: the gateway's addresses, the answers of the final check."""
    for address in detail.get("addresses") or ():
        yield f"      address in {address.get('region') or 'an unknown region'}: {address.get('address')}"
    for answer in detail.get("answers") or ():
        yield from answer_lines(answer, style)


def answer_lines(answer: Mapping[str, Any], style: Style, *, with_text: bool = True) -> Iterator[str]:
    """An answered prompt: its text, and who served it how fast."""
    if with_text and answer.get("text"):
        yield from style.wrap(str(answer["text"]).strip(), first="      | ", indent="      | ")
    yield from style.wrap(served(answer), first="      ", indent="      ")


def served(answer: Mapping[str, Any]) -> str:
    """Who answered, through which address and how fast, in one sentence."""
    by = answer.get("served_by")
    cut = ", cut off" if answer.get("status") == 200 and answer.get("error") else ""
    parts = [f"status {answer.get('status')}{cut}", f"{answer.get('model')} through {answer.get('region')}"]
    if by:
        parts.append(f"served by {by['pod']} on {by['cluster']}")
    elif answer.get("status") == 200:
        parts.append(f"served by an unknown Pod ({answer.get('served_by_reason')})")
    if (ttft := answer.get("ttft_s")) is not None:
        parts.append(f"first token after {ttft * 1000:.0f} ms")
    if (rate := tokens_per_s(answer)) is not None:
        parts.append(f"{rate:.0f} tokens/s")
    return ", ".join(parts)


def tokens_per_s(answer: Mapping[str, Any]) -> float | None:
    """Tokens a second after the first one; ``None`` where usage or times are unknown."""
    tokens = (answer.get("usage") or {}).get("completion_tokens")
    first, total = answer.get("ttft_s"), answer.get("total_s")
    if tokens is None or tokens < 2 or first is None or total is None or total <= first:
        return None
    return float((tokens - 1) / (total - first))
