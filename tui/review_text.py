"""What a plan means, in the words of the review: totals, one step in full, departures, notes.

Invariant: a figure of a rehearsal is never told as if it were paid or waited for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from backend.engine.events import Verb
from backend.engine.plan import Plan, PlannedStep
from tui.change_text import change_lines
from tui.departures import sentence
from tui.plan_text import departures, spec_notes
from tui.step_text import Line
from tui.style import Style, dates, money, span

if TYPE_CHECKING:
    from backend.stack import SpecNote, Stack

_WORDS = {"create": "create", "update": "update", "replace": "replace", "delete": "delete", "no_op": "leave as it is"}
_WIDE = Style(width=100_000)


def totals(plan: Plan, stack: Stack) -> list[tuple[str, str]]:
    """(label, figure) of a plan: what is done, how long it takes, what it costs."""
    speed = stack.connection.speed
    counts = ", ".join(f"{plan.summary[key]} to {word}" for key, word in _WORDS.items() if plan.summary[key])
    told = [("", counts)]
    usual, life = plan.duration, "" if speed is None else " for real"
    if plan.verb is Verb.APPLY and usual.p50_s:
        time = f"{span(usual.p50_s, usual.p90_s)}{life}"
        if speed is not None and not math.isinf(speed):
            time += f", {span(usual.p50_s / speed, usual.p90_s / speed)} here"
        told.append(("takes", time))
    label = "costs" if plan.verb is Verb.APPLY else "costs afterwards"
    told.append((label, f"{money(plan.usd_per_hour)}{life}{', $0 here' if life else ''}"))
    if plan.usd_per_hour:
        told.append(("prices of", dates(stack.money.prices_dated)))
    costs = stack.money.costs
    if plan.verb is Verb.APPLY and costs.unpriced:
        told.append(("without", ", ".join(costs.unpriced)))
    if plan.verb is Verb.APPLY and costs.borrowed:
        told.append(("at another region's price", ", ".join(one.machine_type for one in costs.borrowed)))
    return told


def planned_lines(planned: PlannedStep) -> Iterator[Line]:
    """All that is known of one step before it is carried out."""
    about = planned.about
    yield "", about.title or planned.resource
    told = [str(planned.action)]
    if planned.duration.p50_s:
        told.append(f"usually {span(planned.duration.p50_s, planned.duration.p90_s)} for real")
    if about.usd_per_hour:
        told.append(money(about.usd_per_hour))
    yield "", ", ".join(told)
    if planned.step.reason:
        yield "why", planned.step.reason
    changes = ((change.field, change.before, change.after) for change in planned.step.changes)
    yield from (("changes", line) for line in change_lines(changes, _WIDE, indent=""))
    if about.command:
        yield "command", about.command
    if about.permissions:
        yield "needs", ", ".join(about.permissions)
    for item in about.departures:
        yield "differs", sentence(item)
    if planned.after:
        yield "after", ", ".join(sorted(planned.after))


def departures_text(plan: Plan) -> Content:
    """Where the plan differs from Google's guide, and why."""
    lines = [line.strip().removeprefix("- ") for line in departures(plan, _WIDE)][2:]
    return Content("\n\n".join(lines) or "Nothing of this plan differs from Google's guide.")


def notes_text(notes: Sequence[SpecNote]) -> Content:
    """What should be known of the specification."""
    lines = [line.strip().removeprefix("- ") for line in spec_notes(notes, _WIDE)][2:]
    return Content("\n\n".join(lines) or "There is nothing special about this specification.")
