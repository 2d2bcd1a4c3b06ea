"""drill: drain a region, measure what it does to requests, and restore it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from backend.errors import UsageError
from tui import typed
from tui.commands.load import Teller
from tui.invocation import Exit, Invocation, speed

if TYPE_CHECKING:
    from backend.load import Drill, DrillResult
    from backend.spec import GatewaySpec


def add_options(command: argparse.ArgumentParser) -> None:
    """Add what can be typed after ``mcig drill``."""
    command.add_argument("--region", required=True, metavar="REGION", help="the region that is drained")
    command.add_argument("--rate", type=typed.number, default=None, metavar="N", help="requests a second meanwhile; 4")
    command.add_argument("--seconds", type=typed.number, default=None, metavar="S", help="how long in all; 120")


def run(invocation: Invocation, options: argparse.Namespace) -> int:
    """Run a drill and report."""
    from backend.load import Drill
    from tui.load_text import drill_lines

    spec = invocation.spec(options.spec)
    given = {name: value for name in ("rate", "seconds") if (value := getattr(options, name)) is not None}
    wish = Drill(options.region, **given)
    wish.check(spec)
    if not _agreed(invocation, spec, wish):
        invocation.console.say("Nothing was drained.")
        return Exit.FAILED
    result = invocation.interrupts.run(_drill(invocation, options, spec, wish))
    if invocation.json:
        invocation.console.result(result.to_json())
    else:
        invocation.console.say_all(drill_lines(result, invocation.console.style))
    return Exit.DONE if result.ok else Exit.FAILED


def _agreed(invocation: Invocation, spec: GatewaySpec, wish: Drill) -> bool:
    """A drill on Google Cloud takes a region away from everybody who uses it, so it needs a yes."""
    if invocation.yes or spec.target == "emulator":
        return True
    if not invocation.console.terminal:
        raise UsageError(
            f"a drill drains {wish.region} of {spec.name} on Google Cloud, and there is no terminal to ask at",
            cause="without a terminal mcig needs the yes beforehand",
            fix="add --yes",
        )
    half = f"{wish.seconds / 2:g} s"
    return invocation.console.ask(f"Drain {wish.region} of {spec.name} for {half}? Other people's requests move, too.")


async def _drill(invocation: Invocation, options: argparse.Namespace, spec: GatewaySpec, wish: Drill) -> DrillResult:
    from backend.stack import open_stack

    pace = None if options.speed is None else speed(options.speed)
    asked = f"{wish.rate:g} requests a second from {wish.region} for {wish.seconds:g} s"
    teller = Teller(invocation.console, f"{asked}; drained in the middle half")
    async with open_stack(spec, environ=invocation.environ, places=invocation.places, speed=pace) as stack:
        for text in stack.connection.notes:
            teller.note(text)
        return await stack.drill(wish, note=teller.course)
