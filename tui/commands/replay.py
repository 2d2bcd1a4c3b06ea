"""replay: show a run once more from its journal, or a stack's traffic from a recording of the monitor.

Invariant: no cloud is asked, and nothing is written.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from backend.errors import UsageError
from tui.invocation import Exit, Invocation, speed

if TYPE_CHECKING:
    from backend.engine.events import Event
    from backend.monitor import Snapshot
    from tui.looks import RecordedLooks
    from tui.runs import RunSource

_FIX = "mcig replay FILE, of a run or of `mcig monitor --record`; or the name of a stack for its latest run"


def run(invocation: Invocation, options: argparse.Namespace) -> int:
    """Play a file on its screen; as lines of text or JSON where no screen is wanted or to be had."""
    path = journal_of(options.file, invocation)
    pace = None if options.speed is None else speed(options.speed)
    without_screen = (
        getattr(options, "plain", False) or not invocation.console.terminal or not invocation.console.style.unicode
    )
    snapshots = _snapshots(path)
    if snapshots is not None:
        return _watch(invocation, snapshots, pace, without_screen=without_screen)
    events = _events(path)
    if invocation.json:
        for event in events:
            invocation.console.line(event.to_json())
    elif without_screen:
        _print(invocation, events)
    else:
        from tui.runs import RecordedRun

        return _shown(invocation, RecordedRun(events, pace=pace))
    return Exit.DONE


def journal_of(name: str, invocation: Invocation) -> Path:
    """The journal that is meant: a file, else a stack's latest; raises ``UsageError``."""
    path = Path(name).expanduser()
    if path.is_file():
        return path
    runs = sorted((invocation.places.journals / name).glob("*.jsonl")) if Path(name).name == name else []
    if not runs:
        raise UsageError(f"there is no journal {name}", cause="it is neither a file nor a stack that was run", fix=_FIX)
    return runs[-1]


def _snapshots(path: Path) -> list[Snapshot] | None:
    """What a recording of the monitor holds; ``None`` for a file that is none. Raises ``UsageError``."""
    from backend.monitor import recording

    try:
        return recording.read(path) if recording.is_recording(path) else None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be played", cause=str(error), fix=_FIX) from error


def _watch(invocation: Invocation, snapshots: list[Snapshot], pace: float | None, *, without_screen: bool) -> int:
    if invocation.json:
        for snapshot in snapshots:
            invocation.console.line(snapshot.to_json())
    elif without_screen:
        from tui.monitor_text import monitor_lines

        for snapshot in snapshots:
            invocation.console.say_all(monitor_lines(snapshot, invocation.console.style))
    else:
        from tui.looks import PACES, RecordedLooks

        return _shown(invocation, RecordedLooks(snapshots, pace=min(pace or 1.0, PACES[-1])))
    return Exit.DONE


def _shown(invocation: Invocation, source: RunSource | RecordedLooks) -> int:
    from tui.replay_app import ReplayApp

    app = ReplayApp(source, pictures=invocation.places.state / "pictures")
    return invocation.interrupts.run(app.shown()) or Exit.DONE


def _events(path: Path) -> list[Event]:
    from backend.engine import journal
    from backend.engine.events import RunStarted

    try:
        events = list(journal.read(path))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is no journal of a run", cause=str(error), fix=_FIX) from error
    if not events or not isinstance(events[0].payload, RunStarted):
        raise UsageError(f"{path} is no journal of a run", cause="no run begins in it", fix=_FIX)
    return events


def _print(invocation: Invocation, events: list[Event]) -> None:
    from tui.plain import PlainRun
    from tui.step_facts import facts_of_events
    from tui.style import SHARED

    lanes = {facts.region or SHARED for facts in facts_of_events(events)}
    started = events[0].payload
    pace = getattr(started, "speed", None)
    console = invocation.console
    told = PlainRun(console.say, console.style, speed=pace, lane_width=max(map(len, lanes), default=0))
    for event in events:
        told(event)
