"""plan, apply, destroy and status.

Invariants: nothing is changed before the plan was shown and agreed to; with ``--json`` the last line of apply and
destroy is ``run_finished``, whatever happened before.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from backend.engine.events import Outcome, Verb
from backend.errors import UsageError
from tui.commands import guard, preflight, showing, teardown
from tui.commands.listener import Listener
from tui.commands.stockout import choose
from tui.commands.taking_over import carry_out
from tui.invocation import Exit, Invocation, speed

if TYPE_CHECKING:
    from backend.engine.plan import Plan
    from backend.spec import GatewaySpec
    from backend.stack import Stack
    from backend.status import Status


_LOOKS = {
    Verb.APPLY: "look at `mcig plan {name}`, then add --yes",
    Verb.DESTROY: "`mcig destroy {name}` in a terminal shows what would go, and asks; with --yes it does not ask",
}
"""How a change is looked at beforehand, and agreed to without a terminal."""


def plan(invocation: Invocation, options: argparse.Namespace) -> int:
    """Show what apply would do."""
    spec = invocation.spec(options.spec)
    if options.departures:
        return _departures(invocation, spec)
    made = invocation.interrupts.run(_plan(invocation, options, spec))
    return Exit.PENDING if options.detailed_exitcode and made.changes else Exit.DONE


def _departures(invocation: Invocation, spec: GatewaySpec) -> int:
    from backend.stack import departures
    from tui.departures import departure_lines

    found = departures(spec)
    if invocation.json:
        invocation.console.result([{"rows": list(item.rows), **asdict(item.departure)} for item in found])
    else:
        console = invocation.console
        console.say_all(departure_lines({item.departure: item.rows for item in found}, console.style))
    return Exit.DONE


async def _plan(invocation: Invocation, options: argparse.Namespace, spec: GatewaySpec) -> Plan:
    from backend.stack import open_stack

    console = invocation.console
    pace = _speed(options)
    async with open_stack(spec, environ=invocation.environ, places=invocation.places, speed=pace) as stack:
        showing.notes(console, stack)
        made = await stack.plan(only=options.only)
        if invocation.json:
            notes = [asdict(note) for note in stack.notes_on(made)]
            shown = made.to_json(stack=spec.name, target=str(spec.target))
            console.result({**shown, "cost": stack.money.costs.to_json(), "notes": notes})
        else:
            from tui.plan_text import departures

            showing.show(invocation, options, stack, made)
            console.say_all(departures(made, console.style))
            if made.changes:
                alone = () if options.only is None else ("--only", options.only)
                again = invocation.again("apply", spec.name if options.spec is None else options.spec, *alone)
                console.say("", f"To do this: {again}")
        return made


def apply(invocation: Invocation, options: argparse.Namespace) -> int:
    """Make the cloud what the specification says."""
    if ignored := getattr(options, "ignore", ()):
        from backend.preflight import check_ignored

        check_ignored(ignored)
    if options.spec is None and invocation.console.terminal and not (invocation.json or invocation.yes):
        from tui.prompts import ask

        invocation = ask(invocation)
    elif options.spec is None:
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
    _refuse_unasked(invocation, spec, verb)
    listener = Listener(invocation.console, verb)
    try:
        return invocation.interrupts.run(_carry_out(invocation, options, spec, verb, listener))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            continues = f"Stopped. {_continues(options, spec, verb)}"
            nothing = "Stopped; nothing was changed. The same command begins again."
            invocation.console.say("", *invocation.console.style.wrap(continues if listener.begun else nothing))
        listener.finish(spec, verb, error)
        raise
    finally:
        listener.release()


def _refuse_unasked(invocation: Invocation, spec: GatewaySpec, verb: Verb) -> None:
    if invocation.yes or invocation.console.terminal or _costs_nothing(spec):
        return
    raise UsageError(
        f"{verb} changes {spec.name} on Google Cloud, and there is no terminal to ask at",
        cause="without a terminal mcig needs the yes beforehand",
        fix=_LOOKS[verb].format(name=spec.name),
    )


def _costs_nothing(spec: GatewaySpec) -> bool:
    from backend.spec import Target

    return spec.target is Target.EMULATOR


async def _carry_out(
    invocation: Invocation,
    options: argparse.Namespace,
    spec: GatewaySpec,
    verb: Verb,
    listener: Listener,
) -> int:
    from backend.stack import open_stack
    from tui.plain import PlainRun

    console = invocation.console
    pace = _speed(options)
    wishes = teardown.wishes(options)
    async with open_stack(spec, environ=invocation.environ, places=invocation.places, speed=pace, **wishes) as stack:
        showing.notes(console, stack)
        made = await stack.plan(verb, only=getattr(options, "only", None))
        stack.get_ready(made)
        if not invocation.json:
            showing.review(invocation, options, stack, made)
        await preflight.check(invocation, options, stack, made)
        if made.changes and not (
            _agreed(invocation, options, spec, made, stack) and teardown.confirmed(invocation, options, made)
        ):
            console.say("Declined: nothing was changed.")
            listener.finish(spec, verb, KeyboardInterrupt())
            return Exit.FAILED
        if made.changes and not invocation.json:
            console.say("")
            lane = max(map(len, spec.regions))
            speed, forecast = stack.connection.speed, stack.forecast(made)
            listener.plain = PlainRun(console.say, console.style, speed=speed, lane_width=lane, forecast=forecast)
        async with guard.watching(stack, made, console):
            ignore, take_over = getattr(options, "ignore", ()), getattr(options, "take_over", False)
            result = await carry_out(invocation, stack, made, emit=listener, ignore=ignore, take_over=take_over)
        other = choose(invocation, stack, result)
        if other is None and not invocation.json:
            console.say_all(_next(options, spec, made, result.outcome, kubectl=_way_of_kubectl(invocation, spec)))
        if result.outcome is Outcome.SUCCEEDED:
            left = await teardown.remains(stack, made)
            if left is not None:
                console.say_all(left.lines(console.style))
                listener.release(left.to_json())
        dear = await guard.passed(stack, made)
    if other is not None:
        return await _carry_out(invocation, options, other, verb, listener)
    if guard.wants_destroy(invocation, spec.name, dear):
        return await _carry_out(invocation, options, spec, Verb.DESTROY, Listener(console, Verb.DESTROY))
    if preflight.stopped(result):
        return Exit.REFUSED
    return Exit.DONE if result.outcome is Outcome.SUCCEEDED else Exit.FAILED


def _agreed(invocation: Invocation, options: argparse.Namespace, spec: GatewaySpec, made: Plan, stack: Stack) -> bool:
    console = invocation.console
    if invocation.yes or not console.terminal:
        return True
    if invocation.json:
        showing.review(invocation, options, stack, made)
    with invocation.interrupts.at_once():
        return console.ask(f"\n{str(made.verb).capitalize()} {spec.name} now?")


def _continues(options: argparse.Namespace, spec: GatewaySpec, verb: Verb) -> str:
    only = getattr(options, "only", None)
    alone = "" if only is None else f" --only {only}"
    return f"`mcig {verb} {spec.name}{alone}` goes on where this stopped."


def _next(
    options: argparse.Namespace, spec: GatewaySpec, made: Plan, outcome: Outcome, *, kubectl: str
) -> Iterator[str]:
    if outcome is not Outcome.SUCCEEDED:
        yield f"Once mended, {_continues(options, spec, made.verb)}"
        return
    if made.verb is Verb.DESTROY or made.left_out:
        return
    yield ""
    yield "Next:"
    yield f'  mcig prompt {spec.name} "What is the best pizza in the world?"'
    yield f"  mcig status {spec.name}"
    yield f"  mcig destroy {spec.name}"
    if kubectl:
        yield f"  {kubectl}  # then kubectl finds the clusters"


def _way_of_kubectl(invocation: Invocation, spec: GatewaySpec) -> str:
    """What to type so that kubectl finds the clusters; empty where it does already."""
    from backend.spec import Target

    if spec.target is Target.EMULATOR:
        return "" if "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE" in invocation.environ else 'eval "$(mcig emulator env)"'
    if spec.kubeconfig is not None or invocation.environ.get("KUBECONFIG"):
        return ""
    return f"export KUBECONFIG={shlex.quote(str(invocation.places.kubeconfig))}"


def status(invocation: Invocation, options: argparse.Namespace) -> int:
    """Say how a stack stands."""
    spec = invocation.spec(options.spec)
    found = invocation.interrupts.run(_status(invocation, options, spec))
    if invocation.json:
        invocation.console.result(found.to_json())
    else:
        from tui.status_text import status_lines

        lines = list(status_lines(found, invocation.console.style))
        invocation.console.say_all(lines)
        if any("kubectl " in line for line in lines) and (way := _way_of_kubectl(invocation, spec)):
            invocation.console.say(f"before kubectl: {way}")
        if guard.wants_destroy(invocation, spec.name, found.guard_passed):
            return _run(invocation, options, Verb.DESTROY)
    return Exit.DONE


async def _status(invocation: Invocation, options: argparse.Namespace, spec: GatewaySpec) -> Status:
    from backend.stack import open_stack

    pace = _speed(options)
    async with open_stack(spec, environ=invocation.environ, places=invocation.places, speed=pace) as stack:
        showing.notes(invocation.console, stack)
        return await stack.status()


def _speed(options: argparse.Namespace) -> float | None:
    return None if options.speed is None else speed(options.speed)
