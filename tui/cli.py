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
from typing import Any, NoReturn

from backend.errors import McigError, PreflightRefused, SpecError, UsageError
from backend.presets import Places
from tui.commands import completion, drill, load, monitor, support_bundle, teardown
from tui.completion import answer
from tui.console import Console, silence
from tui.interrupts import Interrupts
from tui.invocation import Exit, Invocation

FORMATS = ("gcloud", "manifests", "terraform")
"""What a specification can be exported as."""
ON_STOCKOUT = ("ask", "next-zone", "stop")
EPILOG = """\
SPEC is a YAML file, else a saved stack, else one of your presets, else a preset of the package
(`mcig presets list`); all but apply take the last stack without one.

exit codes: 0 done; 1 failed, declined, no credentials, locked, or a prompt answered with an error;
2 wrong usage or specification; 3 changes pending (plan --detailed-exitcode); 4 a check failed
(doctor, apply); 130 interrupted
"""


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
        return _tell(console, _unexpected(error, environ), Exit.FAILED)


def parser() -> argparse.ArgumentParser:
    """Everything that can be typed."""
    shared = _shared()
    top = _Parser(
        prog="mcig",
        description="Set up, rehearse and tear down a GKE multi-cluster Inference Gateway. Without a command: the app.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the version")
    _add_shared(top, settings="settings_before", default=[])
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=False)

    def add(name: str, text: str, *, stack: bool = False) -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text, parents=[shared])
        if stack:
            command.add_argument("spec", nargs="?", metavar="SPEC", help="file, stack or preset")
        return command

    def add_speed(command: argparse.ArgumentParser) -> None:
        command.add_argument("--speed", metavar="N|max", help="pace of the emulated cloud, where this starts it")

    plan = add("plan", "show what apply would do; changes nothing", stack=True)
    plan.add_argument("--detailed-exitcode", action="store_true", help="exit with 3 when there is something to do")
    plan.add_argument("--departures", action="store_true", help="only what differs from the document; asks no cloud")
    apply = add("apply", "set up what SPEC says, or continue", stack=True)
    for command in (plan, apply):
        command.add_argument("--only", metavar="RESOURCE", help="one step alone, such as backend-policy")
    apply.add_argument(
        "--on-stockout", choices=ON_STOCKOUT, help="where a zone has no GPUs: offer others, take the next zone, or stop"
    )
    destroy = add("destroy", "take away what mcig made for a stack", stack=True)
    teardown.add_options(destroy)
    doctor = add("doctor", "check everything that can be known before anything is made", stack=True)
    doctor.add_argument("--request", metavar="CHECK", help="ask Google for the quota that a check found short")
    doctor.add_argument("--list", action="store_true", help="what is checked, and what for; asks no cloud")
    for command in (apply, doctor):
        command.add_argument(
            "--ignore", action="append", default=[], metavar="CHECK", help="a failed check that is no reason to stop"
        )
    status = add("status", "resources, drift and addresses of a stack", stack=True)
    prompt = add("prompt", "ask the model through the gateway", stack=True)
    prompt.add_argument("text", nargs="?", metavar="TEXT", help="the prompt; the document's own without one")
    prompt.add_argument("--model", metavar="NAME", help="model or adapter; the first adapter by default")
    prompt.add_argument("--address", metavar="REGION", help="only through the address of this region")
    prompt.add_argument("--count", type=_count, default=1, metavar="N", help="times each address is asked")
    prompt.add_argument("--max-tokens", type=_count, default=None, metavar="N", help="longest answer, in tokens")
    watch = add("monitor", "watch a stack's traffic", stack=True)
    monitor.add_options(watch)
    loading = add("load", "send requests from inside the VPC and see where they go", stack=True)
    load.add_options(loading)
    draining = add("drill", "drain a region under a light load, measure what that does, restore it", stack=True)
    drill.add_options(draining)
    for command in (plan, apply, doctor, destroy, status, prompt, watch, loading, draining):
        add_speed(command)
    exported = add("export", "write SPEC as scripts, Kubernetes manifests or Terraform", stack=True)
    exported.add_argument("--format", choices=FORMATS, required=True, help="what to write")
    exported.add_argument("--out", metavar="DIR", required=True, help="a new folder, or one of an earlier export")
    replay = add("replay", "show a run, or a recording of the monitor, once more")
    replay.add_argument(
        "file", metavar="FILE", help="a journal or a recording, or the name of a stack for its latest run"
    )
    replay.add_argument("--speed", metavar="N|max", help="times faster than it was recorded; long runs take a minute")
    support_bundle.add_options(add("support-bundle", "one redacted file for a bug report; changes nothing", stack=True))
    completion.add_options(add("completion", 'shell completion: eval "$(mcig completion bash)"'))
    presets = add("presets", "list, show and keep specifications").add_subparsers(
        dest="presets", metavar="list|show|save|path|schema", required=True
    )
    presets.add_parser("list", help="names and descriptions", parents=[shared])
    presets.add_parser("show", help="print one", parents=[shared]).add_argument("name", metavar="NAME")
    save = presets.add_parser("save", help="keep a file as a preset", parents=[shared])
    save.add_argument("name", metavar="NAME")
    save.add_argument("file", metavar="FILE", help="a YAML file, or - for standard input")
    presets.add_parser("path", help="print where your presets are", parents=[shared])
    presets.add_parser("schema", help="print the JSON Schema of a specification", parents=[shared])
    emulator = add("emulator", "start and look after the emulated cloud").add_subparsers(
        dest="emulator", metavar="start|stop|status|reset|env|fault|set", required=True
    )
    start = emulator.add_parser("start", help="run it until Ctrl-C, or in the background", parents=[shared])
    start.add_argument("--detach", action="store_true", help="return once it is healthy")
    start.add_argument("--speed", default="60", metavar="N|max", help="times faster than real time; 60 by default")
    start.add_argument("--port", type=_port, default=0, metavar="P", help="port on 127.0.0.1; a free one by default")
    emulator.add_parser("stop", help="end it; its world is kept", parents=[shared])
    emulator.add_parser("status", help="what it is and what was made in it", parents=[shared])
    emulator.add_parser("reset", help="empty its world", parents=[shared])
    emulator.add_parser("env", help="print exports that point gcloud and kubectl at it", parents=[shared])
    faults = emulator.add_parser("fault", help="make something go wrong in it", parents=[shared]).add_subparsers(
        dest="fault", metavar="add|list|clear", required=True
    )
    fault = faults.add_parser("add", help="begin to play one", parents=[shared])
    fault.add_argument("kind", metavar="KIND", help="such as stockout; a wrong one lists them all")
    fault.add_argument("parameters", nargs="*", metavar="k=v", help="step, region, zone, metric, limit, times, after")
    faults.add_parser("list", help="what is played", parents=[shared])
    faults.add_parser("clear", help="play none any more", parents=[shared])
    put = emulator.add_parser("set", help="set what is in its world; alone: what can be, and is, set", parents=[shared])
    put.add_argument("setting", nargs="*", metavar="PATH=VALUE", help="such as quota.us-east4.C2_CPUS=24, or =usual")
    return top


def _shared() -> _Parser:
    shared = _Parser(add_help=False)
    _add_shared(shared, settings="settings", default=argparse.SUPPRESS)
    return shared


def _add_shared(to: argparse.ArgumentParser, *, settings: str, default: Any) -> None:
    group = to.add_argument_group("everywhere")
    group.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="result as JSON on stdout, the rest on stderr"
    )
    group.add_argument(
        "--plain",
        action="store_true",
        default=argparse.SUPPRESS,
        help="lines of text and questions one by one, no full screen",
    )
    group.add_argument(
        "--set",
        dest=settings,
        action="append",
        default=default,
        metavar="PATH=VALUE",
        help="change a field of SPEC, such as clusters.gke-west.gpu_pool.nodes=2",
    )
    group.add_argument("--target", metavar="gke|emulator", default=argparse.SUPPRESS, help="where the stack lives")
    group.add_argument("--yes", "-y", action="store_true", default=argparse.SUPPRESS, help="do not ask")


class _Parser(argparse.ArgumentParser):
    """Tells wrong usage like every other failure."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, fix=f"{self.prog} -h")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            found = version("mcig")
        except PackageNotFoundError:
            found = "(not installed)"
        print(f"mcig {found}")
        parser.exit()


def _policy(options: argparse.Namespace) -> tuple[str, ...]:
    policy = getattr(options, "on_stockout", None)
    return () if policy is None else (f"on_stockout={policy}",)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


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


def _unexpected(error: Exception, environ: Mapping[str, str]) -> McigError:
    try:
        path = Places.of(environ).keep_crash("".join(traceback.format_exception(error)))
        fix = f"run it again; if it stays, report it with {path}"
    except OSError:
        fix = "run it again; if it stays, report it"
    return McigError(f"{type(error).__name__}: {error}", cause="a fault in mcig itself", fix=fix)
