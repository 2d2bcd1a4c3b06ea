"""Load and drills that are started while a stack is watched: what is asked before, and what is told after.

Invariant: how a trial ends is told in one line and never raised; stopping one restores what it changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from backend.errors import McigError
from tui.screens.question import Choice, Question

if TYPE_CHECKING:
    from backend.stack import Stack

LOAD_RATE, LOAD_S = 40.0, 120.0
"""Requests a second and seconds of the load."""
YES = "yes"
BACK = Choice("no", "Back", "primary")


def load_question(stack: Stack) -> Question:
    """Asks before load is sent; answered with ``YES`` it may be."""
    text = (
        f"{LOAD_RATE:g} requests a second for {LOAD_S:g} s, from a Job on the config cluster. The same key stops "
        f"it. On the command line: mcig load {stack.spec.name} --rate {LOAD_RATE:g} --seconds {LOAD_S:g}"
    )
    return Question("Send load through the gateway?", text, (BACK, Choice(YES, "Send load", "warning")))


def drill_question(stack: Stack) -> Question:
    """Asks which region is to be drained; answered with one of them."""
    text = "The region is drained by policy for a minute under a light load, then restored. Stopping restores it too."
    regions = sorted({cluster.region for cluster in stack.spec.targets})
    choices = (BACK, *(Choice(region, f"Drain {region}", "warning") for region in regions))
    return Question("Drain which region?", text, choices)


async def send_load(stack: Stack, news: Callable[[str], None]) -> None:
    """Send load and tell how that went."""
    from backend.load import Load

    try:
        news(f"load of {LOAD_RATE:g} requests a second begins")
        result = await stack.load(Load(LOAD_RATE, LOAD_S), note=news)
    except McigError as error:
        news(f"{error.message} {error.fix}".strip())
    else:
        news("load has ended" if result.ok else "load has ended, and not well")


async def drain(stack: Stack, region: str, news: Callable[[str], None]) -> None:
    """Drain a region for a while and tell what that did."""
    from backend.load import Drill

    try:
        news(f"drill begins: {region} will be drained")
        result = await stack.drill(Drill(region), note=news)
    except McigError as error:
        news(f"{error.message} {error.fix}".strip())
    else:
        lost = "an unknown number" if result.lost is None else str(result.lost)
        news(f"drill has ended: {result.sent} requests sent, {lost} lost")
