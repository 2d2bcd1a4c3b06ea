"""All there is to know of the selected step of a run, beside the log.

Invariant: a text that has not changed is not laid out again.
"""

from __future__ import annotations

from datetime import datetime

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.getters import query_one
from textual.widgets import Static

from tui.progress import StepProgress
from tui.step_text import as_content, step_lines

_NOTES = 3
"""Notes of the step that are told."""


class RunDetails(VerticalScroll, can_focus=True):
    """Details of one step."""

    text = query_one("#details-text", Static)

    def __init__(self) -> None:
        super().__init__(id="details")
        self._told = ""

    def compose(self) -> ComposeResult:
        """Lay out."""
        yield Static(id="details-text")

    def show(self, step: StepProgress, *, now: datetime, speed: float | None) -> None:
        """Tell of a step."""
        self.border_title = step.facts.title or step.facts.resource
        told = as_content(step_lines(step, now=now, speed=speed, notes=_NOTES))
        if told.plain != self._told:
            self._told = told.plain
            self.text.update(told)
