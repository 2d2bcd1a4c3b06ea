"""A plan, and the state of a stack, as lines of text.

Invariant: every step of the plan appears, in the lane of its region; what is unchanged is listed by name only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING

from backend.engine.events import Action, Verb
from backend.engine.plan import FOLLOWS, LEFT_OUT, Plan, PlannedStep
from backend.engine.resource import Departure
from tui.change_text import change_lines
from tui.departures import departure_lines
from tui.style import SHARED, Style, dates, duration, money, pace, per_day, span

if TYPE_CHECKING:
    from backend.stack import Costs, SpecNote

_PLAIN = {"", "absent", LEFT_OUT, FOLLOWS}
"""Reasons of unchanged steps that need no line of their own."""
_VERBS = {"create": "create", "update": "update", "replace": "replace", "delete": "delete", "no_op": "leave as it is"}


def plan_lines(
    plan: Plan,
    *,
    stack: str,
    where: str,
    style: Style,
    speed: float | None,
    prices: tuple[date, date],
    origin: str = "",
) -> Iterator[str]:
    """Lay a plan out by region, then its totals; ``origin`` says where the specification comes from."""
    yield style.paint("heading", f"Plan to {plan.verb} {stack} on {where}")
    if origin:
        yield from style.wrap(f"from {origin}", indent="  ")
    yield ""
    if not plan.changes:
        if plan.verb is Verb.APPLY:
            yield from _reasons(plan.steps, style, indent="")
        yield _nothing(plan, stack)
        return
    name_width = max(len(step.resource) for step in plan.changes)
    usual_width = max(7, *(len(_usual(step, plan.verb)) for step in plan.changes))
    for lane in lanes(plan.steps):
        steps = [step for step in plan.steps if (step.about.region or SHARED) == lane]
        changes = [step for step in steps if step.action is not Action.NO_OP]
        yield style.paint("heading", lane)
        for step in changes:
            yield from _step(step, plan.verb, name_width, usual_width, style)
        left_out = [step.resource for step in steps if step in plan.left_out]
        goes_along = [step.resource for step in steps if step.action is Action.NO_OP and step.unseen]
        unchanged = [step.resource for step in steps if step.action is Action.NO_OP]
        unchanged = [name for name in unchanged if name not in {*left_out, *goes_along}]
        for word, names in (("left out", left_out), ("goes with its cluster", goes_along), ("as it is", unchanged)):
            if names:
                lead = f"  {style.glyph('no-op')} {word} "
                yield from style.wrap(", ".join(names), first=lead, indent=" " * len(lead))
        told = [step for step in steps if step.resource in unchanged]
        yield from _reasons(told, style, indent="    ", short=plan.verb is Verb.DESTROY)
    yield ""
    yield from style.wrap(_totals(plan, speed, prices))


def _reasons(steps: Sequence[PlannedStep], style: Style, *, indent: str, short: bool = False) -> Iterator[str]:
    """Why steps leave alone what is not simply as wanted, each reason once; in short without what one might do."""
    found: dict[str, list[str]] = {}
    for step in steps:
        if step.action is Action.NO_OP and step.step.reason not in _PLAIN:
            reason = step.step.reason.partition(";")[0] if short else step.step.reason
            found.setdefault(reason, []).append(step.resource)
    for reason, names in found.items():
        yield from style.wrap(f"{', '.join(names)}: {reason}", first=indent, indent=f"{indent}  ")


def lanes(steps: Sequence[PlannedStep]) -> list[str]:
    """The lanes of a plan: what is shared first, then the regions as they come."""
    regions = dict.fromkeys(step.about.region for step in steps if step.about.region)
    return [*([SHARED] if any(step.about.region is None for step in steps) else []), *regions]


def _nothing(plan: Plan, stack: str) -> str:
    if plan.verb is Verb.DESTROY:
        return f"Nothing of {stack} is there: nothing to destroy."
    if left := len(plan.left_out):
        others = "1 other step is" if left == 1 else f"{left} other steps are"
        return f"Nothing to do: it is as wanted. {others} left out by --only."
    return f"Nothing to do: all {len(plan.steps)} resources of {stack} are as wanted."


def _usual(step: PlannedStep, verb: Verb) -> str:
    usual = step.duration
    return span(usual.p50_s, usual.p90_s) if verb is Verb.APPLY and usual.p50_s else ""


def _step(step: PlannedStep, verb: Verb, name_width: int, usual_width: int, style: Style) -> Iterator[str]:
    about = step.about
    usual = _usual(step, verb)
    cost = money(about.usd_per_hour) if about.usd_per_hour else ""
    sign = style.paint(step.action, f"{style.glyph(step.action)} {step.action:<8}")
    yield f"  {sign}{step.resource:<{name_width}}  {usual:>{usual_width}}  {cost:>10}".rstrip()
    if step.action is not Action.CREATE:
        changes = ((change.field, change.before, change.after) for change in step.step.changes)
        yield from change_lines(changes, style, indent=" " * 12)
    if step.step.reason:
        yield from style.wrap(step.step.reason, first=" " * 12, indent=" " * 12)


def _totals(plan: Plan, speed: float | None, prices: tuple[date, date]) -> str:
    counts = ", ".join(f"{plan.summary[key]} to {word}" for key, word in _VERBS.items() if plan.summary[key])
    if plan.verb is Verb.DESTROY:
        return f"{counts}. Afterwards it costs {money(plan.usd_per_hour)}."
    usual = plan.duration
    time = span(usual.p50_s, usual.p90_s) if usual.p90_s > usual.p50_s else f"about {duration(usual.p50_s)}"
    if speed is not None:
        time += " for real"
    if speed is not None:
        time += f" ({pace(speed)})"
    rate = f"{money(plan.usd_per_hour)} ({per_day(plan.usd_per_hour)})"
    cost = f"costs {rate} while it stands, estimated with prices of {dates(prices)}"
    if speed is not None:
        cost = f"would cost {rate} for real, estimated with prices of {dates(prices)}; nothing here"
    return f"{counts}. Takes {time}; {cost}."


def cost_lines(costs: Costs, style: Style) -> Iterator[str]:
    """What the money goes into, what it would be at list price, and what of it idles."""
    parts = [f"GPU machines {money(costs.gpus)}", f"other nodes {money(costs.nodes)}", f"GKE {money(costs.fees)}"]
    text = f"Of that (estimate): {', '.join(parts)}."
    if costs.gpus_at_list is not None and costs.gpus_at_list > costs.gpus:
        text += f" At list price the GPU machines would be {money(costs.gpus_at_list)}."
    if costs.idle:
        text += f" GPUs without a model server idle for {money(costs.idle)}."
    if costs.unpriced:
        text += f" Without a known price, so not counted: {', '.join(costs.unpriced)}."
    if costs.borrowed:
        text += f" Counted at another region's price: {', '.join(map(str, costs.borrowed))}."
    yield from style.wrap(text)


def spec_notes(notes: Sequence[SpecNote], style: Style) -> Iterator[str]:
    """What should be known of the specification, each at its field."""
    if notes:
        yield ""
        yield style.paint("heading", "Worth knowing")
    for note in notes:
        cost = "" if note.usd_per_hour is None else f" ({money(note.usd_per_hour)})"
        yield from style.wrap(f"{note.path}: {note.text}{cost}", first="  - ", indent="    ")


def departures(plan: Plan, style: Style) -> Iterator[str]:
    """Where what is to be made differs from Google's guide, each said once; for an update it was said."""
    if found := _departures(plan):
        yield ""
        yield from departure_lines(found, style)


def departures_hint(plan: Plan, where: str, style: Style) -> Iterator[str]:
    """In how many places it differs from Google's guide, and the command that says where."""
    if count := len(_departures(plan)):
        places = "1 place" if count == 1 else f"{count} places"
        yield from style.wrap(f"It differs from Google's guide in {places}: see `{where}`.")


def _departures(plan: Plan) -> dict[Departure, list[str]]:
    """Each departure and the kinds of rows that make it, such as ``cluster``."""
    found: dict[Departure, list[str]] = {}
    for step in plan.changes if plan.verb is Verb.APPLY else ():
        if step.action is Action.UPDATE:
            continue
        kind = step.resource.partition("/")[0].partition("@")[0]
        for departure in step.about.departures:
            kinds = found.setdefault(departure, [])
            if kind not in kinds:
                kinds.append(kind)
    return found
