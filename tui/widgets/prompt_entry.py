"""Where a prompt is written: enter sends it, alt+enter begins a new line, and a paste keeps its lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea


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

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self.post_message(self.Submitted(self.text))
            return
        await super()._on_key(event)

    def action_line(self) -> None:
        """Begin a new line."""
        self.insert("\n")
