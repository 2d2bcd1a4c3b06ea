"""Lines drawn in Braille dots, two by four to a cell.

Pure, and quick enough for several frames a second. Invariant: a gap in what is known is a gap in the line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Points = Sequence[tuple[float, float | None]]
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bit of a dot by its row and column in the cell."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What part of the plane the cells show."""

    width: int
    height: int
    """Cells."""
    begin: float
    end: float
    """Times at the left and the right edge."""
    top: float
    """Value at the upper edge; the lower one is 0."""

    def row(self, value: float) -> int:
        """The cell's row, from above, in which a value lies."""
        return self.dot(value) // 4

    def dot(self, value: float) -> int:
        """The row of dots, from above, in which a value lies."""
        rows = self.height * 4
        part = min(max(value / self.top, 0.0), 1.0) if self.top > 0 else 0.0
        return min(rows - 1, round((1 - part) * (rows - 1)))


def line(points: Points, frame: Frame, *, longest_gap: float) -> dict[tuple[int, int], int]:
    """The cells that a line goes through: column and row -> Braille pattern.

    Points further apart than ``longest_gap`` seconds are not joined.
    """
    cells: dict[tuple[int, int], int] = {}
    before: int | None = None
    for column, value in enumerate(_columns(points, frame, longest_gap)):
        if value is None:
            before = None
            continue
        low, high = frame.dot(value[0]), frame.dot(value[1])
        first, last = min(low, high), max(low, high)
        if before is not None and before < first:
            first = before + 1
        elif before is not None and before > last:
            last = before - 1
        for dot in range(first, last + 1):
            place = (column // 2, dot // 4)
            cells[place] = cells.get(place, 0) | _DOTS[dot % 4][column % 2]
        before = low
    return cells


def _columns(points: Points, frame: Frame, longest_gap: float) -> list[tuple[float, float] | None]:
    """For each column of dots the value at its middle and the one furthest from it; None in a gap."""
    count = frame.width * 2
    step = (frame.end - frame.begin) / count if count else 0.0
    found: list[tuple[float, float] | None] = [None] * count
    if step <= 0:
        return found
    for (at, value), (then, other) in pairwise(points):
        if value is None or other is None or then - at > longest_gap or then <= at:
            continue
        first = max(0, int((at - frame.begin) / step))
        last = min(count - 1, int((then - frame.begin) / step))
        for column in range(first, last + 1):
            middle = min(max(frame.begin + (column + 0.5) * step, at), then)
            here = value + (other - value) * (middle - at) / (then - at)
            known = found[column]
            found[column] = (here, here if known is None else known[0])
    return found
