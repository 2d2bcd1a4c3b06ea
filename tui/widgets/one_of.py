"""One of a few choices, all of them in sight: a line each, with what taking it means.

Invariants: a glyph says which one is taken; arrows move and take at once, as does a click.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from backend.fields import Choice

TAKEN, OTHER = "●", "○"
GAP = 2


class OneOf(Widget, can_focus=True):
    """A few choices below each other."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,left", "move(-1)", "Choose", show=False),
        Binding("down,right", "move(1)", "Choose", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"one-of--taken", "one-of--hint"}

    @dataclass
    class Changed(Message):
        """Another choice was taken."""

        one_of: OneOf
        value: str

    def __init__(self, choices: Sequence[Choice], value: str, *, classes: str | None = None) -> None:
        super().__init__(classes=classes)
        self._choices = tuple(choices)
        self.value = value

    def show(self, choices: Sequence[Choice], value: str) -> None:
        """Show other choices, or another one taken."""
        if (tuple(choices), value) != (self._choices, self.value):
            self._choices, self.value = tuple(choices), value
            self.refresh(layout=True)

    def render(self) -> Content:
        """A line for each choice."""
        width = max((len(choice.label) for choice in self._choices), default=0)
        taken, hint = self.get_visual_style("one-of--taken"), self.get_visual_style("one-of--hint")
        lines = []
        for choice in self._choices:
            chosen = choice.value == self.value
            name = f"{TAKEN if chosen else OTHER} {choice.label.ljust(width)}"
            parts = [(name, taken) if chosen else (name, "")]
            room = self.content_size.width - len(name) - GAP
            if choice.hint and room > 8:
                text = choice.hint if len(choice.hint) <= room else f"{choice.hint[: room - 1]}…"
                parts.append((" " * GAP + text, hint))
            lines.append(Content.assemble(*parts))
        return Content("\n").join(lines)

    def get_content_height(self, *_: object) -> int:
        """A line for each choice."""
        return max(1, len(self._choices))

    def action_move(self, by: int) -> None:
        """Take the choice above or below."""
        if not self._choices:
            return
        values = [choice.value for choice in self._choices]
        here = values.index(self.value) if self.value in values else -1 if by > 0 else 0
        self._take(values[(here + by) % len(values)])

    def on_click(self, event: events.Click) -> None:
        """Take the choice that was clicked at."""
        offset = event.get_content_offset(self)
        if offset is not None and offset.y < len(self._choices):
            self._take(self._choices[offset.y].value)

    def _take(self, value: str) -> None:
        if value != self.value:
            self.value = value
            self.refresh()
            self.post_message(self.Changed(self, value))
