"""mcig alone: the full-screen app, or the same questions line by line."""

from __future__ import annotations

import argparse
import shutil

from backend.errors import UsageError
from tui.invocation import Exit, Invocation

SMALLEST = (70, 20)
"""Columns and lines below which the questions are asked line by line."""


def run(invocation: Invocation, options: argparse.Namespace) -> int:
    """Open the app; where a full screen is not wanted or not to be had, ask line by line and apply."""
    console = invocation.console
    if not console.terminal or invocation.json:
        raise UsageError(
            "the following arguments are required: COMMAND",
            cause="without a terminal there is nobody to show the app to",
            fix="mcig -h; for a start: mcig apply rehearsal",
        )
    if plain(invocation, options):
        from tui.commands.lifecycle import apply

        return apply(invocation, argparse.Namespace(**{**_APPLY, **vars(options)}))
    return _app(invocation)


def plain(invocation: Invocation, options: argparse.Namespace) -> bool:
    """Whether a full screen is not wanted, or is not to be had."""
    if getattr(options, "plain", False) or invocation.environ.get("TERM", "dumb") in {"dumb", ""}:
        return True
    size = shutil.get_terminal_size()
    return not invocation.console.style.unicode or size.columns < SMALLEST[0] or size.lines < SMALLEST[1]


def _app(invocation: Invocation) -> int:
    from tui.app import McigApp
    from tui.session import Session

    session = Session(invocation.places, invocation.environ, settings=invocation.overrides)
    try:
        return invocation.interrupts.run(McigApp(session).shown()) or Exit.DONE
    finally:
        if session.unfinished:
            invocation.console.say(f"The run is not finished; `{session.unfinished}` goes on where it stopped.")
        elif (invocation.places.state / "draft.json").exists():
            invocation.console.say("Your answers are kept; `mcig` goes on with them.")


_APPLY: dict[str, object] = {"spec": None, "only": None, "on_stockout": None, "speed": None, "ignore": []}
"""What ``apply`` is asked for where nobody typed anything."""
