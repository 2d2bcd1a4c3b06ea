"""How plain text looks: glyphs, colour, and how numbers are spelled.

Invariant: a glyph or a colour never carries meaning alone, the word beside it does; so text stays readable without
colour, in ASCII and to a screen reader.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from backend.engine.events import Action, Outcome

SHARED = "shared"
"""Name of the lane for what all regions share."""

_UNICODE = {
    "create": "+",
    "update": "~",
    "replace": "±",
    "delete": "-",
    "no-op": "=",
    "start": "▸",
    "wait": "…",
    "succeeded": "✓",
    "failed": "✗",
    "skipped": "○",
    "cancelled": "■",
}
_ASCII = _UNICODE | {
    "replace": "%",
    "start": ">",
    "wait": ".",
    "succeeded": "*",
    "failed": "x",
    "skipped": "o",
    "cancelled": "!",
}
_COLOURS = {
    "create": "32",
    "update": "33",
    "replace": "33",
    "delete": "31",
    "no-op": "2",
    "start": "36",
    "wait": "2",
    "succeeded": "32",
    "failed": "31;1",
    "skipped": "33",
    "cancelled": "33",
    "heading": "1",
    "quiet": "2",
}


@dataclass(frozen=True, slots=True)
class Style:
    """What the output can show."""

    width: int = 80
    """Columns."""
    unicode: bool = True
    colour: bool = False

    def glyph(self, name: str | Action | Outcome) -> str:
        """The sign for an action, an outcome, ``start`` or ``wait``."""
        return (_UNICODE if self.unicode else _ASCII)[str(name)]

    def paint(self, name: str | Action | Outcome, text: str) -> str:
        """The text in the colour that goes with a name, where there is colour."""
        return f"\x1b[{_COLOURS[str(name)]}m{text}\x1b[0m" if self.colour and text else text

    def wrap(self, text: str, *, first: str = "", indent: str = "") -> list[str]:
        """The text in lines that fit the width; long words such as URLs are never cut."""
        lines: list[str] = []
        for paragraph in text.splitlines() or [""]:
            lines += textwrap.wrap(
                paragraph,
                self.width,
                initial_indent=indent if lines else first,
                subsequent_indent=indent,
                break_long_words=False,
                break_on_hyphens=False,
            ) or [indent if lines else first]
        return lines


def style_of(stream: TextIO, environ: Mapping[str, str], *, columns: int) -> Style:
    """The style that a stream can show; ``columns`` counts on a terminal only, anything else gets 80."""
    terminal = stream.isatty()
    dumb = environ.get("TERM") == "dumb"
    encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "")
    return Style(
        width=max(columns, 40) if terminal else 80,
        unicode=encoding == "utf8" and not dumb,
        colour=terminal and not dumb and not environ.get("NO_COLOR"),
    )


def duration(seconds: float) -> str:
    """Seconds in the unit that people would use: ``0.4 s``, ``45 s``, ``8 min``, ``1 h 20 min``."""
    if seconds < 1:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02} min"


def span(low: float, high: float) -> str:
    """A range of seconds in one unit where that reads well: ``8-20 min``, ``25-90 s``, ``50 min to 1 h 20 min``."""
    first, last = (f"{round(low / 60)} min" if 30 <= low < 100 <= high < 3570 else duration(low)), duration(high)
    if first == last:
        return last
    (count, _, unit), (_, _, other) = first.partition(" "), last.partition(" ")
    if unit == other and " " not in unit:
        return f"{count}-{last}"
    return f"{first} to {last}"


def elapsed(seconds: float) -> str:
    """Seconds that have gone by, to the second: ``0.4 s``, ``45 s``, ``2 min 04 s``."""
    if seconds < 100 or seconds >= 6000:
        return duration(seconds)
    return f"{int(seconds) // 60} min {int(seconds) % 60:02} s"


def clock(seconds: float) -> str:
    """Time since the start of a run: ``0:07``, ``12:34``, ``1:02:03``."""
    whole = int(seconds)
    minutes = f"{whole // 60 % 60}:{whole % 60:02}"
    return minutes if whole < 3600 else f"{whole // 3600}:{minutes:0>5}"


def money(usd_per_hour: float) -> str:
    """A running cost: ``$18.38/h``."""
    return f"${usd_per_hour:,.2f}/h"


def per_day(usd_per_hour: float) -> str:
    """A running cost by the day: ``$441 a day``."""
    return f"${usd_per_hour * 24:,.0f} a day"


def pace(speed: float | None) -> str:
    """Say how an emulated cloud's durations relate to life; empty for a real cloud."""
    return "" if speed is None else f"rehearsal: {times_faster(speed)}"


def times_faster(speed: float) -> str:
    """How an emulated cloud's durations relate to life."""
    return "waiting times are left out" if math.isinf(speed) else f"{speed:g} times faster than real time"


def dates(span: tuple[date, date]) -> str:
    """A span of dates in months: ``2025-03 to 2026-11``."""
    first, last = (f"{day:%Y-%m}" for day in span)
    return first if first == last else f"{first} to {last}"
