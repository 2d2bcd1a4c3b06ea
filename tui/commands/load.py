"""load: traffic from inside the VPC, and where it went."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tui.invocation import Exit, Invocation, speed

if TYPE_CHECKING:
    from backend.load import Load, LoadResult, Point
    from backend.spec import GatewaySpec

TOLD_EVERY_S = 5.0
"""Seconds of a test between two lines about how it goes."""


def add_options(command: argparse.ArgumentParser) -> None:
    """Add what can be typed after ``mcig load``."""
    command.add_argument("--rate", type=float, required=True, metavar="N", help="requests a second")
    command.add_argument("--seconds", type=float, required=True, metavar="S", help="how long requests go out")
    command.add_argument(
        "--from",
        dest="region",
        metavar="REGION",
        help="region of the cluster that they come from; the config cluster's without it",
    )
    command.add_argument("--prompt-tokens", type=int, default=None, metavar="N", help="length of a prompt; 4000")
    command.add_argument("--max-tokens", type=int, default=None, metavar="N", help="length of an answer; 200")


def run(invocation: Invocation, options: argparse.Namespace) -> int:
    """Run a load test and show what it did."""
    from backend.load import Load
    from tui.load_text import load_lines

    spec = invocation.spec(options.spec)
    lengths = {
        name: value
        for name, value in (("prompt_tokens", options.prompt_tokens), ("max_tokens", options.max_tokens))
        if value is not None
    }
    wish = Load(options.rate, options.seconds, options.region, **lengths)
    result = invocation.interrupts.run(_load(invocation, options, spec, wish))
    if invocation.json:
        invocation.console.result(result.to_json())
    else:
        invocation.console.say_all(load_lines(result, invocation.console.style))
    return Exit.DONE if result.ok else Exit.FAILED


async def _load(invocation: Invocation, options: argparse.Namespace, spec: GatewaySpec, wish: Load) -> LoadResult:
    from backend.stack import open_stack
    from tui.load_text import headline, moment

    console = invocation.console
    pace = None if options.speed is None else speed(options.speed)
    next_s = 0.0

    def each(point: Point) -> None:
        nonlocal next_s
        if point.t_s >= next_s:
            next_s = point.t_s + TOLD_EVERY_S
            console.say_all(console.style.wrap(moment(point), first="  ", indent="         "))

    def note(text: str) -> None:
        console.say_all(console.style.wrap(f"note: {text}", indent="      "))

    async with open_stack(spec, environ=invocation.environ, places=invocation.places, speed=pace) as stack:
        for text in stack.connection.notes:
            note(text)
        console.say_all(console.style.wrap(headline(wish, wish.source(stack.spec).name)))
        return await stack.load(wish, note=note, each=each)
