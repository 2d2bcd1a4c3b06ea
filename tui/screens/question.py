"""A question with a few answers, over the screen that asks it.

Invariant: escape gives the answer that changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Footer, Input, Static

from tui.leaving import LeavableModal


@dataclass(frozen=True, slots=True)
class Choice:
    """One possible answer."""

    name: str
    """What the question gives back."""
    label: str
    variant: Literal["default", "primary", "success", "warning", "error"] = "default"


class Question(LeavableModal[str]):
    """Asks, and gives the name of the choice; the first one is what escape means and what has the focus."""

    CSS_PATH = "question.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Back", tooltip="Change nothing", id="question.leave"),
        Binding("left", "app.focus_previous", "Left", show=False, tooltip="The answer to the left"),
        Binding("right", "app.focus_next", "Right", show=False, tooltip="The answer to the right"),
    ]

    def __init__(self, title: str, text: str, choices: Sequence[Choice]) -> None:
        super().__init__()
        self._title, self._text, self._choices = title, text, choices

    def compose(self) -> ComposeResult:
        """Lay out."""
        with Vertical(id="question") as box:
            box.border_title = self._title
            yield Static(self._text, markup=False)
            with Horizontal():
                for choice in self._choices:
                    yield Button(choice.label, variant=choice.variant, id=choice.name, compact=True)
        yield Footer()

    def action_leave(self) -> None:
        """Take the answer that changes nothing."""
        self.dismiss(self._choices[0].name)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id or self._choices[0].name)


class TypedQuestion(LeavableModal[bool]):
    """Asks for a word to be typed, and gives whether it was."""

    CSS_PATH = "question.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(False)", "Keep it", tooltip="Change nothing", id="question.leave"),
    ]

    def __init__(self, title: str, text: str, word: str) -> None:
        super().__init__()
        self._title, self._text, self._word = title, text, word

    def compose(self) -> ComposeResult:
        """Lay out."""
        with Vertical(id="question") as box:
            box.border_title = self._title
            yield Static(self._text, markup=False)
            yield Input(placeholder=self._word, id="typed", compact=True)
            yield Static("", id="wrong")
        yield Footer()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        if event.value.strip() == self._word:
            self.dismiss(True)
        else:
            self.query_one("#wrong", Static).update(f"That is not {self._word}; escape keeps it.")
