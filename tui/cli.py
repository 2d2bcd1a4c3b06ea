"""The command line: what was typed, to one command, to an exit code.

Invariants: nothing heavy is imported before a command needs it; every failure ends as what failed, cause and fix on the
standard error with the exit code of the table below, never as a traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from backend.errors import McigError, PreflightRefused, SpecError, UsageError
from backend.presets import Places
from tui.completion import answer
from tui.console import Console, silence
from tui.interrupts import Interrupts
from tui.invocation import Exit, Invocation
from tui.parser import parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    environ = dict(os.environ)
    if "_ARGCOMPLETE" in environ:
        answer(parser(), environ)
    console = Console(environ)
    try:
        options = parser().parse_args(argv)
        console = Console(environ, json=getattr(options, "json", False))
        with Interrupts(lambda line: console.warn(f"mcig: {line}")).installed() as interrupts:
            invocation = Invocation(
                environ=environ,
                places=Places.of(environ),
                console=console,
                interrupts=interrupts,
                settings=(*options.settings_before, *getattr(options, "settings", ()), *_policy(options)),
                target=getattr(options, "target", None),
                yes=getattr(options, "yes", False),
            )
            return int(_command(options.command or "start")(invocation, options))
    except UsageError as error:
        return _tell(console, error, Exit.USAGE)
    except PreflightRefused as error:
        return _tell(console, error, Exit.REFUSED)
    except McigError as error:
        return _tell(console, error, Exit.FAILED)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        silence(sys.stdout)
        return Exit.DONE
    except Exception as error:
        if isinstance(error, OSError) and (unusable := _no_home(environ)):
            return _tell(console, unusable, Exit.USAGE)
        return _tell(console, _unexpected(error, environ), Exit.FAILED)


def _policy(options: argparse.Namespace) -> tuple[str, ...]:
    policy = getattr(options, "on_stockout", None)
    return () if policy is None else (f"on_stockout={policy}",)


def _command(name: str) -> Callable[[Invocation, argparse.Namespace], int]:
    lifecycle = name in {"plan", "apply", "destroy", "status"}
    module = "lifecycle" if lifecycle else name.replace("-", "_")
    function = name if lifecycle else "run"
    command: Callable[[Invocation, argparse.Namespace], int] = getattr(
        import_module(f"tui.commands.{module}"), function
    )
    return command


def _tell(console: Console, error: McigError, code: Exit) -> int:
    lines = [error.message if isinstance(error, SpecError) else f"mcig: {error.message}"]
    lines += [f"{label}: {text}" for label, text in (("cause", error.cause), ("fix", error.fix)) if text]
    console.warn(*lines)
    return code


def _no_home(environ: Mapping[str, str]) -> UsageError | None:
    trouble = Places.of(environ).trouble()
    if not trouble:
        return None
    named = "MCIG_HOME" in environ
    return UsageError(
        f"{'MCIG_HOME' if named else 'the folder of mcig'} cannot be written: {trouble}",
        cause="mcig keeps stacks, journals and the emulated cloud below it",
        fix=f"{'set MCIG_HOME to' if named else 'export MCIG_HOME='} a folder that you can write",
    )


def _unexpected(error: Exception, environ: Mapping[str, str]) -> McigError:
    try:
        path = Places.of(environ).keep_crash("".join(traceback.format_exception(error)))
        fix = f"run it again; if it stays, report it with {path}"
    except OSError:
        fix = "run it again; if it stays, report it"
    return McigError(f"{type(error).__name__}: {error}", cause="a fault in mcig itself", fix=fix)
