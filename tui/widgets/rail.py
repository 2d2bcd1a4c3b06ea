"""The wizard's pages at a glance: where one is, what is done, what has to be mended.

A column at the side where there is room, a line on top where there is not. Invariant: only pages that were visited can
be jumped to, and state is a glyph, never colour alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

HERE, DONE, WRONG, AHEAD = "▸", "✓", "✗", "·"


class Rail(Widget):
    """The pages, in order."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"rail--here", "rail--done", "rail--wrong", "rail--ahead"}

    @dataclass
    class Chosen(Message):
        """A page was clicked at."""

        page: str

    here: reactive[str] = reactive("")
    """Name of the page in front."""
    visited: reactive[frozenset[str]] = reactive(frozenset())
    wrong: reactive[frozenset[str]] = reactive(frozenset())
    """Names of the pages with something to mend."""
    upright: reactive[bool] = reactive(True, layout=True)
    """Whether it is a column."""

    def __init__(self, pages: Sequence[tuple[str, str]]) -> None:
        super().__init__(id="rail")
        self._pages = tuple(pages)

    def mark(self, *, here: str, visited: Collection[str], wrong: Collection[str]) -> None:
        """Show how the pages stand."""
        self.here, self.visited, self.wrong = here, frozenset(visited), frozenset(wrong)

    def render(self) -> Content:
        """A line each, or one line in which only the page in front has its title."""
        parts = [self._part(number, name, title) for number, (name, title) in enumerate(self._pages, 1)]
        return Content("\n").join(parts) if self.upright else Content(" ").join(parts)

    def get_content_height(self, *_: object) -> int:
        """A line a page, with a free one between them where it is tall enough."""
        return len(self._pages) if self.upright else 1

    def on_click(self, event: events.Click) -> None:
        """Tell which page was clicked at."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        index = offset.y if self.upright else self._index_at(offset.x)
        if index is not None and index < len(self._pages):
            name = self._pages[index][0]
            if name in self.visited:
                self.post_message(self.Chosen(name))

    def _part(self, number: int, name: str, title: str) -> Content:
        state, glyph = self._state(name)
        style = self.get_visual_style(f"rail--{state}")
        if self.upright:
            return Content.assemble((f" {glyph} {title}", style))
        return Content.assemble((self._short(number, name, title), style))

    def _short(self, number: int, name: str, title: str) -> str:
        _, glyph = self._state(name)
        return f" {glyph} {number} {title} " if name == self.here else f"{glyph}{number}"

    def _state(self, name: str) -> tuple[str, str]:
        if name == self.here:
            return "here", WRONG if name in self.wrong else HERE
        if name in self.wrong and name in self.visited:
            return "wrong", WRONG
        return ("done", DONE) if name in self.visited else ("ahead", AHEAD)

    def _index_at(self, x: int) -> int | None:
        position = 0
        for index, (name, title) in enumerate(self._pages):
            width = len(self._short(index + 1, name, title))
            if position <= x < position + width:
                return index
            position += width + 1
        return None
