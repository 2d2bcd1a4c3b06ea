"""A word instead of a torn page where the terminal is too small."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.geometry import Size
from textual.widgets import Static

from tui.leaving import LeavableModal

NEEDED = Size(70, 20)
"""Columns and lines that the pages need."""


class TooSmall(LeavableModal[None]):
    """Covers everything until there is room again."""

    def compose(self) -> ComposeResult:
        """One sentence that fits anywhere."""
        yield Static(
            f"mcig needs {NEEDED.width}x{NEEDED.height}. Make the window larger; nothing is lost. "
            "Or: ctrl+q, then mcig --plain apply",
            markup=False,
        )

    @staticmethod
    def needed(size: Size) -> bool:
        """Whether a terminal of that size is too small."""
        return 0 < size.width < NEEDED.width or 0 < size.height < NEEDED.height
