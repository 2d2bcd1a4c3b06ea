"""monitor: a stack's traffic, live or once; on a screen, as lines of text or as JSON.

Invariant: nothing is changed, here and in the cloud.
"""

from __future__ import annotations

import argparse
import asyncio
import math
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from backend.errors import UsageError
from tui.commands.start import plain
from tui.invocation import Exit, Invocation, speed

if TYPE_CHECKING:
    from backend.monitor import Snapshot
    from backend.spec import GatewaySpec

EVERY_S, SHORTEST_S = 2.0, 0.2
"""Seconds from one look to the next: where nothing else is said, and at least."""

Keep = Callable[["Snapshot"], None]


def add_options(command: argparse.ArgumentParser) -> None:
    """Add what can be typed after ``mcig monitor``."""
    command.add_argument("--once", action="store_true", help="one snapshot, of two looks, because rates need two")
    command.add_argument("--record", metavar="FILE", help="keep every snapshot in a new file; mcig replay shows it")
    command.add_argument("--every", type=_seconds, default=EVERY_S, metavar="S", help="seconds between looks; 2")


def run(invocation: Invocation, options: argparse.Namespace) -> int:
    """Show a stack's traffic until it is left, or once."""
    spec = invocation.spec(options.spec)
    with ExitStack() as opened:
        keep = _recording(options.record, opened)
        if options.once or invocation.json or not invocation.console.terminal or plain(invocation, options):
            return int(invocation.interrupts.run(_tell(invocation, options, spec, keep)))
        from tui.app import McigApp
        from tui.session import Session

        pace = None if options.speed is None else speed(options.speed)
        session = Session(invocation.places, invocation.environ, settings=invocation.overrides, speed=pace)
        app = McigApp(session, watch=spec, every_s=options.every, keep=keep)
        return invocation.interrupts.run(app.shown()) or Exit.DONE


async def _tell(invocation: Invocation, options: argparse.Namespace, spec: GatewaySpec, keep: Keep | None) -> Exit:
    from backend.stack import open_stack
    from tui.monitor_text import monitor_lines

    console = invocation.console
    pace = None if options.speed is None else speed(options.speed)
    async with open_stack(spec, environ=invocation.environ, places=invocation.places, speed=pace) as stack:
        for note in stack.connection.notes:
            console.say_all(console.style.wrap(f"note: {note}", indent="      "))
        monitor = stack.monitor()
        if options.once:
            await monitor.look()
            await asyncio.sleep(options.every)
        async for snapshot in monitor.watch(options.every):
            if keep is not None:
                keep(snapshot)
            if not invocation.json:
                console.say_all(monitor_lines(snapshot, console.style))
            elif options.once:
                console.result(snapshot.to_json())
            else:
                console.line(snapshot.to_json())
            if options.once:
                break
    return Exit.DONE


def _recording(name: str | None, opened: ExitStack) -> Keep | None:
    """Where snapshots are kept; raises ``UsageError`` for a file that is there or cannot be written."""
    if name is None:
        return None
    from backend.monitor.recording import Recording

    path = Path(name).expanduser()
    try:
        return opened.enter_context(Recording(path))
    except FileExistsError as error:
        raise UsageError(
            f"{path} is there already", cause="a recording is never written over", fix="another --record FILE"
        ) from error
    except OSError as error:
        raise UsageError(
            f"cannot write {path}", cause=error.strerror or str(error), fix="another --record FILE"
        ) from error


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= SHORTEST_S):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from {SHORTEST_S:g}")
    return value
