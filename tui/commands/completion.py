"""completion: what a shell reads to complete mcig's commands at the tab key."""

from __future__ import annotations

import argparse
from pathlib import PurePath

from backend.errors import UsageError
from tui.completion import SHELLS, script
from tui.invocation import Exit, Invocation


def add_options(command: argparse.ArgumentParser) -> None:
    """Add what only this command has."""
    command.add_argument("shell", nargs="?", choices=SHELLS, help="the shell; that of $SHELL without")


def run(invocation: Invocation, options: argparse.Namespace) -> int:
    """Print the shell's script; ``eval "$(mcig completion bash)"`` reads it."""
    shell = options.shell or PurePath(invocation.environ.get("SHELL", "")).name
    if shell not in SHELLS:
        raise UsageError(
            f"there is no completion for {shell or 'a shell that nobody named'}",
            cause=f"there is one for {', '.join(SHELLS)}",
            fix='name the shell, for example: eval "$(mcig completion bash)"',
        )
    if invocation.json:
        invocation.console.result({"shell": shell, "script": script(shell)})
    else:
        invocation.console.say_all(script(shell).splitlines())
    return Exit.DONE
