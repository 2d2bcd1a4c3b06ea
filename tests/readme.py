"""Writes the parts of README and docs that the code itself knows: ``python tests/readme.py``."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.engine.resource import Departure

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PARTS = ("departures", "checks")
"""Tables of the README, each between marks of its own."""
WATCHING = ROOT / "docs" / "watching.md"
WATCHING_PARTS = ("faults", "causes")
PRESET = "two-region-h100"


def marks(part: str) -> tuple[str, str]:
    """The lines before and after a table."""
    return f"<!-- {part}: written by `python tests/readme.py` -->\n", f"<!-- /{part} -->"


def written(text: str, environ: Mapping[str, str], parts: Collection[str] = PARTS) -> str:
    """The README with the tables that the code has now; raises ``ValueError`` where a table has lost its marks."""
    for part in parts:
        first, last = marks(part)
        before, begin, rest = text.partition(first)
        _, end, after = rest.partition(last)
        if not (begin and end):
            raise ValueError(f"README.md has lost the marks around its {part}")
        lines = "\n".join(_table(part, environ))
        text = f"{before}{begin}{lines}\n{end}{after}"
    return text


def _table(part: str, environ: Mapping[str, str]) -> Iterable[str]:
    makers = {"departures": lambda: _departures(environ), "checks": _checks, "faults": _faults, "causes": _causes}
    return makers[part]()


def _departures(environ: Mapping[str, str]) -> Iterable[str]:
    from backend import presets
    from backend.places import Places
    from backend.stack import departures

    packaged = next(one for one in presets.presets(Places.of(environ)) if (one.kind, one.name) == ("preset", PRESET))
    rows = [
        (", ".join(f"`{row}`" for row in item.rows), *(_cell(part) for part in _parts(item.departure)))
        for item in departures(presets.load(packaged))
    ]
    return markdown(("row", "the guide ...", "mcig ...", "because ..."), rows)


def _parts(departure: Departure) -> tuple[str, str, str]:
    return departure.document, departure.mcig, departure.because


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table in Markdown."""
    for cells in (headings, ["---"] * len(headings), *rows):
        yield f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).rstrip(".").replace("|", "\\|")


def _checks() -> Iterable[str]:
    from backend.preflight import CHECKS

    rows = ((", ".join(f"`{one}`" for one in check.ids.split(", ")), check.reads, check.saves) for check in CHECKS)
    return markdown(("check", "reads", "saves you from"), rows)


NAMES = ("stack", "project", "cluster", "region", "pod", "namespace", "resource")
"""What is filled into causes and fixes, in capitals."""


def _known() -> Mapping[str, tuple[str, str]]:
    """Row of the table of causes -> its cause and its fix."""
    from backend.explain import TABLE

    names = {name: name.upper() for name in NAMES} | {"config": "CONFIG_CONTEXT"}
    filled = {row.name: row.filled(names) for row in TABLE}
    return {name: (row.cause, row.fix) for name, row in filled.items()}


def _faults() -> Iterable[str]:
    from tests.faults import FAULTS

    yield "| `mcig emulator fault add ...` | `mcig status` says | and proposes |"
    yield "|---|---|---|"
    for faults, name in FAULTS.items():
        cause, fix = _known()[name]
        yield f"| {' and '.join(f'`{fault}`' for fault in faults)} | {cause} | {fix} |"


def _causes() -> Iterable[str]:
    yield "| `known_as` | cause | fix |"
    yield "|---|---|---|"
    for name, (cause, fix) in _known().items():
        yield f"| `{name}` | {cause} | {fix} |"


if __name__ == "__main__":
    import os

    sys.path.insert(0, str(ROOT))
    for path, parts in ((README, PARTS), (WATCHING, WATCHING_PARTS)):
        path.write_text(written(path.read_text(encoding="utf-8"), os.environ, parts), encoding="utf-8")
