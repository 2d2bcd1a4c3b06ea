"""Snapshots in a file, one JSON object a line: what ``mcig monitor --record`` writes and ``--json`` prints.

Invariants: a line is written whole before the next one begins, so a recording that was cut off loses its last line at
most; a recording is read without asking any cloud.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any

from backend.monitor.snapshot import Snapshot


class Recording:
    """A recording that is being written; raises ``FileExistsError`` rather than write over one."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("x", encoding="utf-8")

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def __call__(self, snapshot: Snapshot) -> None:
        """Keep a snapshot."""
        self._file.write(json.dumps(snapshot.to_json(), ensure_ascii=False) + "\n")
        self._file.flush()


def is_recording(path: Path) -> bool:
    """Whether a file begins like a recording; raises ``OSError``."""
    with path.open(encoding="utf-8", errors="replace") as file:
        return _snapshot(file.readline()) is not None


def read(path: Path) -> list[Snapshot]:
    """All snapshots of a recording in the order of their times, a cut-off last line left out.

    Raises ``OSError``, and ``ValueError`` naming the line that is none or a file without any.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    found: list[Snapshot] = []
    for number, line in enumerate(lines, 1):
        snapshot = _snapshot(line)
        if snapshot is not None:
            found.append(snapshot)
        elif number < len(lines) or number == 1:
            raise ValueError(f"line {number} is no snapshot of mcig monitor")
    if not found:
        raise ValueError("it is empty")
    return sorted(found, key=lambda one: one.at)


def _snapshot(line: str) -> Snapshot | None:
    try:
        data: Any = json.loads(line)
        return Snapshot.from_json(data)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
