"""Help on the page in front: what it asks, and the keys."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Label, Markdown

from tui.leaving import LeavableModal


class HelpScreen(LeavableModal[None]):
    """A text and a list of keys over the screen they are about."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f1,q,question_mark", "dismiss", "Close")]

    def __init__(self, title: str, text: str, keys: list[tuple[str, str]]) -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._keys = keys

    def compose(self) -> ComposeResult:
        """Text first, then the keys."""
        with Vertical(id="help"):
            yield Label(self._title, classes="heading", markup=False)
            with VerticalScroll():
                rows = "\n".join(f"| `{key}` | {what} |" for key, what in self._keys)
                yield Markdown(f"{self._text}\n\n| key | |\n|---|---|\n{rows}\n", open_links=False)
            yield Label("esc closes", classes="quiet")
