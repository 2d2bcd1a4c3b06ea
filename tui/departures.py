"""What differs from the document, as a Markdown table.

Invariant: a cell is one line without a bare ``|``, whatever a departure says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from backend.stack import Departed

HEADINGS = ("row", "the document ...", "mcig ...", "because ...")


def table(found: Iterable[Departed]) -> Iterator[str]:
    """The lines of the table, one departure each."""
    yield _line(HEADINGS)
    yield _line(["---"] * len(HEADINGS))
    for item in found:
        told = item.departure
        rows = ", ".join(f"`{row}`" for row in item.rows)
        yield _line((rows, *(_cell(text) for text in (told.document, told.mcig, told.because))))


def _cell(text: str) -> str:
    return " ".join(text.split()).rstrip(".").replace("|", "\\|")


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
