"""Choosing from a short list in front of another screen: a preset, or what to do with a stack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Label, OptionList
from textual.widgets.option_list import Option

from tui.leaving import LeavableModal


class ChoosingScreen(LeavableModal[str | None]):
    """A titled list; gives the chosen key, or ``None``."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Back")]

    def __init__(self, title: str, options: Sequence[tuple[str, str, str]], text: str = "") -> None:
        super().__init__()
        self._title = title
        self._options = options
        self._text = text

    def compose(self) -> ComposeResult:
        """Title, text, list."""
        with Vertical(id="choosing"):
            yield Label(self._title, classes="heading", markup=False)
            if self._text:
                yield Label(self._text, classes="quiet", markup=False)
            yield OptionList(
                *(
                    Option(Content.assemble((name, "bold"), *([("\n" + text, "$quiet")] if text else [])), id=key)
                    for key, name, text in self._options
                ),
                id="options",
            )
            yield Label("enter takes it   esc goes back", classes="quiet")

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(str(event.option_id))
