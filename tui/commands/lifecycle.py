"""plan, apply, destroy and status.

Invariants: nothing is changed before the plan was shown and agreed to; with ``--json`` the last line of apply and
destroy is ``run_finished``, whatever happened before.
"""

from __future__ import annotations

import argparse
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from backend.engine.events import Emit, Event, Outcome, Recorder, RunFinished, RunStarted, Verb
from backend.errors import UsageError
from tui.console import Console
from tui.invocation import Exit, Invocation, speed

if TYPE_CHECKING:
    from backend.engine.plan import Plan
    from backend.spec import GatewaySpec
    from backend.stack import Stack
    from backend.status import Status


def plan(invocation: Invocation, options: argparse.Namespace) -> int:
    """Show what apply would do."""
    spec = invocation.spec(options.spec)
    made = invocation.interrupts.run(_plan(invocation, options, spec))
    return Exit.PENDING if options.detailed_exitcode and made.changes else Exit.DONE


async def _plan(invocation: Invocation, options: argparse.Namespace, spec: GatewaySpec) -> Plan:
    from backend.stack import open_stack

    console = invocation.console
    pace = _speed(options)
    async with open_stack(spec, environ=invocation.environ, places=invocation.places, speed=pace) as stack:
        _notes(console, stack)
        made = await stack.plan()
        if invocation.json:
            console.result(made.to_json(stack=spec.name, target=str(spec.target)))
        else:
            from tui.plan_text import departures

            _show(console, stack, made)
            console.say_all(departures(made, console.style))
            if made.changes:
                console.say("", f"To do this: mcig apply {spec.name if options.spec is None else options.spec}")
        return made


def apply(invocation: Invocation, options: argparse.Namespace) -> int:
    """Make the cloud what the specification says."""
    if options.spec is None:
        raise UsageError(
            "apply needs to know what to set up",
            cause="no SPEC was given: a YAML file, a saved stack or a preset",
            fix="mcig apply rehearsal; `mcig presets list` shows what there is",
        )
    return _run(invocation, options, Verb.APPLY)


def destroy(invocation: Invocation, options: argparse.Namespace) -> int:
    """Take away what mcig made for a stack."""
    return _run(invocation, options, Verb.DESTROY)


def _run(invocation: Invocation, options: argparse.Namespace, verb: Verb) -> int:
    spec = invocation.spec(options.spec)
    pace = _speed(options)
    _refuse_unasked(invocation, spec, verb)
    lines = _Lines(invocation.console) if invocation.json else None
    try:
        return invocation.interrupts.run(_carry_out(invocation, spec, verb, pace, lines))
    except BaseException as error:
        if lines is not None:
            lines.finish(spec, verb, error)
        if isinstance(error, KeyboardInterrupt):
            invocation.console.say("", f"Stopped. `mcig {verb} {spec.name}` continues.")
        raise


def _refuse_unasked(invocation: Invocation, spec: GatewaySpec, verb: Verb) -> None:
    if invocation.yes or invocation.console.terminal or _costs_nothing(spec):
        return
    raise UsageError(
        f"{verb} changes {spec.name} on Google Cloud, and there is no terminal to ask at",
        cause="without a terminal mcig needs the yes beforehand",
        fix=f"look at `mcig plan`, then add --yes to `mcig {verb}`",
    )


def _costs_nothing(spec: GatewaySpec) -> bool:
    from backend.spec import Target

    return spec.target is Target.EMULATOR


async def _carry_out(
    invocation: Invocation, spec: GatewaySpec, verb: Verb, pace: float | None, lines: _Lines | None
) -> int:
    from backend.stack import open_stack
    from tui.plain import PlainRun

    console = invocation.console
    async with open_stack(spec, environ=invocation.environ, places=invocation.places, speed=pace) as stack:
        _notes(console, stack)
        made = await stack.plan(verb)
        if not invocation.json:
            _review(console, stack, made)
        if made.changes and not _agreed(invocation, spec, made, stack):
            console.say("Declined: nothing was changed.")
            if lines is not None:
                lines.finish(spec, verb, KeyboardInterrupt())
            return Exit.FAILED
        console.say("")
        lane = max(map(len, spec.regions))
        listener: Emit = lines or PlainRun(console.say, console.style, speed=stack.connection.speed, lane_width=lane)
        result = await stack.apply(made, emit=listener, note=console.say)
        if not invocation.json:
            console.say_all(_next(spec, verb, result.outcome))
        return Exit.DONE if result.outcome is Outcome.SUCCEEDED else Exit.FAILED


def _agreed(invocation: Invocation, spec: GatewaySpec, made: Plan, stack: Stack) -> bool:
    console = invocation.console
    if invocation.yes or not console.terminal:
        return True
    if invocation.json:
        _review(console, stack, made)
    with invocation.interrupts.at_once():
        return console.ask(f"\n{str(made.verb).capitalize()} {spec.name} now?")


def _next(spec: GatewaySpec, verb: Verb, outcome: Outcome) -> Iterator[str]:
    if outcome is not Outcome.SUCCEEDED:
        yield f"Once mended, `mcig {verb} {spec.name}` continues."
        return
    if verb is Verb.DESTROY:
        return
    yield ""
    yield "Next:"
    yield f'  mcig prompt {spec.name} "What is the best pizza in the world?"'
    yield f"  mcig status {spec.name}"
    yield f"  mcig destroy {spec.name}"


def status(invocation: Invocation, options: argparse.Namespace) -> int:
    """Say how a stack stands."""
    spec = invocation.spec(options.spec)
    found = invocation.interrupts.run(_status(invocation, options, spec))
    if invocation.json:
        invocation.console.result(found.to_json())
    else:
        from tui.status_text import status_lines

        invocation.console.say_all(status_lines(found, invocation.console.style))
    return Exit.DONE


async def _status(invocation: Invocation, options: argparse.Namespace, spec: GatewaySpec) -> Status:
    from backend.stack import open_stack

    pace = _speed(options)
    async with open_stack(spec, environ=invocation.environ, places=invocation.places, speed=pace) as stack:
        _notes(invocation.console, stack)
        return await stack.status()


def _speed(options: argparse.Namespace) -> float | None:
    return None if options.speed is None else speed(options.speed)


def _notes(console: Console, stack: Stack) -> None:
    for note in stack.connection.notes:
        console.say_all(console.style.wrap(f"note: {note}", indent="      "))


def _show(console: Console, stack: Stack, made: Plan) -> None:
    from tui.plan_text import plan_lines

    console.say_all(
        plan_lines(
            made,
            stack=stack.spec.name,
            where=stack.connection.description,
            style=console.style,
            speed=stack.connection.speed,
            prices=stack.prices_dated,
        )
    )


def _review(console: Console, stack: Stack, made: Plan) -> None:
    from tui.plan_text import departures_hint

    _show(console, stack, made)
    console.say_all(departures_hint(made, stack.spec.name, console.style))


class _Lines:
    """A listener that gives each event as a JSON line, and ends a run that never began."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begun = self._ended = False

    def __call__(self, event: Event) -> None:
        self._begun = True
        self._ended = isinstance(event.payload, RunFinished)
        body: dict[str, Any] = event.to_json()
        self._console.line(body)

    def finish(self, spec: GatewaySpec, verb: Verb, error: BaseException) -> None:
        """Tell that the run is over, unless that was told."""
        if self._ended or self._begun or isinstance(error, UsageError):
            return
        outcome = Outcome.CANCELLED if isinstance(error, KeyboardInterrupt) else Outcome.FAILED
        recorder = Recorder(self)
        recorder(RunStarted(uuid.uuid4().hex, spec.name, str(spec.target), verb, ()))
        recorder(RunFinished(outcome, 0.0, {}))
