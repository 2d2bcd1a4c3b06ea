"""Carrying out a plan whose stack another machine's run may still hold: whose it was is told, and a yes takes it over.

Invariant: ``--yes`` agrees to a plan and not to this; without a terminal only ``--take-over`` does.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from backend.errors import LockHeld

if TYPE_CHECKING:
    from backend.engine.apply import Result
    from backend.engine.events import Emit
    from backend.engine.plan import Plan
    from backend.stack import Stack
    from tui.invocation import Invocation


async def carry_out(
    invocation: Invocation, stack: Stack, made: Plan, *, emit: Emit, ignore: Collection[str], take_over: bool
) -> Result:
    """Carry out a plan as ``Stack.apply`` does, and ask where a run on another host holds the stack.

    Raises ``LockHeld`` when nobody can be asked, or the answer is no.
    """
    note = invocation.console.say
    try:
        return await stack.apply(made, emit=emit, note=note, ignore=ignore, take_over=take_over)
    except LockHeld as held:
        if not (held.elsewhere and _agreed(invocation, held)):
            raise
    return await stack.apply(made, emit=emit, note=note, ignore=ignore, take_over=True)


def _agreed(invocation: Invocation, held: LockHeld) -> bool:
    console = invocation.console
    if invocation.json or invocation.yes or not console.terminal:
        return False
    console.say("", *console.style.wrap(f"{held.message}. Nobody here can tell whether it still runs."))
    with invocation.interrupts.at_once():
        return console.ask("Take it over?")
