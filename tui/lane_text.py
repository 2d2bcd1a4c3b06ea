"""What stands on the lines of a run's lanes: signs, times, what running steps wait for.

Invariant: a state is a sign and a word; every text fits the columns that it was given.
"""

from __future__ import annotations

import textwrap
from datetime import datetime

from rich.cells import cell_len, set_cell_size

from tui.progress import Lane, State, StepProgress
from tui.style import clock, elapsed

SIGNS = {
    State.WAITING: "·",
    State.RUNNING: "▸",
    State.DONE: "✓",
    State.UNCHANGED: "=",
    State.FAILED: "✗",
    State.SKIPPED: "○",
    State.STOPPED: "■",
}
"""The sign of each state; the word beside it says the same."""


def over(lane: Lane) -> int:
    """Number of the lane's steps that are over."""
    return sum(step.state not in {State.WAITING, State.RUNNING} for step in lane.steps)


def taken(step: StepProgress, now: datetime) -> str:
    """How long a step has taken so far, or took; empty where that says nothing."""
    lasted = step.lasted_s(now)
    if lasted is None or step.state in {State.UNCHANGED, State.SKIPPED}:
        return ""
    return clock(lasted) if step.state is State.RUNNING or lasted >= 100 else elapsed(lasted)


def notes(lane: Lane, width: int, room: int) -> list[str]:
    """What the lane's running steps wait for, the longest steps first, in ``room`` lines of ``width`` columns."""
    waiting = [step for step in lane.steps if step.state is State.RUNNING and step.notes]
    waiting.sort(key=lambda step: -step.facts.estimate_s)
    told = [f"{lane.short(step.facts.resource)}: {' '.join(step.notes[-1][1].split())}" for step in waiting]
    if not told:
        return []
    each = max(room // len(told), 1)
    if len(told) > room:
        told = [*told[: room - 1], f"and {len(told) - room + 1} more"]
    return [line for text in told for line in _wrapped(text, width, each)]


def fit(text: str, width: int) -> str:
    """The text in exactly so many columns, cut with an ellipsis where it is longer."""
    return set_cell_size(text, width) if cell_len(text) <= width else set_cell_size(text, max(width - 1, 0)) + "…"


def _wrapped(text: str, width: int, most: int) -> list[str]:
    lines = textwrap.wrap(text, width, subsequent_indent="  ") or [""]
    return lines if len(lines) <= most else [*lines[: most - 1], fit(f"{lines[most - 1]} …{lines[most]}", width)]
