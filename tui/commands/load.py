"""load: traffic from inside the VPC, and where it went."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from tui import typed
from tui.console import Console
from tui.invocation import Exit, Invocation, speed

if TYPE_CHECKING:
    from backend.load import Load, LoadResult, Point
    from backend.spec import GatewaySpec

TOLD_EVERY_S = 5.0
"""Seconds of a test between two lines about how it goes."""


def add_options(command: argparse.ArgumentParser) -> None:
    """Add what can be typed after ``mcig load``."""
    command.add_argument("--rate", type=typed.number, required=True, metavar="N", help="requests a second")
    command.add_argument("--seconds", type=typed.number, required=True, metavar="S", help="how long requests go out")
    command.add_argument(
        "--from",
        dest="region",
        metavar="REGION",
        help="region of the cluster that they come from; the config cluster's without it",
    )
    command.add_argument(
        "--prompt-tokens", type=typed.count, default=None, metavar="N", help="length of a prompt; 4000"
    )
    command.add_argument("--max-tokens", type=typed.count, default=None, metavar="N", help="length of an answer; 200")


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
    from tui.load_text import headline

    pace = None if options.speed is None else speed(options.speed)
    teller = Teller(invocation.console, headline(wish, wish.source(spec).name))
    async with open_stack(spec, environ=invocation.environ, places=invocation.places, speed=pace) as stack:
        for text in stack.connection.notes:
            teller.note(text)
        return await stack.load(wish, note=teller.course, each=teller.each)


class Teller:
    """Tells how a test goes: what is sent once it has begun, and from the first request on how many come where."""

    def __init__(self, console: Console, heading: str) -> None:
        self._console, self._heading = console, heading
        self._first_s: float | None = None
        self._next_s = 0.0

    def note(self, text: str) -> None:
        """Tell what is worth knowing."""
        self._console.say_all(self._console.style.wrap(f"note: {text}", indent="      "))

    def course(self, text: str) -> None:
        """Tell what the test itself says."""
        if self._heading:
            self._console.say_all(self._console.style.wrap(self._heading))
            self._heading = ""
        self.note(text)

    def each(self, point: Point) -> None:
        """Tell of a look now and then."""
        from tui.load_text import moment

        if self._first_s is None and point.requests > 0:
            self._first_s = self._next_s = point.t_s - point.seconds
        if self._first_s is not None and point.t_s >= self._next_s:
            self._next_s = point.t_s + TOLD_EVERY_S
            told = moment(replace(point, t_s=point.t_s - self._first_s))
            self._console.say_all(self._console.style.wrap(told, first="  ", indent="         "))
