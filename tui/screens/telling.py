"""A text in front of a screen: read, scrolled, copied."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Footer, Static

from tui.leaving import LeavableModal


class TellingScreen(LeavableModal[None]):
    """A titled text; ``copied`` is what its copy key gives."""

    CSS_PATH = "question.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "dismiss", "Back", key_display="esc", tooltip="Back", id="telling.leave"),
        Binding("y", "copy", "Copy the commands", tooltip="Copy the commands of this text", id="telling.copy"),
    ]

    def __init__(self, title: str, text: str, copied: str) -> None:
        super().__init__()
        self._title, self._text, self._copied = title, text, copied

    def compose(self) -> ComposeResult:
        """Lay out."""
        with VerticalScroll(id="step") as box:
            box.border_title = self._title
            yield Static(self._text, markup=False)
        yield Footer()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing is copied where nothing can be."""
        del parameters
        return action != "copy" or bool(self._copied)

    def action_copy(self) -> None:
        """Copy."""
        self.app.copy_to_clipboard(self._copied)
        self.notify("Copied.")
