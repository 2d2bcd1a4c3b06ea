"""The limits of cost and age that a specification sets: told when they are passed, then destroying is offered.

Invariant: nobody watches once mcig has ended, and that is said wherever the guard is spoken of.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from backend.engine.events import Verb
from backend.errors import CloudError

if TYPE_CHECKING:
    from backend.engine.plan import Plan
    from backend.stack import Stack
    from tui.console import Console
    from tui.invocation import Invocation

SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 600.0
"""Bounds of the time between two looks at what was spent."""


@asynccontextmanager
async def watching(stack: Stack, made: Plan, console: Console) -> AsyncIterator[None]:
    """Warn once, while a run to apply lasts, when a limit is passed."""
    if stack.spec.guard is None or made.verb is not Verb.APPLY:
        yield
        return
    task = asyncio.create_task(_watch(stack, console))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _watch(stack: Stack, console: Console) -> None:
    while True:
        pause = LONGEST_PAUSE_S
        with suppress(CloudError):
            so_far = await stack.money.spent()
            if passed := stack.money.guard_passed(so_far):
                console.say_all(console.style.wrap(f"guard: {passed}", indent="       "))
                return
            left = stack.money.guard_left_s(so_far)
            pause = pause if left is None else min(max(left, SHORTEST_PAUSE_S), LONGEST_PAUSE_S)
        await asyncio.sleep(pause)


async def passed(stack: Stack, made: Plan) -> str:
    """Which limits are passed after a run to apply, in words; empty when none is, or it cannot be known."""
    if stack.spec.guard is None or made.verb is not Verb.APPLY:
        return ""
    with suppress(CloudError):
        return stack.money.guard_passed(await stack.money.spent())
    return ""


def wants_destroy(invocation: Invocation, stack: str, words: str) -> bool:
    """Tell that a limit is passed and ask whether to destroy; without a terminal only the command is told."""
    if not words:
        return False
    console = invocation.console
    text = f"guard: {words}. It is looked after only while mcig runs."
    console.say_all(["", *console.style.wrap(text, indent="       ")])
    if invocation.json or invocation.yes or not console.terminal:
        console.say(f"`mcig destroy {stack}` takes it away.")
        return False
    with invocation.interrupts.at_once():
        return console.ask(f"Destroy {stack}?")
