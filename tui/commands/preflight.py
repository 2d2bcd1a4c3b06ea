"""The checks before a run: what they found, and whether it may begin."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from backend.engine.events import Outcome, Verb
from tui.invocation import Invocation

if TYPE_CHECKING:
    from backend.engine.apply import Result
    from backend.engine.plan import Plan
    from backend.stack import Stack


async def check(invocation: Invocation, options: argparse.Namespace, stack: Stack, made: Plan) -> None:
    """Look whether a plan to apply would go through, and tell; raises ``PreflightRefused`` when a check fails.

    One step alone is not checked, nor a plan with nothing to do.
    """
    if made.verb is not Verb.APPLY or not made.changes or options.only is not None:
        return
    from backend.preflight import Verdict, in_order, refusing
    from backend.preflight.gate import refused, waits
    from tui.findings_text import summary

    reference = stack.spec.name if options.spec is None else options.spec

    def again(*added: str) -> str:
        return invocation.again("doctor" if "--request" in added else "apply", reference, added=added)

    found = in_order([one async for one in stack.preflight(again=again)])
    console = invocation.console
    console.say_all(["", *console.style.wrap(f"Checked before anything is made: {summary(found)}")])
    if waits(found):
        text = "The first step turns APIs on, then looks at what cannot be read before; a failure ends the run there."
        console.say_all(console.style.wrap(text))
    told = [one for one in found if one.status is Verdict.WARN and not one.id.startswith("api/")]
    for one in told:
        console.say_all(console.style.wrap(f"{one.id}: {one.message}", first="  ", indent="    "))
    failed = refusing(found, options.ignore)
    for one in (one for one in found if one.status is Verdict.FAIL and one not in failed):
        console.say_all(console.style.wrap(f"ignored: {one.id}: {one.message}", first="  ", indent="    "))
    if failed:
        raise refused(failed)


def stopped(result: Result) -> bool:
    """Whether a run ended because the checks after its first step failed."""
    from backend.errors import PreflightRefused

    failed = (step for step in result.failures if step.error is not None)
    return result.outcome is Outcome.FAILED and any(
        step.error is not None and step.error.kind == PreflightRefused.__name__ for step in failed
    )
