"""A chart of lines over time, each named where it ends.

Invariants: a line is known by the name beside its end, and by its colour only in addition; what is not known is a gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import ClassVar

from rich.cells import set_cell_size
from rich.segment import Segment
from rich.style import Style as RichStyle
from textual.strip import Strip
from textual.widget import Widget

from tui.braille import Frame, Points, line
from tui.monitor_text import short

COLOURS = 6
"""Colours that lines take in turn."""
_AXIS = 7
"""Columns of the axis and its figures."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart."""

    name: str
    points: Points
    end: str
    """Its last value, in words; a dash where that is not known."""
    colour: int
    """Which of the colours it has."""


@dataclass(frozen=True, slots=True)
class Picture:
    """All that a chart shows."""

    title: str
    lines: tuple[Line, ...]
    begin: float
    end: float
    """Times at its edges, in seconds since the epoch."""
    top: float
    """Value at the upper edge."""
    ticks: tuple[tuple[float, str], ...]
    """Values of the axis and how they are spelled."""
    target: tuple[float, str] | None = None
    """A value with a line of its own, and its name."""
    longest_gap: float = 10.0
    """Seconds between two points that are still joined."""


class Chart(Widget):
    """Shows a picture."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "chart--axis", "chart--target", "chart--title",
        "chart--0", "chart--1", "chart--2", "chart--3", "chart--4", "chart--5",
    }  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._picture: Picture | None = None
        self._rows: list[list[tuple[str, str]]] = []

    def show(self, picture: Picture) -> None:
        """Show another picture."""
        self._picture = picture
        self._rows = []
        self.refresh()

    def on_resize(self) -> None:
        """Draw anew."""
        self._rows = []

    def render_line(self, y: int) -> Strip:
        """One line: of the title, the plane, or the time axis."""
        if self._picture is None:
            return Strip.blank(self.size.width, self.rich_style)
        if not self._rows:
            self._rows = _draw(self._picture, self.size.width, self.size.height)
        styles: dict[str, RichStyle] = {}
        segments = []
        for text, name in self._rows[y] if y < len(self._rows) else []:
            if name and name not in styles:
                styles[name] = self.get_component_rich_style(f"chart--{name}", partial=True)
            segments.append(Segment(text, styles.get(name)))
        return Strip(segments).crop_extend(0, self.size.width, self.rich_style).apply_style(self.rich_style)


def axis(top: float, rows: int) -> tuple[float, list[float]]:
    """A round upper end that is at least this, and values to write at the axis, nought and the end among them."""
    if top <= 0:
        return 1.0, [0.0, 1.0]
    unit = 10 ** floor(log10(top))
    step = next(one * unit for one in (0.2, 0.5, 1.0, 2.0, 5.0) if top / (one * unit) <= 5)
    count = ceil(top / step - 1e-9)
    every = 1 if rows > count * 1.5 else count
    return count * step, [number * step for number in range(0, count + 1, every)]


def _draw(picture: Picture, width: int, height: int) -> list[list[tuple[str, str]]]:
    """Every line of a chart as pieces of text with the names of their styles."""
    labels = min(24, max((len(one.name) + len(one.end) + 2 for one in picture.lines), default=0) + 1, width // 4)
    frame = Frame(max(1, width - _AXIS - labels - 1), max(1, height - 2), picture.begin, picture.end, picture.top)
    patterns: dict[tuple[int, int], tuple[int, str]] = {}
    for one in picture.lines:
        for place, pattern in line(one.points, frame, longest_gap=picture.longest_gap).items():
            known = patterns.get(place)
            patterns[place] = (pattern | (known[0] if known else 0), str(one.colour))
    at_row = {frame.row(value): text for value, text in picture.ticks}
    target = None if picture.target is None else frame.row(picture.target[0])
    if target is not None and picture.target is not None:
        at_row = {row: text for row, text in at_row.items() if abs(row - target) > 0} | {target: picture.target[1]}
    ends = _ends(picture.lines, frame, labels)
    rows = [[(set_cell_size(f" {picture.title}", width), "title")]]
    for row in range(frame.height):
        mark = "target" if row == target else "axis"
        pieces = [(f"{at_row.get(row, ''):>{_AXIS - 2}} ", mark), ("┤" if row in at_row else "│", "axis")]
        for column in range(frame.width):
            pattern, colour = patterns.get((column, row), (0, ""))
            if pattern:
                pieces.append((chr(0x2800 + pattern), colour))
            else:
                pieces.append(("╌", "target") if row == target else (" ", ""))
        pieces.append(ends.get(row, ("", "")))
        rows.append(_joined(pieces))
    rows.append([(_times(picture, frame.width), "axis")])
    return rows


def _ends(lines: Sequence[Line], frame: Frame, width: int) -> dict[int, tuple[str, str]]:
    """The names at the lines' ends, each in a row of its own, as near to its line as there is room."""
    wanted = []
    for one in lines:
        last = next((value for _, value in reversed(one.points) if value is not None), None)
        wanted.append((frame.height - 1 if last is None else frame.row(last), one))
    wanted.sort(key=lambda pair: pair[0])
    free = frame.height
    placed: dict[int, tuple[str, str]] = {}
    lowest = 0
    for number, (row, one) in enumerate(wanted[:free]):
        rest = min(len(wanted), free) - number - 1
        row = min(max(row, lowest), free - 1 - rest)  # noqa: PLW2901
        name = short(one.name, max(1, width - len(one.end) - 2))
        placed[row] = (f" {name} {one.end}", str(one.colour))
        lowest = row + 1
    return placed


def _times(picture: Picture, width: int) -> str:
    """The time axis: how long ago, at its edges and in the middle."""
    span = picture.end - picture.begin
    left, middle, right = f"-{_ago(span)}", f"-{_ago(span / 2)}", "now"
    gap = width - len(left) - len(middle) - len(right)
    text = left + (" " * (gap // 2) + middle + " " * (gap - gap // 2) if gap > 4 else " " * (gap + len(middle))) + right
    return " " * _AXIS + text


def _ago(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:g} min"


def _joined(pieces: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Neighbours of the same style as one piece."""
    found: list[tuple[str, str]] = []
    for text, name in pieces:
        if found and found[-1][1] == name:
            found[-1] = (found[-1][0] + text, name)
        elif text:
            found.append((text, name))
    return found
