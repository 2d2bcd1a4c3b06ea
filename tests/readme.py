"""Writes the parts of the README that the code itself knows: ``python tests/readme.py``."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PARTS = ("departures", "checks")
"""Tables, each between marks of its own."""
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
        lines = "\n".join(_checks() if part == "checks" else _departures(environ))
        text = f"{before}{begin}{lines}\n{end}{after}"
    return text


def _departures(environ: Mapping[str, str]) -> Iterable[str]:
    from backend import presets
    from backend.places import Places
    from backend.stack import departures
    from tui.departures import table

    packaged = next(one for one in presets.presets(Places.of(environ)) if (one.kind, one.name) == ("preset", PRESET))
    return table(departures(presets.load(packaged)))


def _checks() -> Iterable[str]:
    from backend.preflight import CHECKS
    from tui.findings_text import table

    return table(CHECKS)


if __name__ == "__main__":
    import os

    sys.path.insert(0, str(ROOT))
    README.write_text(written(README.read_text(encoding="utf-8"), os.environ), encoding="utf-8")
