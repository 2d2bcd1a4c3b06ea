"""A file a run, one JSON event a line.

The journal is history, source of time estimates and bug report, and never the truth about the cloud. Invariants:
events that matter after a crash are on the disk before the run goes on (fdatasync); a torn last line is ignored by
readers; files, and folders made for them, are open to their owner only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

from backend.engine.events import Event, Outcome, RunFinished, RunStarted, StepFinished, StepNote, StepStarted, Verb


class Journal:
    """A listener that appends each event to a file; use as a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        """Where the events go; parents are made when it is opened."""
        self._fd = -1

    def __enter__(self) -> Journal:
        for folder in [*reversed(self.path.parent.parents), self.path.parent]:
            if not folder.exists():
                folder.mkdir(mode=0o700, exist_ok=True)
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)
        self._fd = -1

    def __call__(self, event: Event) -> None:
        """Append one event; lasting ones are synchronised to the disk. Raises ``OSError``, as for a full one."""
        line = (json.dumps(event.to_json(), default=str) + "\n").encode()
        while line:
            line = line[os.write(self._fd, line) :]
        if lasting(event):
            _sync(self._fd)


_sync = getattr(os, "fdatasync", os.fsync)


def lasting(event: Event) -> bool:
    """Say whether an event must survive a crash of the machine: all but plain notes."""
    match event.payload:
        case RunStarted() | RunFinished() | StepStarted() | StepFinished():
            return True
        case StepNote(operation=operation):
            return operation is not None


def read(path: Path) -> Iterator[Event]:
    """Read a journal's events; a torn last line is left out, another bad line raises ``ValueError``."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield Event.from_json(json.loads(line))
            except ValueError as error:
                if not line.endswith("\n"):
                    return
                raise ValueError(f"{path}:{number}: {error}") from error


def under_way(runs: Iterable[Iterable[Event]], *, verb: Verb, target: str) -> dict[str, str]:
    """Find the operations that earlier runs waited for when they were stopped or killed, by resource.

    ``runs`` are those of one stack, the latest first. Only runs of the same verb and target in a row count; a step that
    ended by itself has nothing under way, whatever was noted before.
    """
    found: dict[str, str] = {}
    settled: set[str] = set()
    for run in runs:
        noted: dict[str, str] = {}
        ended: set[str] = set()
        for event in run:
            match event.payload:
                case RunStarted() as started if (started.verb, started.target) != (verb, target):
                    return found
                case StepNote(resource=resource, operation=str(operation)):
                    noted[resource] = operation
                case StepFinished(resource=resource, outcome=Outcome.SUCCEEDED | Outcome.FAILED):
                    ended.add(resource)
        settled |= ended
        found |= {name: noted[name] for name in noted if name not in settled}
        settled |= noted.keys()
    return found
