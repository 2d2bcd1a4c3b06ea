"""A person's terminal with a home of its own: runs the installed command and reads what it prints."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

TIMEOUT_S = 90
ROOT = Path(__file__).parents[2]


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


class Warm:
    """A process that becomes one command after another, with the cloud packages loaded already; see ``warm.py``."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            number = theirs.fileno()
            command = [sys.executable, "-m", "tests.journeys.warm", str(number)]
            self._process = subprocess.Popen(command, pass_fds=[number], cwd=ROOT, stdin=subprocess.DEVNULL)
        self._ours.settimeout(TIMEOUT_S)

    def run(self, arguments: Sequence[str], environ: Mapping[str, str]) -> Printed:
        """Run a command to its end, which must come within ``TIMEOUT_S``."""
        request = json.dumps({"arguments": list(arguments), "environ": dict(environ)}).encode()
        with TemporaryFile() as out, TemporaryFile() as err, Path(os.devnull).open("rb") as nothing:
            streams = [nothing.fileno(), out.fileno(), err.fileno()]
            socket.send_fds(self._ours, [request], streams)
            code = self._ours.recv(64)
            assert code, f"no process for mcig {' '.join(arguments)}"
            for stream in (out, err):
                stream.seek(0)
            return Printed(int(code), out.read().decode(), err.read().decode())

    def close(self) -> None:
        """End the process."""
        self._ours.close()
        self._process.kill()
        self._process.wait(TIMEOUT_S)


class Terminal:
    """Runs ``mcig`` in a home folder of its own, without any Google account, token or proxy of the machine's user.

    Each command is a process of its own: a fork of ``warm`` where there is one, else a new one from the start.
    """

    def __init__(self, home: Path, warm: Warm | None = None) -> None:
        self.home = home
        self._warm = warm
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
        printed = self._new(arguments) if self._warm is None else self._warm.run(arguments, self.environ)
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

    @staticmethod
    def _command(arguments: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "tui", *arguments]


def events_until(run: subprocess.Popen[str], resource: str, kind: str) -> Iterator[dict[str, Any]]:
    """Read a run's JSON events up to and including the first of that kind for that resource."""
    assert run.stdout is not None
    for line in run.stdout:
        event = json.loads(line)
        yield event
        if event["type"] == kind and event.get("resource") == resource:
            return


def kill(run: subprocess.Popen[str], how: signal.Signals = signal.SIGKILL) -> Printed:
    """Send a signal and collect what is left of its output."""
    run.send_signal(how)
    out, err = run.communicate(timeout=TIMEOUT_S)
    return Printed(run.returncode, out, err)
