"""A person's terminal with a home of its own: runs the installed command and reads what it prints."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.warm.client import PYTHON, TIMEOUT_S, Warm

PASTE_ON, PASTE_OFF = b"\x1b[?2004h", b"\x1b[?2004l"
"""What a question writes when it begins to wait for keys, and when it is answered."""


@dataclass(frozen=True)
class Printed:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON objects on standard output, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


class Typing:
    """A command in a terminal of its own, with somebody who reads and types."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], *, columns: int, lines: int) -> None:
        self.raw = b""
        """All that was written to the terminal so far."""
        self._read = 0
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.execve(command[0], list(command), dict(environ))  # noqa: S606 - the command under test
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    @property
    def text(self) -> str:
        """What was written, without the sequences that move and colour."""
        return re.sub(r"\x1b(\[[0-9;?<>=]*[a-zA-Z]|[()][A-Z0-9]|[=>78])", "", self.raw.decode(errors="replace"))

    def until(self, words: str) -> None:
        """Read until words stand on the terminal that were not there when ``until`` was last done."""
        late = time.monotonic() + TIMEOUT_S
        while words not in self.text[self._read :]:
            assert time.monotonic() < late, self.text
            assert self._more(), f"ended without {words!r}:\n{self.text}"
        self._read = self.text.index(words, self._read) + len(words)

    def accept_until(self, words: str) -> None:
        """Press enter at every question until words come."""
        late = time.monotonic() + TIMEOUT_S
        while words not in self.text[self._read :]:
            assert time.monotonic() < late, self.text
            ready, _, _ = select.select([self._terminal], [], [], 0.03)
            if ready:
                assert self._more(), f"ended without {words!r}:\n{self.text}"
            elif self.raw.rfind(PASTE_ON) > self.raw.rfind(PASTE_OFF):
                self.type("\r")
        self._read = self.text.index(words, self._read) + len(words)

    def type(self, keys: str) -> None:
        """Type at it."""
        os.write(self._terminal, keys.encode())

    def end(self) -> int:
        """Read to the end; gives the exit code."""
        late = time.monotonic() + TIMEOUT_S
        while self._more():
            assert time.monotonic() < late, self.text
        _, status = os.waitpid(self._pid, 0)
        os.close(self._terminal)
        return os.waitstatus_to_exitcode(status)

    def _more(self) -> bool:
        ready, _, _ = select.select([self._terminal], [], [], 1)
        if not ready:
            return True
        try:
            found = os.read(self._terminal, 65536)
        except OSError:
            return False
        self.raw += found
        return bool(found)


class Terminal:
    """Runs ``mcig`` in a home folder of its own, without any Google account, token or proxy of the machine's user.

    Each command is a process of its own: a fork of ``warm`` where there is one, else a new one from the start; so
    are the processes that it starts.
    """

    def __init__(self, home: Path, warm: Warm | None = None) -> None:
        self.home = home
        self._warm = warm
        self._python = str(warm.python) if warm else PYTHON
        kept = {key: value for key, value in os.environ.items() if key in {"PATH", "LANG", "SYSTEMROOT", "TMPDIR"}}
        self.environ = {
            **kept,
            "HOME": str(home),
            "MCIG_HOME": str(home / "mcig"),
            "PYTHONUNBUFFERED": "1",
            "HTTP_PROXY": "http://127.0.0.1:9",
            "HTTPS_PROXY": "http://127.0.0.1:9",
        }

    def mcig(self, *arguments: str, code: int | None = 0) -> Printed:
        """Run to the end; fails unless it ends with ``code`` (``None``: any)."""
        printed = self._new(arguments) if self._warm is None else Printed(*self._warm.run(arguments, self.environ))
        assert "Traceback" not in printed.out + printed.err, printed.err
        assert code is None or printed.code == code, f"exit {printed.code}\n{printed.out}\n{printed.err}"
        return printed

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start and return at once; standard output is to be read by the caller."""
        return subprocess.Popen(
            self._command(arguments),
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def typing(
        self, *arguments: str, columns: int = 100, lines: int = 30, term: str = "xterm-256color", **environ: str
    ) -> Typing:
        """Start in a terminal of that size, in which somebody types."""
        wanted = {**self.environ, "TERM": term, "LANG": "C.UTF-8", **environ}
        return Typing(self._command(arguments), wanted, columns=columns, lines=lines)

    def close(self) -> None:
        """End the background emulator, whatever state it is in."""
        self.mcig("emulator", "stop", code=None)

    def _new(self, arguments: tuple[str, ...]) -> Printed:
        run = subprocess.run(
            self._command(arguments),
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Printed(run.returncode, run.stdout, run.stderr)

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        return [self._python, "-m", "tui", *arguments]


def events_until(run: subprocess.Popen[str], resource: str, kind: str) -> Iterator[dict[str, Any]]:
    """Read a run's JSON events up to and including the first of that kind for that resource; fails without it."""
    assert run.stdout is not None and run.stderr is not None
    for line in run.stdout:
        event = json.loads(line)
        yield event
        if event["type"] == kind and event.get("resource") == resource:
            return
    raise AssertionError(f"it ended before {kind} of {resource}:\n{run.stderr.read()}")


def kill(run: subprocess.Popen[str], how: signal.Signals = signal.SIGKILL) -> Printed:
    """Send a signal and collect what is left of its output."""
    run.send_signal(how)
    out, err = run.communicate(timeout=TIMEOUT_S)
    return Printed(run.returncode, out, err)
