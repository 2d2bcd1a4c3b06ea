"""A plan, and the state of a stack, as lines of text.

Invariant: every step of the plan appears, in the lane of its region; what is unchanged is listed by name only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from backend.engine.events import Action, Verb
from backend.engine.plan import Plan, PlannedStep
from backend.engine.resource import Departure
from tui.style import SHARED, Style, dates, duration, money, pace

_VERBS = {"create": "create", "update": "update", "replace": "replace", "delete": "delete", "no_op": "leave as it is"}


def plan_lines(
    plan: Plan, *, stack: str, where: str, style: Style, speed: float | None, prices: tuple[date, date]
) -> Iterator[str]:
    """Lay a plan out by region, then its totals."""
    yield style.paint("heading", f"Plan to {plan.verb} {stack} on {where}")
    yield ""
    if not plan.changes:
        yield _nothing(plan, stack)
        return
    name_width = max(len(step.resource) for step in plan.changes)
    for lane in lanes(plan.steps):
        steps = [step for step in plan.steps if (step.about.region or SHARED) == lane]
        changes = [step for step in steps if step.action is not Action.NO_OP]
        yield style.paint("heading", lane)
        for step in changes:
            yield from _step(step, plan.verb, name_width, style)
        unchanged = [step.resource for step in steps if step.action is Action.NO_OP]
        if unchanged:
            lead = f"  {style.glyph('no-op')} as it is "
            yield from style.wrap(", ".join(unchanged), first=lead, indent=" " * len(lead))
    yield ""
    yield from style.wrap(_totals(plan, speed, prices))


def lanes(steps: Sequence[PlannedStep]) -> list[str]:
    """The lanes of a plan: what is shared first, then the regions as they come."""
    regions = dict.fromkeys(step.about.region for step in steps if step.about.region)
    return [*([SHARED] if any(step.about.region is None for step in steps) else []), *regions]


def _nothing(plan: Plan, stack: str) -> str:
    if plan.verb is Verb.DESTROY:
        return f"Nothing of {stack} is there: nothing to destroy."
    return f"Nothing to do: all {len(plan.steps)} resources of {stack} are as wanted."


def _step(step: PlannedStep, verb: Verb, name_width: int, style: Style) -> Iterator[str]:
    about = step.about
    usual = duration(about.estimate_s) if verb is Verb.APPLY and about.estimate_s else ""
    cost = money(about.usd_per_hour) if about.usd_per_hour else ""
    sign = style.paint(step.action, f"{style.glyph(step.action)} {step.action:<8}")
    yield f"  {sign}{step.resource:<{name_width}}  {usual:>7}  {cost:>10}".rstrip()
    for change in step.step.changes:
        if step.action is not Action.CREATE:
            text = f"{change.field}: {_value(change.before)} -> {_value(change.after)}"
            yield from style.wrap(text, first=" " * 12, indent=" " * 14)
    if step.step.reason:
        yield from style.wrap(step.step.reason, first=" " * 12, indent=" " * 12)


def _value(value: object) -> str:
    return "nothing" if value is None else str(value)


def _totals(plan: Plan, speed: float | None, prices: tuple[date, date]) -> str:
    counts = ", ".join(f"{plan.summary[key]} to {word}" for key, word in _VERBS.items() if plan.summary[key])
    if plan.verb is Verb.DESTROY:
        return f"{counts}. Afterwards it costs {money(plan.usd_per_hour)}."
    time = f"about {duration(plan.estimate_s)} in life"
    if speed is not None:
        time += f" ({pace(speed)})"
    cost = f"costs {money(plan.usd_per_hour)} while it stands, estimated with prices of {dates(prices)}"
    if speed is not None:
        cost = f"would cost {money(plan.usd_per_hour)} in life, estimated with prices of {dates(prices)}; nothing here"
    return f"{counts}. Takes {time}; {cost}."


def departures(plan: Plan, style: Style) -> Iterator[str]:
    """Where the steps that are to be made differ from the document, each said once."""
    found = _departures(plan)
    if not found:
        return
    yield ""
    yield style.paint("heading", "What differs from the document, and why")
    for departure, resources in found.items():
        kind = dict.fromkeys(name.partition("/")[0].partition("@")[0] for name in resources)
        text = f"{', '.join(kind)}: {_sentence(departure)}"
        yield from style.wrap(text, first="  - ", indent="    ")


def departures_hint(plan: Plan, stack: str, style: Style) -> Iterator[str]:
    """In how many places it differs from the document, and where that is said."""
    if count := len(_departures(plan)):
        places = "1 place" if count == 1 else f"{count} places"
        yield from style.wrap(f"It differs from the document in {places}: see `mcig plan {stack}`.")


def _departures(plan: Plan) -> dict[Departure, list[str]]:
    found: dict[Departure, list[str]] = {}
    for step in plan.changes if plan.verb is Verb.APPLY else ():
        for departure in step.about.departures:
            found.setdefault(departure, []).append(step.resource)
    return found


def _sentence(departure: Departure) -> str:
    told = (departure.document, departure.mcig, departure.because)
    document, mcig, because = (part.strip().rstrip(".") for part in told)
    return f"the document {document}; mcig {mcig}, because {because}."
