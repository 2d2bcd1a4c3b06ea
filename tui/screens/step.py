"""Everything about one step of a run, on a page of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.getters import query_one
from textual.widgets import Footer, Static

from tui.leaving import LeavableModal
from tui.progress import StepProgress
from tui.step_text import as_content, original, step_sections


class StepScreen(LeavableModal[None]):
    """How a step goes, its error, request and response, and all it told; it stays up to date."""

    CSS_PATH = "question.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "leave", "Back", key_display="esc", tooltip="Back to the run", id="step.leave"),
        Binding("y", "copy", "Copy", tooltip="Copy all of this to the clipboard", id="step.copy"),
        Binding("e", "copy_original", "Copy the error", tooltip="What the cloud said, word by word", id="step.error"),
    ]
    told = query_one("#told", Static)

    def __init__(self, step: StepProgress, *, now: Callable[[], datetime], speed: float | None) -> None:
        super().__init__()
        self._step, self._now, self._speed = step, now, speed

    def compose(self) -> ComposeResult:
        """Lay out."""
        with VerticalScroll(id="step") as box:
            box.border_title = self._step.facts.resource
            yield Static(id="told")
        yield Footer()

    def on_mount(self) -> None:
        """Tell, and tell again while the step goes on."""
        self._tell()
        self.set_interval(0.5, self._tell)

    def action_leave(self) -> None:
        """Go back."""
        self.dismiss(None)

    def action_copy(self) -> None:
        """Copy the text."""
        self.app.copy_to_clipboard(f"{self._step.facts.resource}\n{self._text().plain}")
        self.notify("Copied.")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only a failure has an original message."""
        del parameters
        return action != "copy_original" or bool(original(self._step))

    def action_copy_original(self) -> None:
        """Copy what the cloud said of the failure."""
        self.app.copy_to_clipboard(original(self._step))
        self.notify("Copied what the cloud said.")

    def _tell(self) -> None:
        self.told.update(self._text())

    def _text(self) -> Content:
        told = [Content(self._step.facts.title)] if self._step.facts.title else []
        for heading, lines in step_sections(self._step, now=self._now(), speed=self._speed):
            if lines:
                told += [Content.styled(f"\n{heading}", "bold $primary")] if heading else []
                told.append(as_content(lines))
        return Content("\n").join(told)
