"""The table of clusters and Pods, of which one is selected.

Invariant: the selection stays on its cluster or Pod while rows come, go and are sorted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.fleet import Row, heading, rows
from tui.history import History

if TYPE_CHECKING:
    from backend.monitor import Snapshot

OPEN_AT_MOST = 40
"""Rows up to which all clusters show their Pods at first."""


class Fleet(ScrollView, can_focus=True):
    """Shows the clusters and Pods of a snapshot."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "fleet--heading", "fleet--cluster", "fleet--quiet", "fleet--line", "fleet--full", "fleet--good",
        "fleet--warn", "fleet--bad", "fleet--unknown", "fleet--cursor",
    }  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "go(-1)", "Up", show=False, tooltip="The row above"),
        Binding("down,j", "go(1)", "Down", show=False, tooltip="The row below"),
        Binding("pageup", "go(-10)", "Page up", show=False, tooltip="Ten rows above"),
        Binding("pagedown", "go(10)", "Page down", show=False, tooltip="Ten rows below"),
        Binding("left", "fold(True)", "Fold", show=False, tooltip="Hide the Pods of the cluster"),
        Binding("right", "fold(False)", "Open", show=False, tooltip="Show the Pods of the cluster"),
        Binding("enter", "zoom", "Zoom", tooltip="Only this cluster, with a line a Pod; again for all"),
    ]

    @dataclass
    class Selected(Message):
        """Another row was selected."""

    @dataclass
    class Zoomed(Message):
        """A person wants to see one cluster alone, or all again."""

        cluster: str | None

    def __init__(self) -> None:
        super().__init__()
        self.selected: tuple[str, str | None] | None = None
        """Cluster and Pod of the selected row."""
        self.only: str | None = None
        """The cluster that is zoomed on."""
        self._folded: set[str] = set()
        self._rows: list[Row] = []
        self._heading = ""
        self._begun = False
        self._styles: dict[str, RichStyle] = {}

    def show(self, snapshot: Snapshot, history: History, sort: str) -> None:
        """Show a snapshot."""
        if not self._begun:
            self._begun = True
            if sum(1 + len(cluster.pods) for cluster in snapshot.clusters) > OPEN_AT_MOST:
                self._folded = {cluster.name for cluster in snapshot.clusters}
        width = self.size.width
        folded = self._folded - ({self.only} if self.only else set())
        self._rows = list(rows(snapshot, history, width, sort=sort, folded=folded, only=self.only))
        self._heading = heading(width)
        self._styles = {}
        if self.selected not in {row.key for row in self._rows}:
            cluster = self.selected[0] if self.selected else None
            keys = [row.key for row in self._rows]
            self.selected = next((key for key in keys if key[0] == cluster), keys[0] if keys else None)
        self.virtual_size = Size(width, len(self._rows) + 1)
        if self.styles.height is None or self.styles.height.value != len(self._rows) + 1:
            self.styles.height = len(self._rows) + 1
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """The heading, or a row."""
        number = y - 1 + self.scroll_offset.y
        if y == 0:
            segments = [Segment(self._heading, self._style("heading"))]
        elif number < len(self._rows):
            row = self._rows[number]
            segments = [Segment(text, self._style(name) if name else None) for text, name in row.pieces]
            if row.key == self.selected:
                segments = list(Segment.apply_style(segments, post_style=self._style("cursor")))
                style = self._style("cursor")
                return Strip(segments).crop_extend(0, self.size.width, style).apply_style(self.rich_style)
        else:
            segments = []
        return Strip(segments).crop_extend(0, self.size.width, self.rich_style).apply_style(self.rich_style)

    def on_click(self, event: events.Click) -> None:
        """Select the row under the pointer; a second click zooms."""
        number = event.y - 1 + self.scroll_offset.y
        if event.y > 0 and number < len(self._rows):
            self._select(number)
            if event.chain > 1:
                self.action_zoom()

    def action_go(self, by: int) -> None:
        """Go up or down."""
        self._select(min(max(self._at + by, 0), len(self._rows) - 1))

    def action_fold(self, folded: bool) -> None:
        """Hide or show the Pods of the selected cluster."""
        if self.selected is not None:
            (self._folded.add if folded else self._folded.discard)(self.selected[0])
            self.selected = (self.selected[0], None)
            self.post_message(self.Selected())

    def action_zoom(self) -> None:
        """Show the selected cluster alone, or all again."""
        self.only = None if self.only is not None or self.selected is None else self.selected[0]
        self.post_message(self.Zoomed(self.only))

    @property
    def _at(self) -> int:
        return next((number for number, row in enumerate(self._rows) if row.key == self.selected), 0)

    def _select(self, number: int) -> None:
        if not 0 <= number < len(self._rows):
            return
        self.selected = self._rows[number].key
        top, visible = self.scroll_offset.y, self.size.height - 1
        if number < top or number >= top + visible:
            self.scroll_to(0, number if number < top else number - visible + 1, animate=False)
        self.refresh()
        self.post_message(self.Selected())

    def _style(self, name: str) -> RichStyle:
        if name not in self._styles:
            found = self.get_component_rich_style(f"fleet--{name}", partial=True)
            self._styles[name] = found
        return self._styles[name]
