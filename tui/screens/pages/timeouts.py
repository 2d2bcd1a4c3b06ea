"""Timeouts: from the answers' expected length to the load balancer's patience."""

from __future__ import annotations

from collections.abc import Iterable

from textual import on
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Input, Label

from backend.draft import Checked
from tui.screens.pages.base import PageView
from tui.widgets.answer import Answer

TIMES_P99 = 2
LONGEST_S = 3600


class TimeoutsView(PageView):
    """The page."""

    HINT = "How long the slowest 1 in 100 answers take; the timeout becomes twice that."

    def head(self) -> Iterable[Widget]:
        """The expectation that the timeout is reckoned from."""
        with Horizontal(classes="line"):
            yield Label("99 of 100 take", classes="label")
            yield Input(
                placeholder="seconds, if you know",
                compact=True,
                max_length=6,
                restrict=r"[0-9.]*",
                select_on_focus=False,
                id="p99",
            )
            yield Label("s", classes="unit")

    def tail(self) -> Iterable[Widget]:
        """What the timeout means."""
        yield Label("", id="meaning", markup=False)

    def show(self, checked: Checked) -> None:
        """Say what the timeout is good for."""
        super().show(checked)
        timeout = self.draft.get("timeout_s")
        if not isinstance(timeout, int):
            return
        expected = _seconds(self.query_one("#p99", Input).value)
        label = self.query_one("#meaning", Label)
        enough = expected is None or timeout >= TIMES_P99 * expected
        label.set_class(not enough, "wrong")
        if enough:
            label.update(
                f"Good where 99 of 100 answers take up to {timeout / TIMES_P99:g} s; over {timeout} s one is cut off."
            )
        else:
            label.update(f"! Less than twice {expected:g} s: slow answers would be cut off under load.")

    @on(Input.Changed, "#p99")
    def _expected(self, event: Input.Changed) -> None:
        event.stop()
        expected = _seconds(event.value)
        if expected:
            self.draft.set("timeout_s", min(LONGEST_S, max(1, round(TIMES_P99 * expected))))
            for row in self.query(Answer):
                row.refresh_answer()
        self.post_message(self.Changed(self))

    @on(Input.Submitted, "#p99")
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.screen.focus_next()


def _seconds(text: str) -> float | None:
    try:
        return float(text) or None
    except ValueError:
        return None
