"""What the checks found, worst first, each with its fix; findings of one kind share a line."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from backend.preflight.findings import Finding, Verdict
from tui.check_groups import Group, groups

GLYPHS = {Verdict.FAIL: "✗", Verdict.WARN: "!", Verdict.UNKNOWN: "?", Verdict.OK: "✓"}
WORDS = {Verdict.FAIL: "fails", Verdict.WARN: "mind", Verdict.UNKNOWN: "unknown", Verdict.OK: "ok"}
STYLES = {
    Verdict.FAIL: "$text-error",
    Verdict.WARN: "$text-warning",
    Verdict.UNKNOWN: "$quiet",
    Verdict.OK: "$text-success",
}
AGAIN = "f5 asks again"


class Findings(Widget):
    """Findings of one page as they come in."""

    found: reactive[tuple[Finding, ...]] = reactive((), layout=True)
    state: reactive[str] = reactive("", layout=True)
    """What the checks are doing, in words; empty when they are through."""

    def show(self, found: Sequence[Finding], state: str = "") -> None:
        """Show these, and whether more are to come."""
        self.found, self.state = tuple(found), state

    def render(self) -> Content:
        """A line a kind, a second one for the fix of what fails."""
        lines = [_told(group) for group in groups(self.found)]
        if self.state:
            lines.append(Content.assemble((f"… {self.state}", "$quiet")))
        return Content("\n").join(lines)


def _told(group: Group) -> Content:
    style, sign = STYLES[group.status], GLYPHS[group.status]
    if group.status is Verdict.OK:
        said = group.found[0].message if len(group.found) == 1 else group.message
        return Content.assemble((f"{sign} ", style), (said, "$quiet"))
    if group.status is Verdict.UNKNOWN and all(one.once_enabled for one in group.found):
        return Content.assemble((f"{sign} later  ", style), (group.message, "$quiet"))
    parts = [(f"{sign} {WORDS[group.status]}  ", style), (group.message, "")]
    if group.status is Verdict.UNKNOWN:
        parts.append((f" ({AGAIN})", "$quiet"))
    if group.status is Verdict.FAIL and group.fix:
        parts.append((f"\n  fix: {group.fix}", "$quiet"))
    return Content.assemble(*parts)
