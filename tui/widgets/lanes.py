"""The lanes of a run: a column for what is shared and one a region, a line a step.

Invariant: a step's line stays where it is from the first frame to the last; its state is a sign and a word.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style as RichStyle
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.lane_text import SIGNS, fit, notes, over, taken
from tui.progress import Lane, Progress, State, StepProgress

NARROWEST = 26
"""Columns that a lane has at least."""
_WORD = 8
"""Columns of a state's word."""
_TIME = 7
"""Columns of a step's time, where there is room."""
_ROOMY = 36
"""Columns of a lane from which times are shown."""
_NOTES = 5
"""Lines at the bottom that tell what running steps wait for, at most."""


class Lanes(ScrollView, can_focus=True):
    """All steps of a run, with one of them selected."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "lanes--heading", "lanes--quiet", "lanes--cursor", "lanes--waiting", "lanes--running", "lanes--done",
        "lanes--unchanged", "lanes--failed", "lanes--skipped", "lanes--stopped",
    }  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "step(-1)", "Up", show=False, tooltip="The step above"),
        Binding("down,j", "step(1)", "Down", show=False, tooltip="The step below"),
        Binding("left", "lane(-1)", "Left", show=False, tooltip="The lane to the left"),
        Binding("right", "lane(1)", "Right", show=False, tooltip="The lane to the right"),
        Binding("home", "first", "First", show=False, tooltip="The first step of the lane"),
        Binding("end", "last", "Last", show=False, tooltip="The last step of the lane"),
        Binding("enter", "open", "Details", tooltip="All there is to know of the selected step", id="step.open"),
    ]

    @dataclass
    class Selected(Message):
        """A person has selected a step."""

        resource: str

    @dataclass
    class Opened(Message):
        """A person wants to see all of a step."""

        resource: str

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__()
        self._now = now
        self._progress = Progress(())
        self.cursor = (0, 0)
        """Lane and row of the selected step."""
        self._told: dict[str, list[str]] = {}
        self._drawn: list[object] = []

    def tick(self) -> None:
        """Draw again the lines that have changed, and only those."""
        room, lanes = self._room, self._progress.lanes
        self._told = {lane.name: notes(lane, self._column - 4, room) for lane in lanes} if room else {}
        top, height = self.scroll_offset.y, self.size.height
        drawn = [self._content(y, top, height - room) for y in range(height)]
        if len(drawn) != len(self._drawn):
            self.refresh()
        else:
            for y, (now, before) in enumerate(zip(drawn, self._drawn, strict=True)):
                if now != before:
                    self.refresh_line(y + top)
        self._drawn = drawn

    def _content(self, y: int, top: int, notes_from: int) -> object:
        """What stands on a line, for telling whether it has changed."""
        lanes = self._progress.lanes
        if y == 0:
            return tuple(over(lane) for lane in lanes)
        if y >= notes_from:
            return tuple(lines[y - notes_from] for lines in self._told.values() if y - notes_from < len(lines))
        rows = (lane.steps[y - 1 + top] for lane in lanes if y - 1 + top < len(lane.steps))
        here = self.cursor[0] if self.cursor[1] == y - 1 + top else None
        return (here, *((step.state, taken(step, self._now())) for step in rows))

    def show(self, progress: Progress, now: Callable[[], datetime]) -> None:
        """Show a run from its beginning."""
        self._progress, self._now = progress, now
        self.cursor = (0, 0)
        self.fit()

    def fit(self) -> None:
        """Take up the lanes as they are and draw again."""
        lanes = self._progress.lanes
        rows = max((len(lane.steps) for lane in lanes), default=0)
        width = self.size.width if self._column > NARROWEST else self._column * len(lanes)
        self.virtual_size = Size(width, rows + 1)
        self.refresh()

    @property
    def selected(self) -> StepProgress | None:
        """The selected step; ``None`` where there is none."""
        lane, row = self.cursor
        lanes = self._progress.lanes
        return lanes[lane].steps[row] if lane < len(lanes) and row < len(lanes[lane].steps) else None

    def select(self, resource: str) -> None:
        """Select a step without telling anybody."""
        for number, lane in enumerate(self._progress.lanes):
            for row, step in enumerate(lane.steps):
                if step.facts.resource == resource and self.cursor != (number, row):
                    self.cursor = (number, row)
                    self._into_view()
                    self.tick()

    def render_line(self, y: int) -> Strip:
        """One line across all lanes: their headings, their steps, and below what running steps wait for."""
        left, top = self.scroll_offset
        lanes, width = self._progress.lanes, self._column
        segments: list[Segment] = []
        notes_from = self.size.height - self._room
        for number, lane in enumerate(lanes):
            if y == 0:
                segments += self._heading(lane, width)
            elif self._room and y >= notes_from:
                segments += self._note(lane, y - notes_from, width)
            else:
                segments += self._row(number, lane, y - 1 + top, width)
        style = self.rich_style
        return Strip(segments).crop_extend(left, left + self.size.width, style).apply_style(style)

    def on_resize(self) -> None:
        """Share the width anew."""
        self.fit()

    def on_click(self, event: events.Click) -> None:
        """Select the step under the pointer; a second click opens it."""
        x, y = event.x + self.scroll_offset.x, event.y - 1 + self.scroll_offset.y
        lane = x // self._column if self._column else 0
        if event.y > 0 and lane < len(self._progress.lanes) and y < len(self._progress.lanes[lane].steps):
            self.cursor = (lane, y)
            self._tell()
            if event.chain > 1:
                self.action_open()

    def action_step(self, by: int) -> None:
        """Go up or down in the lane."""
        self._go(self.cursor[0], self.cursor[1] + by)

    def action_lane(self, by: int) -> None:
        """Go to the lane beside."""
        self._go(self.cursor[0] + by, self.cursor[1])

    def action_first(self) -> None:
        """Go to the first step of the lane."""
        self._go(self.cursor[0], 0)

    def action_last(self) -> None:
        """Go to the last step of the lane."""
        self._go(self.cursor[0], len(self._progress.steps))

    def action_open(self) -> None:
        """Show all of the selected step."""
        if self.selected is not None:
            self.post_message(self.Opened(self.selected.facts.resource))

    def _go(self, lane: int, row: int) -> None:
        if lanes := self._progress.lanes:
            lane = max(0, min(lane, len(lanes) - 1))
            self.cursor = (lane, max(0, min(row, len(lanes[lane].steps) - 1)))
            self._tell()

    def _tell(self) -> None:
        self._into_view()
        self.tick()
        if self.selected is not None:
            self.post_message(self.Selected(self.selected.facts.resource))

    def _into_view(self) -> None:
        lane, row = self.cursor
        visible = self.size.height - 1 - self._room
        x, y = self.scroll_offset
        if row < y or row >= y + visible:
            y = row if row < y else row - visible + 1
        if lane * self._column < x or (lane + 1) * self._column > x + self.size.width:
            x = lane * self._column
        if (x, y) != tuple(self.scroll_offset):
            self.scroll_to(x, y, animate=False)

    @property
    def _column(self) -> int:
        return max(NARROWEST, self.size.width // max(len(self._progress.lanes), 1))

    @property
    def _room(self) -> int:
        """Lines below the steps for notes; none where the steps need them."""
        rows = max((len(lane.steps) for lane in self._progress.lanes), default=0)
        spare = self.size.height - 1 - rows - 1
        return min(spare, _NOTES) if spare > 0 else 0

    def _heading(self, lane: Lane, width: int) -> list[Segment]:
        count = f"{over(lane)}/{len(lane.steps)}"
        name = f" {lane.name}"
        cluster = f" {lane.cluster}" if cell_len(f"{name} {lane.cluster}") < width - len(count) - 3 else ""
        rest = width - cell_len(name + cluster) - 2
        return [
            Segment(name, self._style("heading")),
            Segment(cluster, self._style("quiet")),
            Segment(f"{count:>{max(rest, 0)}}"[: max(rest, 0)] + "  ", self._style("quiet")),
        ]

    def _row(self, number: int, lane: Lane, row: int, width: int) -> list[Segment]:
        if not 0 <= row < len(lane.steps):
            return [Segment(" " * width)]
        step = lane.steps[row]
        here = self.cursor == (number, row)
        state, roomy = self._style(str(step.state)), width >= _ROOMY
        name_width = width - 1 - 3 - 1 - _WORD - (_TIME if roomy else 0)
        time = taken(step, self._now())
        plain = self._style("quiet") if step.state in {State.WAITING, State.UNCHANGED} else RichStyle()
        told = [
            Segment("›" if here else " ", state),
            Segment(f"{SIGNS[step.state]} ", state),
            Segment(fit(lane.short(step.facts.resource), name_width), plain),
            Segment(f" {fit(step.word, _WORD)}", state),
            *([Segment(f"{time:>{_TIME}}", self._style("quiet"))] if roomy else []),
        ]
        if here:
            told = list(Segment.apply_style(told, post_style=self._style("cursor")))
        return [*told, Segment(" ")]

    def _note(self, lane: Lane, line: int, width: int) -> list[Segment]:
        told = self._told.get(lane.name, [])
        text = f"   {told[line]}" if line < len(told) else ""
        return [Segment(set_cell_size(text, width), self._style("quiet"))]

    def _style(self, name: str) -> RichStyle:
        found = self.get_component_rich_style(f"lanes--{name}")
        if name == "cursor":
            return RichStyle(bgcolor=found.bgcolor, bold=found.bold)
        return RichStyle(color=found.color, bold=found.bold)
