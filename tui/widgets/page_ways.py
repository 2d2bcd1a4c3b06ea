"""The foot of a wizard's page: back and on by name, and how much there is to mend.

Invariant: a way is named by the page it leads to.
"""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Button, Label

from backend.fields import Page


class PageWays(Horizontal):
    """Back, what is wrong, and next."""

    def __init__(self) -> None:
        super().__init__(id="ways")

    def compose(self) -> ComposeResult:
        """Lay out."""
        yield Button("Back", id="back", compact=True)
        yield Label("", id="wrong", markup=False)
        yield Button("Next", id="next", variant="primary", compact=True)

    def name_ways(self, previous: Page | None, following: Page | None) -> None:
        """Name the pages on both sides; ``None`` is Home, and the review."""
        self.query_one("#back", Button).label = f"◂ {previous.title}" if previous else "◂ Home"
        self.query_one("#next", Button).label = f"Next: {following.title} ▸" if following else "Review the plan ▸"
        for button in self.query(Button):
            button.refresh(layout=True)

    def tell_wrong(self, here: int, elsewhere: int) -> None:
        """Say how much there is to mend on this page and on others."""
        told = [f"✗ {here} to mend here"] if here else []
        told += [f"✗ {elsewhere} on other pages"] if elsewhere else []
        self.query_one("#wrong", Label).update("  ".join(told))
