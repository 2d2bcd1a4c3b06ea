"""The head of a plan: what is planned where, and figures about it or one sentence.

Invariant: a figure is never parted from its label; what has no room on a line begins the next one.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

_GAP = "   "


class PlanHead(Widget):
    """Title, place and figures."""

    def __init__(self) -> None:
        super().__init__(id="head")
        self._first = Content("")
        self._figures: Sequence[Content] = ()

    def say(self, title: str, where: str, *figures: Content) -> None:
        """Show a title with its place, and below it figures in as many lines as they need."""
        self._first = Content.assemble((title, "bold"), "  ", (where, "$quiet"))
        self._figures = figures
        self.refresh(layout=True)

    def render(self) -> Content:
        """All lines, as wide as there is room."""
        return Content("\n").join(self._lines(self.content_size.width))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many lines as the figures need."""
        del container, viewport
        return len(self._lines(width))

    def _lines(self, width: int) -> list[Content]:
        lines = [self._first]
        for figure in self._figures:
            if len(lines) > 1 and lines[-1].cell_length + len(_GAP) + figure.cell_length <= width:
                lines[-1] = Content.assemble(lines[-1], _GAP, figure)
            else:
                lines.append(figure)
        return lines
