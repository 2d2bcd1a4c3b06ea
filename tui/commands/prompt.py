"""prompt: ask the model through the gateway and see who answered."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING

from backend.errors import UsageError
from backend.presets import NoSuchName, last_stack
from tui.console import Console
from tui.invocation import Exit, Invocation, speed
from tui.plain import served
from tui.refusals import meaning

if TYPE_CHECKING:
    from backend.address import Address
    from backend.clients.answers import Answer
    from backend.spec import GatewaySpec

DEFAULT_TEXT = "What is the best pizza in the world?"


def run(invocation: Invocation, options: argparse.Namespace) -> int:
    """Ask through every address, or through one, and print the answers."""
    spec, text = _what_to_ask(invocation, options)
    answers = invocation.interrupts.run(_ask(invocation, options, spec, text))
    if invocation.json:
        invocation.console.result([answer.to_json() for answer in answers])
    return Exit.DONE if all(answer.ok for answer in answers) else Exit.FAILED


def _what_to_ask(invocation: Invocation, options: argparse.Namespace) -> tuple[GatewaySpec, str]:
    """Tell SPEC and TEXT apart: one alone is a prompt when it has more than one word, else a SPEC."""
    first, text = options.spec, options.text
    if text is None and first is not None and len(first.split()) > 1:
        first, text = None, first
    if text is not None and not text.strip():
        raise UsageError("the prompt is empty", fix=f'for example mcig prompt "{DEFAULT_TEXT}"')
    try:
        return invocation.spec(first), text if text is not None else DEFAULT_TEXT
    except NoSuchName as error:
        if first is None or text is not None:
            raise
        raise UsageError(error.message, cause=error.cause, fix=f"{error.fix}{_to_ask(invocation, first)}") from error


def _to_ask(invocation: Invocation, word: str) -> str:
    """How one word is asked of the last stack; nothing where there is none."""
    try:
        last = last_stack(invocation.places).name
    except UsageError:
        return ""
    return f"; to ask the stack {last}: {shlex.join(['mcig', 'prompt', last, word])}"


async def _ask(invocation: Invocation, options: argparse.Namespace, spec: GatewaySpec, text: str) -> list[Answer]:
    from backend.stack import open_stack

    pace = None if options.speed is None else speed(options.speed)
    console = invocation.console
    async with open_stack(spec, environ=invocation.environ, places=invocation.places, speed=pace) as stack:
        for note in stack.connection.notes:
            console.say(f"note: {note}")
        return await stack.prompt(
            text,
            model=options.model,
            region=options.address,
            count=options.count,
            max_tokens=options.max_tokens,
            listener=None if invocation.json else _Printer(console),
        )


class _Printer:
    """Prints each answer as it comes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def begins(self, address: Address) -> None:
        """Head the answer with the address it comes through."""
        self._console.say(self._console.style.paint("heading", f"{address.region} ({address.address})"))

    def token(self, text: str) -> None:
        """Print a piece of it."""
        self._console.stream(text)

    def ends(self, answer: Answer) -> None:
        """Close it with who served it and how fast."""
        style = self._console.style
        sign = "succeeded" if answer.ok else "failed"
        if answer.text:
            self._console.say("")
        if answer.error:
            self._console.say_all(style.wrap(f"error: {answer.error}", first="  ", indent="  "))
        lines = style.wrap(f"{style.glyph(sign)} {served(answer.to_json())}", first="  ", indent="    ")
        if not answer.ok:
            why = meaning(answer)
            lines += style.wrap(f"cause: {why.cause}", indent="    ", first="    ")
            lines += style.wrap(f"fix: {why.fix}", indent="    ", first="    ")
        self._console.say(*(style.paint(sign, line) for line in lines), "")
