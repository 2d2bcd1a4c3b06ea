"""support-bundle: what a bug report should hold, in one redacted file."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from backend.errors import SpecError, UsageError
from tui.invocation import Exit, Invocation

if TYPE_CHECKING:
    from backend.bundle import Bundle, Subject


CLOSING = (
    "mcig sent it to nobody. Look into it before you attach it to a report: names of stacks, clusters and models stay."
)


def add_options(command: argparse.ArgumentParser) -> None:
    """Add what only this command has."""
    command.add_argument("--out", metavar="FILE", help="the zip file; in this folder, named by stack and time, without")
    command.add_argument("--offline", action="store_true", help="ask no cloud: only what is on this machine")


def run(invocation: Invocation, options: argparse.Namespace) -> int:
    """Gather, redact and pack; changes nothing, starts nothing and sends nothing."""
    bundle = invocation.interrupts.run(_made(invocation, options.spec, options.out, offline=options.offline))
    console = invocation.console
    if invocation.json:
        console.result(
            {
                "file": str(bundle.path),
                "bytes": bundle.size,
                "contents": [asdict(one) for one in bundle.contents],
                "missing": [asdict(one) for one in bundle.missing],
                "redacted": dict(bundle.taken),
            }
        )
        return Exit.DONE
    style = console.style
    console.say(f"wrote {bundle.path}, {_bytes(bundle.size)}, readable by you alone", "", "In it:")
    for one in bundle.contents:
        console.say_all(style.wrap(f"{_bytes(one.size):>7}  {one.name}: {one.about}", indent=" " * 9))
    if bundle.missing:
        console.say("", "Not in it:")
        console.say_all(_not_in_it(bundle, invocation))
    taken = ", ".join(f"{kind} ({count})" for kind, count in bundle.taken.items())
    console.say("")
    console.say_all(style.wrap(f"Taken out: {taken or 'nothing had to be'}.", indent="  "))
    console.say_all(style.wrap(CLOSING))
    return Exit.DONE


async def _made(invocation: Invocation, reference: str | None, out: str | None, *, offline: bool) -> Bundle:
    from backend import bundle

    console = invocation.console
    about = _subject(invocation, reference)
    path = bundle.free_path(out, about.name)
    if about.trouble:
        console.warn("mcig: the specification cannot be used; the report holds it as it is, and why")
    project = None if about.spec is None else about.spec.project
    redact = bundle.redaction_for(invocation.environ, invocation.places, projects=[project])
    found = await bundle.gather(
        about,
        environ=invocation.environ,
        places=invocation.places,
        offline=offline,
        note=lambda line: console.say_all(console.style.wrap(f"note: {line}", indent="      ")),
    )
    return bundle.pack(found, path, redact)


def _subject(invocation: Invocation, reference: str | None) -> Subject:
    """What SPEC means; what has problems is reported as it is, and a home without stacks has none."""
    from backend import presets
    from backend.bundle import Subject

    try:
        source = (
            presets.last_stack(invocation.places) if reference is None else presets.find(reference, invocation.places)
        )
    except UsageError:
        if reference is not None:
            raise
        return Subject(None, None)
    try:
        return Subject(source, presets.load(source, invocation.overrides))
    except SpecError as error:
        return Subject(source, None, error.message)


def _not_in_it(bundle: Bundle, invocation: Invocation) -> list[str]:
    """What is missing, once for each reason."""
    reasons: dict[str, list[str]] = {}
    for one in bundle.missing:
        reasons.setdefault(one.why, []).append(one.name)
    wrap = invocation.console.style.wrap
    return [
        line for why, names in reasons.items() for line in wrap(f"{', '.join(names)}: {why}", first="  ", indent="    ")
    ]


def _bytes(count: int) -> str:
    return f"{count} B" if count < 1000 else f"{count / 1000:.0f} kB" if count < 1_000_000 else f"{count / 1e6:.1f} MB"
