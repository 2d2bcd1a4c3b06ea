"""emulator start, stop, status, reset, env, fault and set."""

from __future__ import annotations

import argparse
import os
import shlex
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from backend.emulator import control
from backend.errors import RehearsalError, UsageError
from tui.invocation import Exit, Invocation, speed

_LOOK_EVERY_S = 0.5


def run(invocation: Invocation, options: argparse.Namespace) -> int:
    """Do what the sub-command says; raises ``RehearsalError``, and ``UsageError`` for what the emulator refuses."""
    command = {
        "start": _start,
        "stop": _stop,
        "status": _status,
        "reset": _reset,
        "env": _env,
        "fault": _fault,
        "set": _set,
    }[options.emulator]
    try:
        return command(invocation, options)
    except control.WrongWish as error:
        what, _, there_is = error.message.partition("; ")
        raise UsageError(what, cause=there_is, fix=error.fix) from error
    except control.EmulatorError as error:
        raise RehearsalError(error.message, fix=error.fix) from error


def _start(invocation: Invocation, options: argparse.Namespace) -> int:
    wanted = speed(options.speed)
    home, console = invocation.places.emulator, invocation.console
    running = control.find(home)
    instance = running or control.start(home, speed=wanted, port=options.port)
    if invocation.json:
        console.result({"pid": instance.pid, "url": instance.url})
    if running is not None:
        console.say(f"the emulated cloud runs already at {instance.url}, process {instance.pid}")
        return Exit.DONE
    console.say(f"the emulated cloud runs at {instance.url}, process {instance.pid}, speed {options.speed}")
    if (aside := control.status(instance)["set_aside"]) is not None:
        console.say(f"its world of before cannot be read, so it begins empty; that world is now {aside}")
    console.say(*_next(invocation, "in another terminal" if not options.detach else "next"))
    if options.detach:
        return Exit.DONE
    console.say("", "Ctrl-C stops it; its world is kept and comes back at the next start")
    identity = control.process_start(instance.pid)
    try:
        while control.process_start(instance.pid) == identity:
            time.sleep(_LOOK_EVERY_S)
    except KeyboardInterrupt:
        control.stop(instance)
        console.say("", "stopped")
    return Exit.DONE


def _next(invocation: Invocation, where: str) -> Iterator[str]:
    """What it is good for, as commands; another terminal has to be told of a home that is not the usual one."""
    home = invocation.environ.get("MCIG_HOME")
    yield from ("", f"{where.capitalize()}:")
    if home and where != "next":
        yield f"  export MCIG_HOME={shlex.quote(home)}"
    yield "  mcig apply rehearsal                # set a gateway up in it"
    yield '  eval "$(mcig emulator env)"         # gcloud and kubectl talk to it'
    yield f"  tail -f {shlex.quote(str(invocation.places.emulator / 'emulator.log'))}"


def _stop(invocation: Invocation, options: argparse.Namespace) -> int:
    del options
    instance = control.find(invocation.places.emulator)
    if instance is None:
        invocation.console.say("no emulated cloud runs")
        return Exit.DONE
    control.stop(instance)
    invocation.console.say("stopped; its world is kept and comes back at the next start")
    return Exit.DONE


def _status(invocation: Invocation, options: argparse.Namespace) -> int:
    del options
    found = control.status(_running(invocation))
    pace = "max" if found["speed"] is None else found["speed"]
    started = datetime.fromtimestamp(found["started"], UTC).isoformat(timespec="seconds")
    if invocation.json:
        keys = ("pid", "url", "resources", "faults")
        result = {key: found[key] for key in keys} | {"speed": pace, "started": started}
        invocation.console.result(result)
        return Exit.DONE
    console = invocation.console
    pace_said = pace if isinstance(pace, str) else f"{pace:g}"
    console.say(
        f"the emulated cloud runs at {found['url']}, process {found['pid']}, speed {pace_said}, since {started}"
    )
    for resource in found["resources"]:
        console.say(f"  {resource}")
    if not found["resources"]:
        console.say("nothing was made in it")
    for fault in found["faults"]:
        console.say(f"  fault: {_words(fault)}")
    return Exit.DONE


def _reset(invocation: Invocation, options: argparse.Namespace) -> int:
    del options
    home = invocation.places.emulator
    if (running := control.find(home)) is not None:
        control.reset(running)
    else:
        control.forget(home)
    invocation.console.say("the emulated cloud is as new")
    return Exit.DONE


def _env(invocation: Invocation, options: argparse.Namespace) -> int:
    del options
    variables = control.environment(_running(invocation))
    variables["KUBECONFIG"] = _kubeconfigs(invocation)
    if invocation.json:
        invocation.console.result(variables)
        return Exit.DONE
    for name, value in variables.items():
        quoted = value.replace("'", "'\\''")
        invocation.console.say(f"export {name}='{quoted}'")
    return Exit.DONE


def _kubeconfigs(invocation: Invocation) -> str:
    """The file that an apply writes contexts into, and then the user's own, where kubectl looks for all the others."""
    own = str(invocation.places.kubeconfig)
    others = [path for path in invocation.environ.get("KUBECONFIG", "").split(os.pathsep) if path and path != own]
    return os.pathsep.join([own, *others])


def _fault(invocation: Invocation, options: argparse.Namespace) -> int:
    instance, console = _running(invocation), invocation.console
    match options.fault:
        case "add":
            added = control.add_fault(instance, " ".join([options.kind, *options.parameters]))
            result: object = added
            lines = [f"playing {_words(added)}"]
        case "clear":
            control.clear_faults(instance)
            result, lines = [], ["no fault is played any more; what one has broken stays broken"]
        case _:
            found = control.faults(instance)
            result, lines = found, [_words(fault) for fault in found] or ["no fault is played"]
    if invocation.json:
        console.result(result)
    else:
        console.say(*lines)
    return Exit.DONE


def _set(invocation: Invocation, options: argparse.Namespace) -> int:
    instance, console = _running(invocation), invocation.console
    put = [control.put_setting(instance, one) for one in options.setting]
    if put:
        if invocation.json:
            console.result(put)
        console.say(*(f"{one['path']} is {one['value'] or 'empty'}" for one in put))
        return Exit.DONE
    told = control.settings(instance)
    if invocation.json:
        console.result(told)
        return Exit.DONE
    lines = [line for form in told["forms"] for line in (form["form"], f"    {form['does']}")]
    console.say("what can be set; the value usual takes it back:", *(f"  {line}" for line in lines))
    console.say("", "what is set:" if told["settings"] else "nothing is set: the project has all that it needs")
    console.say(*(f"  {one['path']}={one['value']}" for one in told["settings"]))
    return Exit.DONE


def _words(fault: dict[str, Any]) -> str:
    left = {None: "", 0: " (spent)", 1: " (once)"}.get(fault["left"], f" ({fault['left']} times)")
    return f"{fault['fault']}{left}"


def _running(invocation: Invocation) -> control.Instance:
    instance = control.find(invocation.places.emulator)
    if instance is None:
        raise RehearsalError(
            "no emulated cloud runs",
            cause="it was not started, or ended by itself after half an hour without requests",
            fix="mcig emulator start --detach",
        )
    return instance
