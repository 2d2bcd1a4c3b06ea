"""A plan, and the notes on a stack's cloud, as plain lines for people."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from backend.engine.events import Verb
from tui.console import Console
from tui.invocation import Invocation

if TYPE_CHECKING:
    from backend.engine.plan import Plan
    from backend.stack import Stack


def notes(console: Console, stack: Stack) -> None:
    """Tell what is worth knowing of a stack's cloud."""
    for note in stack.connection.notes:
        console.say_all(console.style.wrap(f"note: {note}", indent="      "))


def show(invocation: Invocation, options: argparse.Namespace, stack: Stack, made: Plan) -> None:
    """Show a plan: its steps, and what it would cost."""
    from tui.plan_text import cost_lines, plan_lines, spec_notes

    console = invocation.console
    console.say_all(
        plan_lines(
            made,
            stack=stack.spec.name,
            where=stack.connection.description,
            style=console.style,
            speed=stack.connection.speed,
            prices=stack.money.prices_dated,
            origin=invocation.origin(options.spec) if made.verb is Verb.APPLY else "",
        )
    )
    if made.verb is Verb.APPLY and made.changes:
        console.say_all(cost_lines(stack.money.costs, console.style))
        console.say_all(spec_notes(stack.notes_on(made), console.style))


def review(invocation: Invocation, options: argparse.Namespace, stack: Stack, made: Plan) -> None:
    """Show a plan that is about to be agreed to."""
    from tui.plan_text import departures_hint

    console = invocation.console
    show(invocation, options, stack, made)
    where = invocation.again("plan", stack.spec.name if options.spec is None else options.spec, "--departures")
    console.say_all(departures_hint(made, where, console.style))
