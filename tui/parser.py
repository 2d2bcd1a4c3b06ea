"""Everything that can be typed after ``mcig``.

Invariant: an option that changes SPEC is taken only where there is one, so that none is dropped in silence.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from typing import TYPE_CHECKING, Any, NoReturn

from backend.errors import UsageError
from tui import typed
from tui.commands import completion, drill, load, monitor, support_bundle, teardown

if TYPE_CHECKING:
    _Group = argparse._ArgumentGroup  # noqa: SLF001 - argparse has no public name for it

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


def parser() -> argparse.ArgumentParser:
    """Everything that can be typed."""
    shared, bare = _shared(spec=True), _shared(spec=False)
    top = _Parser(
        prog="mcig",
        description="Set up, rehearse and tear down a GKE multi-cluster Inference Gateway. Without a command: the app.",
        epilog=EPILOG,
        formatter_class=_TopHelp,
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the version")
    everywhere = top.add_argument_group("everywhere")
    _add_modes(everywhere)
    _add_changes(everywhere, settings="settings_before", default=[])
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=False)

    def add(name: str, text: str, *, stack: bool = False) -> argparse.ArgumentParser:
        options = shared if stack else bare
        command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text, parents=[options])
        if stack:
            command.add_argument("spec", nargs="?", metavar="SPEC", help="file, stack or preset")
        return command

    def add_speed(command: argparse.ArgumentParser) -> None:
        command.add_argument("--speed", metavar="N|max", help="pace of the emulated cloud, where this starts it")

    plan = add("plan", "show what apply would do; changes nothing", stack=True)
    plan.add_argument("--detailed-exitcode", action="store_true", help="exit with 3 when there is something to do")
    plan.add_argument("--departures", action="store_true", help="only what differs from Google's guide; asks no cloud")
    apply = add("apply", "set up what SPEC says, or continue", stack=True)
    for command in (plan, apply):
        command.add_argument("--only", metavar="RESOURCE", help="one step alone, such as backend-policy")
    apply.add_argument(
        "--on-stockout", choices=ON_STOCKOUT, help="where a zone has no GPUs: offer others, take the next zone, or stop"
    )
    destroy = add("destroy", "take away what mcig made for a stack", stack=True)
    for command in (apply, destroy):
        command.add_argument("--take-over", action="store_true", help="take the stack over from a run on another host")
    teardown.add_options(destroy)
    doctor = add("doctor", "check everything that can be known before anything is made", stack=True)
    doctor.add_argument("--request", metavar="CHECK", help="ask Google for the quota that a check found short")
    doctor.add_argument("--email", metavar="ADDRESS", help="with --request: whom Google may ask; else your account")
    doctor.add_argument("--list", action="store_true", help="what is checked, and what for; asks no cloud")
    for command in (apply, doctor):
        command.add_argument(
            "--ignore", action="append", default=[], metavar="CHECK", help="a failed check that is no reason to stop"
        )
    status = add("status", "resources, drift and addresses of a stack", stack=True)
    prompt = add("prompt", "ask the model through the gateway", stack=True)
    prompt.add_argument(
        "text",
        nargs="?",
        metavar="TEXT",
        help="the prompt, else that of Google's guide; alone it needs two words or more, and asks the last stack",
    )
    prompt.add_argument("--model", metavar="NAME", help="model or adapter; the first adapter by default")
    prompt.add_argument("--address", metavar="REGION", help="only through the address of this region")
    prompt.add_argument("--count", type=typed.count, default=1, metavar="N", help="times each address is asked")
    prompt.add_argument("--max-tokens", type=typed.count, default=None, metavar="N", help="longest answer, in tokens")
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
    presets.add_parser("list", help="names and descriptions", parents=[bare])
    presets.add_parser("show", help="print one", parents=[shared]).add_argument("name", metavar="NAME")
    save = presets.add_parser("save", help="keep a file as a preset", parents=[bare])
    save.add_argument("name", metavar="NAME")
    save.add_argument("file", metavar="FILE", help="a YAML file, or - for standard input")
    presets.add_parser("path", help="print where your presets are", parents=[bare])
    presets.add_parser("schema", help="print the JSON Schema of a specification", parents=[bare])
    emulator = add("emulator", "start and look after the emulated cloud").add_subparsers(
        dest="emulator", metavar="start|stop|status|reset|env|fault|set", required=True
    )
    start = emulator.add_parser("start", help="run it until Ctrl-C, or in the background", parents=[bare])
    start.add_argument("--detach", action="store_true", help="return once it is healthy")
    start.add_argument("--speed", default="60", metavar="N|max", help="times faster than real time; 60 by default")
    start.add_argument("--port", type=typed.port, default=0, metavar="P", help="port on 127.0.0.1; else a free one")
    emulator.add_parser("stop", help="end it; its world is kept", parents=[bare])
    emulator.add_parser("status", help="what it is and what was made in it", parents=[bare])
    emulator.add_parser("reset", help="empty its world", parents=[bare])
    emulator.add_parser("env", help="print exports that point gcloud and kubectl at it", parents=[bare])
    faults = emulator.add_parser("fault", help="make something go wrong in it", parents=[bare]).add_subparsers(
        dest="fault", metavar="add|list|clear", required=True
    )
    fault = faults.add_parser("add", help="begin to play one", parents=[bare])
    fault.add_argument("kind", metavar="KIND", help="such as stockout; a wrong one lists them all")
    fault.add_argument("parameters", nargs="*", metavar="k=v", help="step, region, zone, metric, limit, times, after")
    faults.add_parser("list", help="what is played", parents=[bare])
    faults.add_parser("clear", help="play none any more", parents=[bare])
    put = emulator.add_parser("set", help="set what is in its world; alone: what can be, and is, set", parents=[bare])
    put.add_argument("setting", nargs="*", metavar="PATH=VALUE", help="such as quota.us-east4.C2_CPUS=24, or =usual")
    return top


def _shared(*, spec: bool) -> _Parser:
    """The options that commands share; those that change SPEC only where there is one."""
    shared = _Parser(add_help=False)
    group = shared.add_argument_group("everywhere")
    _add_modes(group)
    if spec:
        _add_changes(group, settings="settings", default=argparse.SUPPRESS)
    return shared


def _add_modes(group: _Group) -> None:
    group.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="result as JSON on stdout, the rest on stderr"
    )
    group.add_argument(
        "--plain",
        action="store_true",
        default=argparse.SUPPRESS,
        help="lines of text and questions one by one, no full screen",
    )
    group.add_argument("--yes", "-y", action="store_true", default=argparse.SUPPRESS, help="do not ask")


def _add_changes(group: _Group, *, settings: str, default: Any) -> None:
    group.add_argument(
        "--set",
        dest=settings,
        action="append",
        default=default,
        metavar="PATH=VALUE",
        help="change a field of SPEC, such as clusters.gke-west.gpu_pool.nodes=2",
    )
    group.add_argument(
        "--target",
        choices=("gke", "emulator"),
        metavar="gke|emulator",
        default=argparse.SUPPRESS,
        help="where the stack lives",
    )


class _Help(argparse.HelpFormatter):
    """Never breaks a name at its hyphens."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(text, width, break_on_hyphens=False)


class _TopHelp(_Help, argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the exit codes."""


class _Parser(argparse.ArgumentParser):
    """Tells wrong usage like every other failure."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": _Help, **options})

    def error(self, message: str) -> NoReturn:
        raise UsageError(typed.plainly(message), fix=f"{self.prog} -h")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            found = version("mcig")
        except PackageNotFoundError:
            found = "(not installed)"
        sys.stdout.write(f"mcig {found}\n")
        parser.exit()
