"""Writes the parts of the README that the code itself knows: ``python tests/readme.py``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BEGIN, END = "<!-- departures: written by `python tests/readme.py` -->\n", "<!-- /departures -->"
PRESET = "two-region-h100"


def written(text: str, environ: Mapping[str, str]) -> str:
    """The README with the table of departures that the preset has now."""
    from backend import presets
    from backend.places import Places
    from backend.stack import departures
    from tui.departures import table

    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError("README.md has lost the marks around its departures")
    packaged = next(one for one in presets.presets(Places.of(environ)) if (one.kind, one.name) == ("preset", PRESET))
    lines = "\n".join(table(departures(presets.load(packaged))))
    return f"{before}{begin}{lines}\n{end}{after}"


if __name__ == "__main__":
    import os

    sys.path.insert(0, str(ROOT))
    README.write_text(written(README.read_text(encoding="utf-8"), os.environ), encoding="utf-8")
