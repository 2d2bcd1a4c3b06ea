"""The steps of a plan, lane by lane: what is done, to what, how long it takes, what it costs.

Invariant: every step of the plan is in it; those that change nothing are folded into one line a lane, which opens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from backend.engine.events import Action, Verb
from backend.engine.plan import Plan, PlannedStep
from tui.lane_text import fit
from tui.plan_text import lanes
from tui.style import SHARED, money, span

SIGNS = {Action.CREATE: "+", Action.UPDATE: "~", Action.REPLACE: "±", Action.DELETE: "-", Action.NO_OP: "="}
_USUAL, _COST = 17, 10
"""Columns of a step's usual length and cost."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line: a lane's heading, a step, or the fold over what stays as it is."""

    lane: str
    step: PlannedStep | None = None
    folded: int = 0
    """Number of steps below the fold; 0 for a heading and a step."""
    usd_per_hour: float = 0.0


class PlanList(ScrollView, can_focus=True):
    """A plan's steps, one of them selected."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "plan--heading", "plan--quiet", "plan--cursor",
        "plan--create", "plan--update", "plan--replace", "plan--delete", "plan--no-op",
    }  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "go(-1)", "Up", show=False, tooltip="The line above"),
        Binding("down,j", "go(1)", "Down", show=False, tooltip="The line below"),
        Binding("pageup", "go(-10)", "Page up", show=False, tooltip="Ten lines up"),
        Binding("pagedown", "go(10)", "Page down", show=False, tooltip="Ten lines down"),
        Binding("home", "go(-9999)", "First", show=False, tooltip="The first line"),
        Binding("end", "go(9999)", "Last", show=False, tooltip="The last line"),
        Binding("enter", "open", "Open", show=False, tooltip="Open or close what stays as it is", id="plan.open"),
    ]

    @dataclass
    class Selected(Message):
        """A person has selected a line; ``None`` for one that is no step."""

        step: PlannedStep | None

    def __init__(self) -> None:
        super().__init__()
        self._plan = Plan(Verb.APPLY, ())
        self._open: set[str] = set()
        self._rows: list[Row] = []
        self.cursor = 0
        """Number of the selected line."""

    def show(self, plan: Plan) -> None:
        """Show a plan, its first change selected."""
        self._plan = plan
        self._fill()
        self.cursor = next((number for number, row in enumerate(self._rows) if row.step is not None), 0)
        self.scroll_to(0, 0, animate=False)
        self._tell()

    @property
    def selected(self) -> PlannedStep | None:
        """The selected step."""
        return self._rows[self.cursor].step if self.cursor < len(self._rows) else None

    def render_line(self, y: int) -> Strip:
        """One line of the list."""
        number = y + self.scroll_offset.y
        width, style = self.size.width, self.rich_style
        segments = self._segments(self._rows[number], width - 1) if number < len(self._rows) else []
        strip = Strip(segments).extend_cell_length(width, style)
        if number == self.cursor and segments:
            mark = self._style("cursor")
            segments = [Segment("›", mark), *segments[1:]] if segments[0].text == " " else segments
            return Strip(Segment.apply_style(segments, post_style=mark)).extend_cell_length(width, style)
        return strip.apply_style(style)

    def on_resize(self) -> None:
        """Share the width anew."""
        self._measure()

    def on_click(self, event: events.Click) -> None:
        """Select the line under the pointer, and open it where it can be opened."""
        number = event.y + self.scroll_offset.y
        if number < len(self._rows):
            self.cursor = number
            self._tell()
            self.action_open()

    def action_go(self, by: int) -> None:
        """Go up or down."""
        self.cursor = max(0, min(self.cursor + by, len(self._rows) - 1))
        self._tell()

    def action_open(self) -> None:
        """Open or close what stays as it is."""
        row = self._rows[self.cursor] if self._rows else None
        if row is not None and row.folded:
            self._open ^= {row.lane}
            self._fill()
            self._tell()

    def _fill(self) -> None:
        self._rows = list(self._lines())
        self._measure()

    def _lines(self) -> Iterator[Row]:
        for lane in lanes(self._plan.steps):
            steps = [step for step in self._plan.steps if (step.about.region or SHARED) == lane]
            changes = [step for step in steps if step.action is not Action.NO_OP]
            same = [step for step in steps if step.action is Action.NO_OP]
            yield Row(lane, usd_per_hour=sum(step.about.usd_per_hour for step in steps))
            yield from (Row(lane, step, usd_per_hour=step.about.usd_per_hour) for step in changes)
            if same:
                yield Row(lane, folded=len(same))
            if lane in self._open:
                yield from (Row(lane, step, usd_per_hour=step.about.usd_per_hour) for step in same)

    def _measure(self) -> None:
        self.virtual_size = Size(self.size.width, len(self._rows))
        self.refresh()

    def _tell(self) -> None:
        top, height = self.scroll_offset.y, self.size.height
        if height and not top <= self.cursor < top + height:
            y = self.cursor if self.cursor < top else self.cursor - height + 1
            self.scroll_to(0, y, animate=False)
        self.refresh()
        self.post_message(self.Selected(self.selected))

    def _segments(self, row: Row, width: int) -> list[Segment]:
        quiet = self._style("quiet")
        cost = money(row.usd_per_hour) if row.usd_per_hour else ""
        if row.folded:
            sign = "▾" if row.lane in self._open else "▸"
            return [
                Segment(" ", quiet),
                Segment(fit(f"{sign} as it is: {row.folded} step{'s' * (row.folded > 1)}", width - 1), quiet),
            ]
        if row.step is None:
            return [
                Segment(" "),
                Segment(fit(row.lane, width - 1 - _COST), self._style("heading")),
                Segment(f"{cost:>{_COST}}", quiet),
            ]
        step, state = row.step, self._style(str(row.step.action))
        usual = step.duration
        time = span(usual.p50_s, usual.p90_s) if usual.p50_s and self._plan.verb is Verb.APPLY else ""
        name = width - 3 - 8 - _USUAL - _COST
        return [
            Segment(" "),
            Segment(f"{SIGNS[step.action]} {step.action:<8}", state),
            Segment(fit(step.resource, name)),
            Segment(f"{time:>{_USUAL}}", quiet),
            Segment(f"{cost:>{_COST}}", quiet),
        ]

    def _style(self, name: str) -> RichStyle:
        found = self.get_component_rich_style(f"plan--{name}")
        if name == "cursor":
            return RichStyle(bgcolor=found.bgcolor, bold=found.bold)
        return RichStyle(color=found.color, bold=found.bold)
