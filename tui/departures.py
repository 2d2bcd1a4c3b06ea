"""Where mcig does otherwise than Google's guide, and why, as lines of text.

Invariant: each departure is told once, with all that it is true of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from backend.engine.resource import Departure
from tui.style import Style


def departure_lines(found: Mapping[Departure, Sequence[str]], style: Style) -> Iterator[str]:
    """A heading, and a paragraph for each departure, led by the kinds of rows that make it; nothing for none."""
    if found:
        yield style.paint("heading", "What differs from Google's guide, and why")
    for departure, kinds in found.items():
        yield from style.wrap(f"{', '.join(kinds)}: {sentence(departure)}", first="  - ", indent="    ")


def sentence(departure: Departure) -> str:
    """What the guide does, what mcig does, and why."""
    told = (departure.document, departure.mcig, departure.because)
    guide, mcig, because = (part.strip().rstrip(".") for part in told)
    return f"Google's guide {guide}; mcig {mcig}, because {because}."
