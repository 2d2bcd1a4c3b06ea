"""What a preflight found, as lines of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from tui.check_words import kinds
from tui.style import Style, duration

if TYPE_CHECKING:
    from backend.preflight import Check, Finding

_SIGNS = {"ok": "succeeded", "warn": "update", "fail": "failed", "unknown": "skipped"}
_INDENT = " " * 12
_API = "api/"
_ENABLE = "gcloud services enable "


def findings_lines(
    found: Sequence[Finding], *, stack: str, where: str, style: Style, took_s: float | None = None
) -> Iterator[str]:
    """Every finding that asks for attention, with its fix; those that are well are counted.

    APIs that the first step turns on, and what can only be read then, are told in one paragraph each.
    """
    yield style.paint("heading", f"Checks for {stack} on {where}")
    for topic in dict.fromkeys(one.topic for one in found):
        here = [one for one in found if one.topic == topic]
        off = [one for one in here if one.status == "warn" and one.id.startswith(_API)]
        waiting = [one for one in here if one.once_enabled and one.status == "unknown"]
        follow = [one for one in here if one.follows is not None]
        alike = _alike([one for one in here if one not in waiting and one not in follow])
        yield ""
        yield style.paint("heading", str(topic))
        for finding in here:
            if finding.status != "ok" and finding not in off + waiting + follow + [
                one for many in alike for one in many
            ]:
                yield from finding_lines(finding, style)
        for many in alike:
            yield from _group("unknown", f"{kinds(one.id for one in many)} could not be read: {many[0].cause}", style)
            if many[0].fix:
                yield from style.wrap(f"fix: {many[0].fix}", first=_INDENT, indent=_INDENT + "  ")
        for first in dict.fromkeys(one.follows for one in follow):
            names = kinds(one.id for one in follow if one.follows == first)
            yield from _group("unknown", f"not to be known before {first} is mended: {names}", style)
        if off:
            names = ", ".join(one.id.removeprefix(_API).removesuffix(".googleapis.com") for one in off)
            yield from _group("warn", f"off, and turned on by the first step of `mcig apply`: {names}", style)
        if waiting:
            yield from _group(
                "unknown", f"not to be read while APIs are off: {kinds(one.id for one in waiting)}", style
            )
        if well := _well([one for one in here if one.status == "ok"]):
            yield from _group("ok", well, style)
    if enable := _enabling(found):
        yield ""
        yield from style.wrap(f"To know all beforehand: {enable}", indent="  ")
    yield ""
    yield from style.wrap(summary(found, took_s))


def _group(verdict: str, text: str, style: Style) -> Iterator[str]:
    sign = _SIGNS[verdict]
    mark = style.paint(sign, f"{style.glyph(sign)} {verdict:<7}")
    room = style.wrap(text, first=_INDENT, indent=_INDENT)
    yield f"  {mark} {room[0].strip()}"
    yield from room[1:]


def _enabling(found: Iterable[Finding]) -> str:
    """One command that turns on what stands in the way of reading; empty when nothing does."""
    fixes = [one.fix for one in found if one.once_enabled and one.fix and one.fix.startswith(_ENABLE)]
    names = dict.fromkeys(fix.removeprefix(_ENABLE).partition(" ")[0] for fix in fixes)
    return f"{_ENABLE}{' '.join(names)} {fixes[0].rpartition(' ')[2]}" if fixes else ""


def _alike(found: Iterable[Finding]) -> list[list[Finding]]:
    """Those that one refusal leaves unknown, where there are several."""
    by_cause: dict[tuple[str, str | None], list[Finding]] = {}
    for one in found:
        if one.status == "unknown" and one.cause:
            by_cause.setdefault((one.cause, one.fix), []).append(one)
    return [many for many in by_cause.values() if len(many) > 1]


def finding_lines(finding: Finding, style: Style) -> Iterator[str]:
    """One finding: its verdict, id, what was found, why it matters, and the fix."""
    sign = _SIGNS[str(finding.status)]
    mark = style.paint(sign, f"{style.glyph(sign)} {finding.status!s:<7}")
    yield f"  {mark} {finding.id}"
    yield from style.wrap(finding.message, first=_INDENT, indent=_INDENT)
    if finding.status == "fail":
        yield from style.wrap(f"why: {finding.why}", first=_INDENT, indent=_INDENT)
    if finding.fix:
        yield from style.wrap(f"fix: {finding.fix}", first=_INDENT, indent=_INDENT + "  ")


def summary(found: Iterable[Finding], took_s: float | None = None) -> str:
    """How many checks came out how, in one sentence."""
    counts = Counter(_outcome(one) for one in found)
    words = [f"{counts[outcome]} {outcome}" for outcome in _OUTCOMES if counts[outcome]]
    words = ["1 API to turn on first" if one == "1 APIs to turn on first" else one for one in words]
    time = "" if took_s is None else f" in {duration(took_s)}"
    return f"{', '.join(words) or 'Nothing was checked'}{time}."


_OUTCOMES = ("failed", "unknown", "with a warning", "ok", "APIs to turn on first", "to be read then")


def _outcome(finding: Finding) -> str:
    if finding.status == "warn" and finding.id.startswith(_API):
        return "APIs to turn on first"
    if finding.status == "unknown" and finding.once_enabled:
        return "to be read then"
    return {"fail": "failed", "warn": "with a warning"}.get(str(finding.status), str(finding.status))


def _well(found: Sequence[Finding]) -> str:
    """Those that are well, counted where there are several of a kind."""
    counts = Counter(one.id.partition("/")[0] for one in found)
    many = kinds(one.id for one in found if counts[one.id.partition("/")[0]] > 1)
    single = [one.message for one in found if counts[one.id.partition("/")[0]] == 1]
    return "; ".join([many, *single] if many else single)


def check_lines(checks: Iterable[Check], style: Style) -> Iterator[str]:
    """Each check by its ids, with what it reads and what it saves from."""
    for check in checks:
        yield style.paint("heading", check.ids)
        yield from style.wrap(f"reads {check.reads}", first="  ", indent="    ")
        yield from style.wrap(f"saves you from {check.saves}", first="  ", indent="    ")
