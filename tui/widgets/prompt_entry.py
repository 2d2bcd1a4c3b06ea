"""Where a prompt is written: enter sends it, alt+enter begins a new line, and a paste keeps its lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea
from textual.widgets.text_area import Selection


class PromptEntry(TextArea):
    """A few lines of text that are sent with enter."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("alt+enter,shift+enter", "line", "New line", show=False, tooltip="Begin a new line of the prompt"),
    ]

    @dataclass
    class Submitted(Message):
        """Enter was pressed."""

        text: str

    def __init__(self, text: str) -> None:
        super().__init__(text, soft_wrap=True, tab_behavior="focus", show_line_numbers=False, compact=True)
        self._untouched = text

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self.post_message(self.Submitted(self.text))
            return
        await super()._on_key(event)

    def action_copy(self) -> None:
        """Copy what is selected, once; a prompt that nobody has touched is not in the way of leaving."""
        if self.text == self._untouched:
            raise SkipAction
        super().action_copy()
        self.selection = Selection.cursor(self.cursor_location)
        self.notify("Copied; ctrl+c once more leaves.")

    def action_line(self) -> None:
        """Begin a new line."""
        self.insert("\n")
