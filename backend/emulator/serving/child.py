"""A supervised child process of the emulator.

Invariant: a child ends when its stdin closes (by itself, or because leash.py holds it), so none outlives the emulator,
however that ends; its environment holds nothing of the emulator's but what running Python needs.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_LINE_LIMIT = 2**24
_ROOT = Path(__file__).resolve().parents[3]
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "SYSTEMROOT")


def python_env() -> dict[str, str]:
    """Environment in which a child Python finds this package; no secret of the user's is passed on."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "PYTHONPATH": str(_ROOT), "PYTHONUNBUFFERED": "1"}


def leashed(command: Sequence[str | Path]) -> list[str]:
    """The command line that runs `command` so that it ends when stdin closes."""
    leash = Path(__file__).with_name("leash.py")
    return [sys.executable, "-I", "-S", str(leash), *map(str, command)]


class Child:
    """One running process; stdout and stderr arrive line by line."""

    def __init__(self, process: asyncio.subprocess.Process, on_line: Callable[[str], None] | None) -> None:
        self._process = process
        self._on_line = on_line
        self._done = asyncio.create_task(self._run())

    @classmethod
    async def start(
        cls,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str],
        cwd: Path | None = None,
        on_line: Callable[[str], None] | None = None,
        with_stderr: bool = True,
    ) -> "Child":
        """Start the command in a session of its own; without `on_line` its output is discarded."""
        output = asyncio.subprocess.PIPE if on_line is not None else asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *map(str, command),
            stdin=asyncio.subprocess.PIPE,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT if with_stderr else None,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
            limit=_LINE_LIMIT,
        )
        return cls(process, on_line)

    @property
    def pid(self) -> int:
        """Process id of the child, or of the leash that holds it."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Exit code, 128 + N for signal N; None while it runs."""
        code = self._process.returncode
        return code if code is None or code >= 0 else 128 - code

    async def _run(self) -> int:
        if self._process.stdout is not None and self._on_line is not None:
            while True:
                try:
                    line = await self._process.stdout.readline()
                except ValueError:
                    continue
                if not line:
                    break
                self._on_line(line.decode(errors="replace").rstrip("\n"))
        return await self._process.wait()

    async def wait(self) -> int:
        """Wait for the end and return the exit code; all output has been delivered by then."""
        code = await asyncio.shield(self._done)
        return code if code >= 0 else 128 - code

    def write(self, line: bytes) -> None:
        """Write to the child's stdin; ignored when it has ended."""
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(line)

    async def stop(self, grace_s: float = 4.0) -> int:
        """Close stdin, wait, kill after `grace_s` seconds with all that it started; return the exit code."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            return await asyncio.wait_for(self.wait(), grace_s)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            return await self.wait()
