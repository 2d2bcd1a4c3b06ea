"""All there is to know of one step, as lines for a details pane and for the clipboard.

Invariant: what failed is told first, with its cause and what to do.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import datetime

from textual.content import Content

from backend.engine.events import Failure
from tui.change_text import change_lines
from tui.lane_text import SIGNS
from tui.plain import LATE_HERE_S, detail_lines
from tui.progress import State, StepProgress
from tui.style import Style, clock, duration, elapsed, money, span

_SLOW = {
    "node-pool": " A pool waits for free machines in its zones; it fails by itself when there are none.",
    "model-server": " A model server waits for a node, its image and the weights, in this order.",
    "gateway": " A gateway waits for its forwarding rules in every region.",
    "export": " An export waits for the fleet to see the pool in every cluster.",
}
"""What steps of a kind wait for when they are late."""
_LISTS = {"change", "changes", "result"}
"""Labels of lines that belong together."""
Line = tuple[str, str]
"""(label, text); an empty label continues or stands for itself."""


def step_lines(step: StepProgress, *, now: datetime, speed: float | None, notes: int = 1) -> Iterator[Line]:
    """The step's state, its error, its latest notes, and what it stands for."""
    yield from _how_it_goes(step, now, speed)
    yield from _error(step)
    for at, text in list(step.notes)[-notes:] if notes else ():
        yield clock(at), text
    yield from _response(step)
    yield from _request(step)


def step_sections(step: StepProgress, *, now: datetime, speed: float | None) -> Iterator[tuple[str, list[Line]]]:
    """(heading, lines) of all there is to know: how it goes, the error, what was asked for, what was answered."""
    yield "", list(_how_it_goes(step, now, speed))
    yield "Error", list(_error(step))
    yield "Request", list(_request(step))
    yield "Response", list(_response(step))
    yield "Told on the way", [(clock(at), text) for at, text in step.notes]


def original(step: StepProgress) -> str:
    """What the cloud said of a failure, word by word; empty where nothing failed."""
    return "" if step.error is None else step.error.original or step.error.message


def _how_it_goes(step: StepProgress, now: datetime, speed: float | None) -> Iterator[Line]:
    yield "", _standing(step, now, speed)
    if late := _late(step, now, speed):
        yield "late", late
    if step.error is None and (step.reason or (step.facts.reason and step.state is State.WAITING)):
        yield "why", step.reason or step.facts.reason


def _error(step: StepProgress) -> Iterator[Line]:
    if (error := step.error) is not None:
        yield "failed", error.message
        yield from (pair for pair in (("cause", error.cause), ("fix", error.fix), ("said", error.original)) if pair[1])


def _request(step: StepProgress) -> Iterator[Line]:
    facts = step.facts
    changes = ((change.field, change.before, change.after) for change in facts.changes)
    for line in change_lines(changes, Style(width=100_000), indent=""):
        yield "change", line
    if facts.command:
        yield "command", facts.command
    if facts.permissions:
        yield "needs", ", ".join(facts.permissions)
    if facts.usd_per_hour:
        yield "costs", money(facts.usd_per_hour)


def _response(step: StepProgress) -> Iterator[Line]:
    if step.operation is not None:
        yield "operation", step.operation
    for line in detail_lines(step.detail, Style(width=100_000)):
        yield "result", line.strip()


def _late(step: StepProgress, now: datetime, speed: float | None) -> str:
    """Why a step that runs takes longer than nine of ten, as far as it says itself; empty for one that is in time."""
    facts, lasted = step.facts, step.lasted_s(now) or 0.0
    life = lasted * (speed or 1.0)
    if step.state is not State.RUNNING or not facts.estimate_p90_s or not facts.estimate_p90_s < life < float("inf"):
        return ""
    if speed is not None and lasted < LATE_HERE_S:
        return ""
    says = f" It reports: {step.notes[-1][1]}" if step.notes else " It has reported nothing so far."
    hint = _SLOW.get(facts.kind, "")
    return f"nine of ten are done in {duration(facts.estimate_p90_s)}.{says}{hint}"


def _standing(step: StepProgress, now: datetime, speed: float | None) -> str:
    facts, parts = step.facts, [f"{SIGNS[step.state]} {step.word}"]
    lasted = step.lasted_s(now)
    if step.state is State.RUNNING and lasted is not None:
        parts[0] += f" for {elapsed(lasted)}"
    elif lasted:
        parts[0] += f" in {elapsed(lasted)}" if step.state is State.DONE else f" after {elapsed(lasted)}"
    if facts.estimate_s and step.state in {State.WAITING, State.RUNNING, State.FAILED}:
        usual = f"usually {span(facts.estimate_s, facts.estimate_p90_s or facts.estimate_s)}"
        if step.state is State.RUNNING and lasted is not None and speed is not None and math.isfinite(speed):
            parts.append(f"for real {duration(lasted * speed)} of {usual}")
        else:
            parts.append(usual if speed is None else f"{usual} for real")
    return ", ".join(parts)


def as_content(lines: Iterable[Line]) -> Content:
    """The lines with their labels, for a widget that wraps them; lists have theirs once."""
    told, before = [], ""
    for label, said in lines:
        repeated = label in _LISTS and label == before
        head = "  " if repeated else f"{label} " if label else ""
        told.append(Content.assemble((head, "$quiet"), said))
        before = label
    return Content("\n").join(told)


def errors_text(steps: Iterable[StepProgress], failure: Failure | None) -> str:
    """Failed steps, and why a run could not go on, for the clipboard in plain lines."""
    told = [f"{step.facts.resource} failed: {_failure_text(step.error)}" for step in steps if step.error is not None]
    return "\n\n".join([*told, *([_failure_text(failure)] if failure is not None else [])])


def _failure_text(failure: Failure) -> str:
    parts = (("cause", failure.cause), ("fix", failure.fix), ("said", failure.original))
    return "\n".join([failure.message, *(f"{label}: {text}" for label, text in parts if text)])
