"""What a stack's snapshots show below the head of the monitor: a chart, a table, events, details of the selected row.

Snapshots are taken as they come and drawn once each. Invariant: an event stays told, and a text that has not changed is
not laid out again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.getters import query_one
from textual.widgets import Static

from backend.monitor.feed import Feed, Happening, Tone
from tui.fleet import SORTS
from tui.history import LONGEST_S, MEASURES, History
from tui.monitor_details import details, events
from tui.monitor_picture import picture
from tui.widgets.chart import Chart
from tui.widgets.fleet import Fleet

if TYPE_CHECKING:
    from backend.monitor import Snapshot

Value = TypeVar("Value")
WINDOWS_S = (120.0, 600.0, 1800.0, LONGEST_S)
"""Seconds that the chart can show."""
EVENTS = 200
"""Events that are kept."""


class MonitorPanes(Vertical):
    """Shows one stack's traffic, and how it came to be so."""

    chart = query_one(Chart)
    fleet = query_one(Fleet)
    events_text = query_one("#events-text", Static)
    details_text = query_one("#details-text", Static)

    def __init__(self, every_s: float) -> None:
        """``every_s`` is the time between two snapshots."""
        super().__init__()
        self.snapshot: Snapshot | None = None
        """What is shown."""
        self._every_s = every_s
        self._newest: Snapshot | None = None
        self._history = History(every_s)
        self._feed = Feed()
        self._happened: deque[Happening] = deque(maxlen=EVENTS)
        self._measure, self._window_s, self._sort = "kv", WINDOWS_S[0], "name"
        self._told_event: Happening | None = None
        self._told_details: Content | None = None

    def compose(self) -> ComposeResult:
        """Lay out."""
        yield Chart()
        yield Fleet()
        with Horizontal(id="below"):
            with VerticalScroll(id="events") as box:
                box.border_title = "events"
                yield Static("looking …", id="events-text", markup=False)
            with VerticalScroll(id="details"):
                yield Static(id="details-text", markup=False)

    def take(self, snapshot: Snapshot) -> None:
        """Take the next snapshot; the next drawing shows it."""
        self._history.take(snapshot)
        self._happened.extendleft(self._feed.take(snapshot))
        self._newest = snapshot

    def begin_again(self, snapshots: Sequence[Snapshot]) -> None:
        """Take up a recording at another place, with all that led to it."""
        self._history, self._feed = History(self._every_s), Feed()
        self._happened.clear()
        for snapshot in snapshots[-round(LONGEST_S / self._every_s) :]:
            self.take(snapshot)

    def draw(self) -> None:
        """Draw the newest snapshot."""
        if self._newest is None:
            return
        self.snapshot = self._newest
        shown = picture(
            self.snapshot,
            self._history,
            self._measure,
            window_s=self._window_s,
            every_s=self._every_s,
            only=self.fleet.only,
        )
        self.chart.show(shown)
        self.fleet.show(self.snapshot, self._history, self._sort)
        self._tell_events()
        self._tell_details()

    def show_measure(self, name: str = "") -> None:
        """Chart a figure, the next one unless told which."""
        self._measure = name or _next(list(MEASURES), self._measure)
        self.draw()

    def show_window(self) -> None:
        """Show more of the past, or the last two minutes again."""
        self._window_s = _next(WINDOWS_S, self._window_s)
        self.draw()

    def sort(self, name: str = "") -> str:
        """Sort the rows by a figure, the next one unless told which; gives its name."""
        self._sort = name or _next(list(SORTS), self._sort)
        self.draw()
        return self._sort

    def tell(self, text: str) -> None:
        """Add a line to the events at once, of something that was done here."""
        self._happened.appendleft(Happening(datetime.now(UTC), "test", text, Tone.NEWS))
        self._tell_events()

    @on(Fleet.Selected)
    def _selected(self) -> None:
        if self.snapshot is not None:
            self.fleet.show(self.snapshot, self._history, self._sort)
        self._tell_details()

    def _tell_events(self) -> None:
        """Tell the events where there are new ones; a new text costs a layout."""
        newest = self._happened[0] if self._happened else None
        if newest is None or newest is not self._told_event:
            self._told_event = newest
            self.events_text.update(events(self._happened))

    def _tell_details(self) -> None:
        if self.snapshot is not None:
            title, text = details(self.snapshot, self.fleet.selected)
            self.query_one("#details").border_title = title
            if text != self._told_details:
                self._told_details = text
                self.details_text.update(text)


def _next(among: Sequence[Value], now: Value) -> Value:
    return among[(among.index(now) + 1) % len(among)]
