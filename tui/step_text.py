"""All there is to know of one step, as lines for a details pane and for the clipboard.

Invariant: what failed is told first, with its cause and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from textual.content import Content

from tui.change_text import change_lines
from tui.plain import detail_lines
from tui.progress import State, StepProgress
from tui.style import Style, clock, duration, elapsed, money, span
from tui.widgets.lanes import SIGNS

Line = tuple[str, str]
"""(label, text); an empty label continues or stands for itself."""


def step_lines(step: StepProgress, *, now: datetime, speed: float | None, notes: int = 1) -> Iterator[Line]:
    """The step's state, its error, its latest notes, and what it stands for."""
    facts = step.facts
    yield "", _standing(step, now, speed)
    if (error := step.error) is not None:
        yield "failed", error.message
        yield from (pair for pair in (("cause", error.cause), ("fix", error.fix), ("said", error.original)) if pair[1])
    elif step.reason or (facts.reason and step.state is State.WAITING):
        yield "why", step.reason or facts.reason
    for at, text in list(step.notes)[-notes:] if notes else ():
        yield clock(at), text
    if step.operation is not None:
        yield "operation", step.operation
    style = Style(width=100_000)
    for line in detail_lines(step.detail, style):
        yield "result", line.strip()
    for line in change_lines(((c.field, c.before, c.after) for c in facts.changes), style, indent=""):
        yield "change", line
    if facts.command:
        yield "command", facts.command
    if facts.permissions:
        yield "needs", ", ".join(facts.permissions)
    if facts.usd_per_hour:
        yield "costs", money(facts.usd_per_hour)


def _standing(step: StepProgress, now: datetime, speed: float | None) -> str:
    facts, parts = step.facts, [f"{SIGNS[step.state]} {step.word}"]
    lasted = step.lasted_s(now)
    if step.state is State.RUNNING and lasted is not None:
        parts[0] += f" for {elapsed(lasted)}"
    elif lasted:
        parts[0] += f" in {elapsed(lasted)}" if step.state is State.DONE else f" after {elapsed(lasted)}"
    if facts.estimate_s and step.state in {State.WAITING, State.RUNNING, State.FAILED}:
        usual = span(facts.estimate_s, facts.estimate_p90_s or facts.estimate_s)
        parts.append(f"usually {usual}{'' if speed is None else ' in life'}")
        life = (lasted or 0.0) * (speed or 1.0)
        if step.state is State.RUNNING and facts.estimate_p90_s and facts.estimate_p90_s < life < float("inf"):
            parts.append(f"now {duration(life)}: later than nine of ten")
    return ", ".join(parts)


def as_content(lines: Iterable[Line]) -> Content:
    """The lines with their labels, for a widget that wraps them."""
    told = [Content.assemble((f"{label} ", "$quiet"), said) if label else Content(said) for label, said in lines]
    return Content("\n").join(told)


def error_text(step: StepProgress) -> str:
    """A failed step for the clipboard, in plain lines; empty for one that did not fail."""
    if (error := step.error) is None:
        return ""
    parts = (("cause", error.cause), ("fix", error.fix), ("said", error.original))
    lines = [f"{step.facts.resource} failed: {error.message}", *(f"{label}: {text}" for label, text in parts if text)]
    return "\n".join(lines)
