"""The warm process of a test run: started by whoever needs it first, shared by all workers, ended with the last one."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from backend.emulator import processes
from tests.warm.program import ask, connected
from tests.warm.server import HOLD

TIMEOUT_S = 90
_END_S = 20
ROOT = Path(__file__).parents[2]
PYTHON = sys.executable
"""The real one."""
_STAND_IN = """#!{python} -ISE
import sys
sys.path.insert(0, {folder!r})
from program import main
main({door!r}, {python!r})
"""


class Warm:
    """A way to a process that has everything loaded and becomes one program after another; see ``server.py``.

    ``folder`` is one that all workers of a test run have in common.
    """

    def __init__(self, folder: Path) -> None:
        self.python = folder / "python"
        """What stands for Python: programs that it is asked to run are forked."""
        self._door = str(folder / "door")
        with (folder / "warm.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                self._held = self._hold()
            except OSError:
                self._start()
                self._held = self._hold()

    def _hold(self) -> socket.socket:
        connection = connected(self._door)
        connection.sendall(json.dumps({"program": HOLD}).encode() + b"\n")
        return connection

    def _start(self) -> None:
        Path(self._door).unlink(missing_ok=True)
        names = {"python": PYTHON, "folder": str(Path(__file__).parent), "door": self._door}
        self.python.write_text(_STAND_IN.format(**names))
        self.python.chmod(0o700)
        command = [PYTHON, "-m", "tests.warm.server", self._door]
        subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=True, timeout=TIMEOUT_S)

    def run(self, arguments: Sequence[str], environ: Mapping[str, str]) -> tuple[int, str, str]:
        """Run a command of ``mcig`` to its end, which must come within ``TIMEOUT_S``; its exit code and streams."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, Path(os.devnull).open("rb") as nothing:
            streams = [nothing.fileno(), out.fileno(), err.fileno()]
            with ask(self._door, str(self.python), "tui", arguments, environ, streams) as connection:
                connection.settimeout(TIMEOUT_S)
                with connection.makefile() as lines:
                    _process, code = lines.readline(), lines.readline()
            assert code, f"no process for mcig {' '.join(arguments)}"
            for stream in (out, err):
                stream.seek(0)
            return int(code), out.read().decode(), err.read().decode()

    @contextmanager
    def standing_in(self) -> Iterator[None]:
        """Fork the emulated clouds that are started meanwhile, and their Pods."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "executable", str(self.python))
            yield

    @contextmanager
    def forking(self) -> Iterator[None]:
        """Do so for as long as they live: by its end they have to be stopped."""
        others = frozenset(processes._children)
        with self.standing_in():
            yield
        await_end(others)

    def close(self) -> None:
        """Need it no more."""
        self._held.close()


def await_end(others: Collection[int] = ()) -> None:
    """Wait for the emulated clouds that this process has started and that were stopped, ``others`` left out."""
    for process in [process for number, process in processes._children.items() if number not in others]:
        process.wait(_END_S)
    processes.collect()
