"""What a preflight found, folded: findings of one kind share a line that opens.

Invariant: every finding is in exactly one group, and a failure is never folded away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from backend.preflight.findings import Finding, Verdict
from tui.check_words import counted, kinds

_API, _ENABLE = "api/", "gcloud services enable "


@dataclass(frozen=True, slots=True)
class Group:
    """Findings that are told in one line; a group of one is the finding itself."""

    key: str
    """The same for the same kind of findings, as more of them come in."""
    status: Verdict
    message: str
    found: tuple[Finding, ...]
    fix: str = ""
    """What mends all of them; empty where nothing has to be mended."""


def groups(found: Iterable[Finding]) -> Iterator[Group]:
    """The groups, the worst first."""
    by_status = {status: [one for one in found if one.status is status] for status in Verdict}
    for one in _by_id(by_status[Verdict.FAIL]):
        yield Group(one.id, Verdict.FAIL, one.message, (one,), one.fix or "")
    off = [one for one in by_status[Verdict.WARN] if is_off(one)]
    yield from _alike([one for one in by_status[Verdict.WARN] if not is_off(one)])
    if off:
        told = f"{_count(off, 'API is', 'APIs are')} off; the first step turns {'it' if len(off) == 1 else 'them'} on"
        yield Group("off", Verdict.WARN, told, _by_id(off), _together(off))
    yield from _unknown(by_status[Verdict.UNKNOWN])
    if fine := _by_id(by_status[Verdict.OK]):
        yield Group("fine", Verdict.OK, f"{_count(fine, 'check is', 'checks are')} fine", fine)


def is_off(finding: Finding) -> bool:
    """Whether it is an API that the first step turns on, which needs nobody's attention."""
    return finding.status is Verdict.WARN and finding.id.startswith(_API)


def label(found: Sequence[Finding], *, going_on: bool, ignored: Iterable[str] = ()) -> str:
    """The heading of the checks: how many fail, or have to be minded."""
    failing = sum(one.status is Verdict.FAIL and one.id not in set(ignored) for one in found)
    mind = sum(one.status is Verdict.WARN and not is_off(one) for one in found)
    if failing:
        return f"Checks ✗ {failing} fail"
    sign = "…" if going_on else f"! {mind}" if mind else "✓" if found else ""
    return f"Checks {sign}".rstrip()


def _unknown(found: Sequence[Finding]) -> Iterator[Group]:
    waiting = [one for one in found if one.once_enabled]
    rest = [one for one in found if not one.once_enabled]
    for first in dict.fromkeys(one.follows for one in rest if one.follows is not None):
        many = [one for one in rest if one.follows == first]
        told = f"not to be known before {first} is mended: {kinds(one.id for one in many)}"
        yield Group(f"after {first}", Verdict.UNKNOWN, told, _by_id(many))
    yield from _alike([one for one in rest if one.follows is None])
    if waiting:
        told = (
            f"{_count(waiting, 'check is', 'checks are')} made once the APIs are on: {kinds(one.id for one in waiting)}"
        )
        yield Group("waiting", Verdict.UNKNOWN, told, _by_id(waiting), _together(waiting))


def _alike(found: Sequence[Finding]) -> Iterator[Group]:
    """Those of one check and one cause together."""
    kinds: dict[tuple[str, str], list[Finding]] = {}
    for one in _by_id(found):
        kinds.setdefault((one.id.partition("/")[0] if not one.cause else "", one.cause), []).append(one)
    for (kind, cause), many in kinds.items():
        first = many[0]
        told = first.message
        if len(many) > 1:
            told = f"{len(many)} checks could not be made: {cause}" if cause else f"{counted(kind, len(many))}: {told}"
        fixes = dict.fromkeys(one.fix for one in many if one.fix)
        yield Group(kind or cause, first.status, told, tuple(many), "\n".join(fixes))


def _together(found: Sequence[Finding]) -> str:
    """One command that turns on all APIs that the findings' own commands turn on."""
    fixes = [one.fix for one in found if one.fix and one.fix.startswith(_ENABLE)]
    names = dict.fromkeys(fix.removeprefix(_ENABLE).partition(" ")[0] for fix in fixes)
    return f"{_ENABLE}{' '.join(names)} {fixes[0].rpartition(' ')[2]}" if fixes else ""


def _count(found: Sequence[Finding], one: str, many: str) -> str:
    return f"{len(found)} {one if len(found) == 1 else many}"


def _by_id(found: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(found, key=lambda one: one.id))
