"""After a run that found no GPUs: offer what else there is, and give the specification that was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend import stockout
from tui.invocation import Invocation

if TYPE_CHECKING:
    from backend.engine.apply import Result
    from backend.spec import GatewaySpec
    from backend.stack import Stack


def choose(invocation: Invocation, stack: Stack, result: Result) -> GatewaySpec | None:
    """Ask what to take in place of each pool that could not be had; ``None`` when nothing is to be asked or taken."""
    console, spec = invocation.console, stack.spec
    if invocation.yes or invocation.json or not console.terminal or str(spec.on_stockout) == "stop":
        return None
    for cluster in stockout.without_machines(result):
        ways = stockout.alternatives(spec, cluster)
        if not ways:
            continue
        console.say("", f"No GPUs for {cluster}. In their place mcig can take:")
        console.say_all(f"  {number}. {way.kind}: {way.words}" for number, way in enumerate(ways, 1))
        with invocation.interrupts.at_once():
            number = _number(invocation, len(ways))
        if number is None:
            return None
        spec = ways[number - 1].spec
    return None if spec == stack.spec else spec


def _number(invocation: Invocation, highest: int) -> int | None:
    """The number that a person types; ``None`` for nothing, and for the end of the input."""
    console = invocation.console
    while True:
        console.stream(f"Which one? [1-{highest}, Enter: none] ")
        line = console.stdin.readline()
        answer = line.strip()
        if not answer:
            console.say("")
            return None
        if answer.isdecimal() and 1 <= int(answer) <= highest:
            return int(answer)
        console.say(f"{answer} is none of 1 to {highest}")
