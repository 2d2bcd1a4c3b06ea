"""The log of a run: every line, those that hold a word, and the end of it as it grows.

Invariant: filtering hides lines and loses none.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.getters import query_one
from textual.reactive import reactive
from textual.widgets import Input, Log

from tui.progress import LINES_KEPT, Progress


class RunLog(Vertical):
    """A log that can be filtered and followed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", tooltip="Show only lines with a word in them", id="log.filter"),
        Binding("f", "follow", "Follow", tooltip="Stay at the end of the log, or stop to read", id="log.follow"),
        Binding("escape", "all", "All lines", show=False, tooltip="Show all lines again", id="log.all"),
    ]
    log_view = query_one(Log)
    entry = query_one(Input)
    follow = reactive(True)

    def __init__(self) -> None:
        super().__init__()
        self._progress: Progress | None = None
        self._shown = 0
        self._words = ""

    def compose(self) -> ComposeResult:
        """Lay out."""
        yield Input(placeholder="filter, such as us-east4 or failed", compact=True)
        yield Log(max_lines=LINES_KEPT, auto_scroll=True)

    def on_mount(self) -> None:
        """Begin with the filter out of the way."""
        self.entry.display = False
        self.border_title = "Log"

    def show(self, progress: Progress) -> None:
        """Begin with another run; what was there stays above it."""
        self._progress, self._shown = progress, 0
        self.take()

    def take(self) -> None:
        """Add what has come since."""
        if self._progress is None or (fresh := self._progress.told - self._shown) <= 0:
            return
        kept = len(self._progress.lines)
        lines = islice(self._progress.lines, max(kept - fresh, 0), kept)
        self._shown = self._progress.told
        self._write(lines)

    def action_filter(self) -> None:
        """Ask for a word."""
        self.entry.display = True
        self.entry.focus()

    def action_all(self) -> None:
        """Show all lines."""
        self.entry.value = ""
        self.entry.display = False
        self.log_view.focus()

    def action_follow(self) -> None:
        """Stay at the end, or stop."""
        self.follow = not self.follow

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """``escape`` belongs to the screen while nothing is filtered."""
        del parameters
        return self.entry.display if action == "all" else True

    def watch_follow(self, follow: bool) -> None:
        """Say so in the title."""
        if self.is_mounted:
            self.log_view.auto_scroll = follow
            self._title()
            if follow:
                self.log_view.scroll_end(animate=False)

    @on(Input.Changed)
    def _filtered(self, event: Input.Changed) -> None:
        event.stop()
        self._words = event.value.strip().casefold()
        self._title()
        self.log_view.clear()
        if self._progress is not None:
            self._write(self._progress.lines)

    @on(Input.Submitted)
    def _chosen(self, event: Input.Submitted) -> None:
        event.stop()
        self.log_view.focus()

    def _title(self) -> None:
        parts = [f"only {self._words}"] if self._words else []
        self.border_title = ", ".join(["Log", *parts, *([] if self.follow else ["standing still"])])

    def _write(self, lines: Iterable[str]) -> None:
        wanted = [line for line in lines if self._words in line.casefold()]
        if wanted:
            self.log_view.write_lines(wanted, scroll_end=self.follow)
