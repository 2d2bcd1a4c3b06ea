"""What the checks found, worst first, each with its fix."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from backend.preflight.findings import Finding, Verdict

GLYPHS = {Verdict.FAIL: "✗", Verdict.WARN: "!", Verdict.UNKNOWN: "?", Verdict.OK: "✓"}
WORDS = {Verdict.FAIL: "fails", Verdict.WARN: "mind", Verdict.UNKNOWN: "unknown", Verdict.OK: "ok"}
STYLES = {
    Verdict.FAIL: "$text-error",
    Verdict.WARN: "$text-warning",
    Verdict.UNKNOWN: "$quiet",
    Verdict.OK: "$text-success",
}
AGAIN = "f5 asks again"
FEW = 2
"""Up to so many findings of a kind are named."""
_ORDER = [Verdict.FAIL, Verdict.WARN, Verdict.UNKNOWN, Verdict.OK]


class Findings(Widget):
    """Findings of one page as they come in."""

    found: reactive[tuple[Finding, ...]] = reactive((), layout=True)
    state: reactive[str] = reactive("", layout=True)
    """What the checks are doing, in words; empty when they are through."""

    def __init__(self, *, brief: bool = False, id: str | None = None) -> None:  # noqa: A002 - as every widget has it
        super().__init__(id=id)
        self._is_brief = brief

    def show(self, found: Sequence[Finding], state: str = "") -> None:
        """Show these, and whether more are to come."""
        self.found, self.state = tuple(found), state

    def render(self) -> Content:
        """A line a finding, a second one for its fix; what is in order shares one line."""
        lines = self._brief() if self._is_brief else [_told(item) for item in ordered(self.found) if not _fine(item)]
        fine = [item for item in self.found if _fine(item)]
        if fine:
            first = fine[0].message if len(fine) == 1 else f"{len(fine)} checks are fine"
            lines.append(Content.assemble(("✓ ", STYLES[Verdict.OK]), (first, "$quiet")))
        if self.state:
            lines.append(Content.assemble((f"… {self.state}", "$quiet")))
        return Content("\n").join(lines)

    def _brief(self) -> list[Content]:
        """Failures in full, one warning and one open question of a kind."""
        of = {status: [item for item in self.found if item.status is status] for status in Verdict}
        lines = [_told(item) for group in grouped(of[Verdict.FAIL]) for item in group]
        for first, *others in grouped(of[Verdict.WARN]):
            lines.append(_told(first, fix=False, also=_also([item.id.partition("/")[2] or item.id for item in others])))
        later = [item for item in of[Verdict.UNKNOWN] if item.once_enabled]
        if later:
            names = ", ".join(dict.fromkeys(item.id.partition("/")[0] for item in later))
            told = f"{len(later)} check{'s' * (len(later) > 1)} once APIs are on: {names}"
            lines.append(Content.assemble(("? later  ", STYLES[Verdict.UNKNOWN]), (told, "$quiet")))
        for first, *others in grouped([item for item in of[Verdict.UNKNOWN] if not item.once_enabled]):
            also = f"; {len(others)} more like it" if others else ""
            lines.append(_told(first, fix=False, also=f"{also} ({AGAIN})"))
        return lines


def _also(names: Sequence[str]) -> str:
    """Others of which the same is true: by name, or by number where those are many."""
    if not names:
        return ""
    return f"; the same of {', '.join(names)}" if len(names) <= FEW else f"; the same of {len(names)} others"


def _fine(item: Finding) -> bool:
    return item.status is Verdict.OK


def _told(item: Finding, *, fix: bool = True, also: str = "") -> Content:
    style = STYLES[item.status]
    parts = [(f"{GLYPHS[item.status]} {WORDS[item.status]}  ", style), (item.message, ""), (also, "$quiet")]
    if item.fix and fix:
        parts.append((f"\n  fix: {item.fix}", "$quiet"))
    return Content.assemble(*parts)


def grouped(found: Sequence[Finding]) -> list[list[Finding]]:
    """Findings of the same check beside each other, such as those of all APIs; each message once."""
    groups: dict[str, list[Finding]] = {}
    told = {item.message: item for item in sorted(found, key=lambda item: item.id, reverse=True)}
    for item in sorted(told.values(), key=lambda item: item.id):
        groups.setdefault(item.id.partition("/")[0], []).append(item)
    return list(groups.values())


def ordered(found: Sequence[Finding]) -> list[Finding]:
    """The findings, worst first."""
    return sorted(found, key=lambda item: (_ORDER.index(item.status), item.id))
