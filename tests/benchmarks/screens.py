"""How soon the app is there, and how long a key waits while a run floods the screen.

Run by path: ``python tests/benchmarks/screens.py``. The first frame is compared with that of a bare Textual app of the
same run, both in a pseudo-terminal; the flood is a recorded journal's steps with 1,000 notes a second. Ends with 1 when
one of them does not hold.
"""

from __future__ import annotations

import asyncio
import os
import pty
import select
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from textual import events

from backend.engine import journal
from backend.engine.events import Event, RunFinished, StepNote, StepStarted
from tui.replay_app import ReplayApp
from tui.runs import RecordedRun
from tui.widgets.lanes import Lanes

JOURNAL = Path(__file__).parents[1] / "tui" / "journals" / "succeeded.jsonl"
BARE = """
from textual.app import App
from textual.widgets import Footer, Static
class Bare(App):
    def compose(self):
        yield Static("Rehearse")
        yield Footer()
Bare().run()
"""
STARTS = 7
MOST_FRAME = 1.5
"""Times as long as a bare app that the first frame may take."""
RATE, SECONDS = 1000, 5
MOST_KEY_S = 0.05
"""Seconds that 99 of 100 keys wait at most."""
KEY_EVERY_S = 0.02


def first_frame_s(command: Sequence[str], marker: bytes) -> float:
    """Seconds from the start of a program until a word stands on its screen."""
    began = time.monotonic()
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS="80", LINES="24")
        os.execv(command[0], list(command))  # noqa: S606
    seen = b""
    try:
        while marker not in seen:
            ready, _, _ = select.select([terminal], [], [], 20)
            if not ready:
                raise TimeoutError(f"{marker!r} never came: {seen[-300:]!r}")
            seen += os.read(terminal, 65536)
        return time.monotonic() - began
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def frames() -> float:
    """Ratio of the app's first frame to a bare app's, medians of interleaved starts."""
    bare: list[float] = []
    ours: list[float] = []
    with tempfile.TemporaryDirectory() as home:
        os.environ["MCIG_HOME"] = home
        for _ in range(STARTS):
            bare.append(first_frame_s([sys.executable, "-c", BARE], b"Rehearse"))
            ours.append(first_frame_s([sys.executable, "-m", "tui"], b"Rehearse"))
    first, second = statistics.median(bare), statistics.median(ours)
    print(f"first frame: bare {first * 1000:.0f} ms, mcig {second * 1000:.0f} ms, {second / first:.2f} times")  # noqa: T201
    return second / first


def flood() -> list[Event]:
    """A journal's steps, begun at once, and notes that go round among them."""
    recorded = list(journal.read(JOURNAL))
    first, last = recorded[0], recorded[-1]
    starts = [event.payload for event in recorded if isinstance(event.payload, StepStarted)]
    made = [first, *(replace(first, payload=start) for start in starts)]
    for number in range(RATE * SECONDS):
        note = StepNote(
            starts[number % len(starts)].resource, f"{number}: Ready is False, waiting for the load balancer"
        )
        made.append(replace(first, at=first.at + timedelta(seconds=number / RATE), payload=note))
    assert isinstance(last.payload, RunFinished)
    end = replace(last, at=first.at + timedelta(seconds=SECONDS))
    return [replace(event, seq=seq) for seq, event in enumerate([*made, end], 1)]


async def keys() -> list[float]:
    """Seconds from each key until what it does is done, while the flood goes on."""
    waits: list[float] = []
    done = asyncio.Event()

    class Timed(Lanes):
        def action_step(self, by: int) -> None:
            super().action_step(by)
            done.set()

    from tui.screens import run

    setattr(run, "Lanes", Timed)  # noqa: B010
    app = ReplayApp(RecordedRun(flood(), pace=1.0))
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        until = time.monotonic() + SECONDS - 0.5
        down = True
        while time.monotonic() < until:
            done.clear()
            key, down = ("down" if down else "up"), not down
            sent = time.monotonic()
            app.post_message(events.Key(key, None))
            await asyncio.wait_for(done.wait(), 5)
            waits.append(time.monotonic() - sent)
            await asyncio.sleep(KEY_EVERY_S)
    return waits


def main() -> int:
    """Measure, print, and say whether it holds."""
    waits = sorted(asyncio.run(keys()))
    late = waits[int(len(waits) * 0.99)]
    print(  # noqa: T201
        f"{RATE} events a second: {len(waits)} keys, median {statistics.median(waits) * 1000:.1f} ms, "
        f"p99 {late * 1000:.1f} ms, longest {waits[-1] * 1000:.1f} ms"
    )
    ratio = frames()
    return int(late > MOST_KEY_S or ratio > MOST_FRAME)


if __name__ == "__main__":
    sys.exit(main())
