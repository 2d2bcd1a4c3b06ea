"""Where a command's words go.

Invariants: with ``--json`` the standard output carries the result and nothing else, and everything for people goes to
the standard error; a reader that went away (``| head``) silences the output and never stops a run.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

from tui.style import Style, style_of


@dataclass
class Console:
    """The streams of one command."""

    environ: Mapping[str, str]
    json: bool = False
    """Whether the result is wanted as JSON."""
    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)
    stdin: TextIO = field(default_factory=lambda: sys.stdin)

    def __post_init__(self) -> None:
        columns = shutil.get_terminal_size((80, 24)).columns
        self.style: Style = style_of(self.people, self.environ, columns=columns)
        """What the stream for people can show."""

    @property
    def people(self) -> TextIO:
        """The stream for people."""
        return self.err if self.json else self.out

    @property
    def terminal(self) -> bool:
        """Whether somebody is there to be asked."""
        return self.stdin.isatty() and self.people.isatty()

    def say(self, *lines: str) -> None:
        """Tell people."""
        self._write(self.people, "".join(f"{line}\n" for line in lines))

    def say_all(self, lines: Iterable[str]) -> None:
        """Tell people several lines."""
        self.say(*lines)

    def stream(self, text: str) -> None:
        """Tell people a piece of text that goes on."""
        self._write(self.people, text)

    def warn(self, *lines: str) -> None:
        """Tell people of something wrong, on the standard error."""
        self._write(self.err, "".join(f"{line}\n" for line in lines))

    def result(self, value: Any) -> None:
        """Give the result as one JSON document."""
        import json

        self._write(self.out, json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")

    def line(self, value: Mapping[str, Any]) -> None:
        """Give one line of a result that comes as JSON lines."""
        import json

        self._write(self.out, json.dumps(value, ensure_ascii=False, default=str) + "\n")

    def ask(self, question: str) -> bool:
        """Ask people for a yes; anything else, and the end of the input, is a no."""
        self.stream(f"{question} [y/N] ")
        answer = self.stdin.readline()
        if not answer.endswith("\n"):
            self.say("")
        return answer.strip().lower() in {"y", "yes"}

    def answer(self, question: str) -> str:
        """Ask people for a line of text; empty at the end of the input."""
        self.stream(f"{question} ")
        line = self.stdin.readline()
        if not line.endswith("\n"):
            self.say("")
        return line.strip()

    def _write(self, stream: TextIO, text: str) -> None:
        try:
            stream.write(text)
            stream.flush()
        except BrokenPipeError:
            silence(stream)


def silence(stream: TextIO) -> None:
    """Send what is still written to a stream nowhere, so that its closing does not fail either."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
