"""The state of a stack as lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tui.change_text import change_lines
from tui.style import SHARED, Style, dates, duration, money, per_day

if TYPE_CHECKING:
    from backend.explain import Node
    from backend.status import Status

_SIGNS = {
    "ready": "succeeded",
    "absent": "skipped",
    "unfinished": "wait",
    "drifted": "update",
    "drained": "wait",
    "unknown": "wait",
}


def status_lines(status: Status, style: Style) -> Iterator[str]:
    """Every resource by region, the addresses, and what it costs."""
    yield style.paint("heading", f"{status.stack} ({status.target})")
    width = max((len(item.resource) for item in status.resources), default=0)
    lanes = dict.fromkeys(item.region or SHARED for item in status.resources)
    for lane in sorted(lanes, key=lambda lane: lane != SHARED):
        yield style.paint("heading", lane)
        for item in status.resources:
            if (item.region or SHARED) == lane:
                sign = _SIGNS[item.state]
                mark = style.paint(sign, f"{style.glyph(sign)} {item.state:<10}")
                yield f"  {mark} {item.resource:<{width}}".rstrip()
                if item.state == "drained":
                    continue
                drift = ((change["field"], change["before"], change["after"]) for change in item.drift)
                yield from change_lines(drift, style, indent=" " * 15)
    if status.why is not None:
        yield from why_lines(status.why, style)
    yield ""
    for address in status.addresses:
        yield f"address in {address.region}: {address.address}, from here {address.base_url}"
    for part in status.leftovers:
        yield from style.wrap(f"probably left by a gateway of it: {part.kind} {part.name}; `{part.command}`")
    drills = [item for item in status.resources if item.reason and item.state in {"drained", "drifted"}]
    for item in drills:
        yield from style.wrap(drill_said(item.reason, status.stack))
    missing = sum(item.state not in {"ready", "unknown", "drained"} for item in status.resources)
    unknown = sum(item.state == "unknown" for item in status.resources)
    if unknown:
        yield from style.wrap(f"{unknown} of {len(status.resources)} cannot be read just now: {status.unread}")
    if _absent(status):
        text = f"{status.stack} is not set up: none of its clusters is there; `mcig apply {status.stack}` makes them"
        yield from style.wrap(text)
    elif missing:
        yield f"{missing} of {len(status.resources)} are not as wanted; see `mcig plan {status.stack}`"
    elif unknown:
        yield f"the other {len(status.resources) - unknown} are as wanted"
    elif drills:
        yield f"the other {len(status.resources) - len(drills)} are as wanted"
    elif status.why is not None and status.why.state != "ready":
        yield f"all {len(status.resources)} resources are as wanted, but not all is well: see why"
    else:
        yield f"all {len(status.resources)} resources are as wanted"
    if status.usd_per_hour:
        yield from style.wrap(_cost(status))
    if status.guard is not None and not status.guard_passed:
        limits = {"$": status.guard.usd, " h": status.guard.hours}
        said = [f"${value:,.2f}" if unit == "$" else f"{value:g} h" for unit, value in limits.items() if value]
        yield f"guard: {' or '.join(said)}, looked after only while mcig runs"


def _absent(status: Status) -> bool:
    clusters = [item.state for item in status.resources if item.resource.startswith("cluster/")]
    return bool(clusters) and set(clusters) == {"absent"}


def drill_said(said: str, stack: str) -> str:
    """What a drill does, and how to end one that was killed."""
    return f"{said}; where no drill runs any more, `mcig apply {stack} --only backend-policy` gives its capacity back"


def why_lines(node: Node, style: Style, *, whole: bool = False) -> Iterator[str]:
    """The branches that are not ready down to their leaves, with cause and fix; with ``whole`` all of them."""
    if node.state == "ready" and not whole:
        return
    yield ""
    yield style.paint("heading", "why" if not whole else node.name)
    told: set[tuple[str, str]] = set()
    for child in node.children:
        yield from _why(child, style, "  ", whole, told)


def _why(node: Node, style: Style, indent: str, whole: bool, told: set[tuple[str, str]]) -> Iterator[str]:
    if node.state == "ready" and not whole:
        return
    sign = {"ready": "succeeded", "not ready": "failed"}.get(node.state, "wait")
    words = "" if node.state == "ready" else f" {node.state}"
    yield from (
        style.paint(sign if not node.children else "heading", line)
        for line in style.wrap(f"{style.glyph(sign)} {node.name}{words}", first=indent, indent=f"{indent}  ")
    )
    known = node.cause, node.fix.replace(node.name.removeprefix("Pod "), "")
    if node.state != "ready" and not node.children and node.fix and known in told:
        yield f"{indent}    cause and fix as above"
    elif node.state != "ready" and not node.children:
        told.add(known)
        for label, text in (("says", node.said), ("cause", node.cause), ("fix", node.fix)):
            if text:
                yield from style.wrap(f"{label}: {text}", first=f"{indent}    ", indent=f"{indent}      ")
    for child in node.children:
        yield from _why(child, style, f"{indent}  ", whole, told)


def _cost(status: Status) -> str:
    emulated = status.target == "emulator"
    where = "nothing here; for real about " if emulated else "about "
    cost = f"costs {where}{money(status.usd_per_hour)}, {per_day(status.usd_per_hour)}, "
    cost += f"estimated with prices of {dates(status.prices_dated)}"
    if status.spent is not None and status.spent.since is not None:
        age = duration(status.spent.hours * 3600)
        would = "by this machine's clock" if emulated else "so far"
        cost += f"; {would} ${status.spent.usd:,.2f} at most in the {age} since its first cluster was made"
    if status.spent is not None and status.spent.uncounted:
        cost += f"; not counted but for GPUs: {' and '.join(status.spent.uncounted)}, not made by mcig"
    return cost
