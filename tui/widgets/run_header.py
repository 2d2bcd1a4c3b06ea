"""The head of a run: what is done where, how far it is, how long it still needs, what it costs.

Invariant: a time or a sum that nobody knows is left out, never shown as nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.widget import Widget

from backend.engine.events import Outcome, Verb
from tui.progress import Progress
from tui.runs import RunSource
from tui.style import clock, duration, money, span

_VERBS = {Verb.APPLY: "Apply", Verb.DESTROY: "Destroy"}
_ENDS = {
    Outcome.SUCCEEDED: ("done", "✓ done"),
    Outcome.FAILED: ("failed", "✗ not finished"),
    Outcome.CANCELLED: ("stopped", "■ stopped"),
}


class RunHeader(Widget):
    """Three lines about a whole run."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "run-header--title", "run-header--quiet", "run-header--bar", "run-header--rest",
        "run-header--running", "run-header--done", "run-header--failed", "run-header--stopped",
    }  # fmt: skip

    def __init__(self, source: RunSource, progress: Progress) -> None:
        super().__init__()
        self.source, self.progress = source, progress

    def show(self, source: RunSource, progress: Progress) -> None:
        """Tell of another run."""
        self.source, self.progress = source, progress
        self.refresh()

    def render(self) -> Text:
        """All three lines, as wide as there is room."""
        now, width = self.source.now(), self.size.width
        lines = [self._title(width), self._bar(now, width), self._facts(now, width)]
        return Text("\n").join(lines)

    def _title(self, width: int) -> Text:
        name, word = self._state
        title = Text.assemble(
            (f"{_VERBS[self.source.verb]} {self.source.stack_name}", self._style("title")),
            "  ",
            (self.source.where, self._style("quiet")),
        )
        state = Text(word, self._style(name))
        title.truncate(max(width - cell_len(word) - 2, 0), overflow="ellipsis", pad=True)
        return title + Text("  ") + state

    @property
    def _state(self) -> tuple[str, str]:
        if self.progress.finished is not None:
            return _ENDS.get(self.progress.finished.outcome, ("running", "▸ running"))
        return ("running", "▸ running") if self.progress.started is not None else ("quiet", "· about to begin")

    def _bar(self, now: datetime, width: int) -> Text:
        share = self.progress.share(now)
        steps = f"{self.progress.ended} of {len(self.progress.steps)} steps"
        told = f" {int(share * 100):>3} %  {steps}"
        room = max(width - cell_len(told), 4)
        full = round(share * room)
        name = "failed" if self.progress.failed else "done" if share >= 1 else "bar"
        return Text.assemble(
            ("━" * full, self._style(name)), ("─" * (room - full), self._style("rest")), (told, self._style("quiet"))
        )

    def _facts(self, now: datetime, width: int) -> Text:
        quiet = self._style("quiet")
        finished = self.progress.finished
        gone = finished.elapsed_s if finished is not None else self.progress.elapsed(now)
        parts = [("elapsed", clock(gone))]
        left = self.source.left() if finished is None else None
        if left is not None and left.p90_s >= 1:
            parts.append(("to go", span(left.p50_s, left.p90_s)))
        rate = sum(step.facts.usd_per_hour for step in self.progress.steps.values())
        spent = self.progress.spent_usd(finished_at if (finished_at := self._end(now)) else now)
        life = " for real" if self.source.speed is not None else ""
        if (counted := self.source.spent) is not None and counted.usd > (spent or 0.0):
            parts.append((f"spent{life} about", f"${counted.usd:,.2f}"))
        elif rate and spent and round(spent, 2):
            parts.append(("set-up for real about" if life else "spent about", f"${spent:,.2f}"))
        if self.source.guard:
            parts.insert(1, ("!", "guard passed"))
        elif (at := self.source.guard_at) is not None and finished is None:
            parts.insert(2, ("guard in", duration(max((at - now).total_seconds(), 0.0))))
        if rate:
            parts.append((f"costs{'' if any(life in label for label, _ in parts) else life}", money(rate)))
        if life and rate and width >= 100:
            parts.append(("here", "nothing"))
        line = Text("   ").join(Text.assemble((f"{label} ", quiet), value) for label, value in parts)
        line.truncate(width, overflow="ellipsis")
        return line

    def _end(self, now: datetime) -> datetime:
        return self.progress.last if self.progress.finished is not None and self.progress.last is not None else now

    def _style(self, name: str) -> Style:
        found = self.get_component_rich_style(f"run-header--{name}")
        return Style(color=found.color, bold=found.bold)
