"""Commands inside a running container: what ``kubectl exec`` starts.

There is no container, so a command is a process of this machine that is shown the container's side of things: its
environment, its mounted files, its network, and of this machine's programs only those that its image has. Invariants:
the command ends when whoever asked for it leaves, and with the emulator; a port of the Pod's that curl asks for is the
Pod's and never this machine's.
"""

import asyncio
import contextlib
import fcntl
import os
import pty
import shlex
import shutil
import struct
import sys
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.emulator.serving.child import leashed
from backend.emulator.serving.volumes import local_path

_BASE = (
    "cat", "date", "echo", "env", "false", "grep", "head", "hostname", "id", "ls", "printenv", "pwd", "sh", "sleep",
    "tail", "test", "true", "wc",
)  # fmt: skip
_MORE: Mapping[str, tuple[str, ...]] = {
    "python": ("python", "python3"),
    "vllm-openai": ("bash", "curl", "python3"),
    "curl": ("curl",),
}
"""By the last part of an image's name: what it has beyond what every image with a shell has."""
_PIECE = 65536


class NoSuchProgram(LookupError):
    """The image has no program of this name."""


@dataclass(frozen=True, slots=True)
class Inside:
    """A running container, as a command in it sees it; paths in ``env`` are this machine's already."""

    image: str
    env: Mapping[str, str]
    folder: Path
    mounts: Mapping[str, str]
    """Path in the container to path below ``folder``."""
    ports: Mapping[int, int]
    """Container port to the loopback port behind it."""

    def local(self, text: str) -> str:
        """Replace a mounted path by the file's place on this machine; other text is returned as it is."""
        return local_path(text, self.mounts, self.folder)


class Command:
    """A command that runs in a container; its output is read to the end before its exit code."""

    def __init__(self, process: asyncio.subprocess.Process, leash: int, terminal: "_Terminal | None") -> None:
        self._process = process
        self._leash: int | None = leash
        self._terminal = terminal

    @classmethod
    async def start(cls, inside: Inside, words: Sequence[str], *, tty: bool) -> "Command":
        """Start a command; raises NoSuchProgram, and OSError when no process can be started."""
        programs = await asyncio.to_thread(_furnish, inside)
        program = _program(inside, programs, words[0])
        command = [program, *(inside.local(word) for word in words[1:])]
        env = {**inside.env, "PATH": str(programs), "HOME": str(programs), "HOSTNAME": inside.env.get("HOSTNAME", "")}
        env.setdefault("TERM", "xterm")
        held, leash = os.pipe()
        terminal = _Terminal() if tty else None
        streams = asyncio.subprocess.PIPE if terminal is None else terminal.inner
        start, fd = leashed(["--fd", str(held), *command]), held
        try:
            process = await asyncio.create_subprocess_exec(
                *start,
                stdin=streams,
                stdout=streams,
                stderr=streams,
                env=env,
                cwd=inside.folder,
                start_new_session=True,
                pass_fds=(fd,),
            )
        except BaseException:
            os.close(leash)
            raise
        finally:
            os.close(held)
            if terminal is not None:
                terminal.handed_over()
        if terminal is not None:
            await terminal.open()
        return cls(process, leash, terminal)

    async def read(self, *, errors: bool = False) -> bytes:
        """Give the next piece of the output, or of the error output, which a terminal has not; empty at the end."""
        if self._terminal is not None:
            return b"" if errors else await self._terminal.read()
        stream = self._process.stderr if errors else self._process.stdout
        return await stream.read(_PIECE) if stream is not None else b""

    def write(self, data: bytes) -> None:
        """Send input; ignored when the command takes none any more."""
        if self._terminal is not None:
            self._terminal.write(data)
        elif self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(data)

    def end_input(self) -> None:
        """Tell the command that no more input comes."""
        if self._terminal is None and self._process.stdin is not None:
            self._process.stdin.close()

    def resize(self, columns: int, rows: int) -> None:
        """Tell the terminal's size; ignored without a terminal."""
        if self._terminal is not None:
            self._terminal.resize(columns, rows)

    async def wait(self) -> int:
        """Wait for the end and return the exit code, 128 + N for signal N."""
        code = await self._process.wait()
        return code if code >= 0 else 128 - code

    async def close(self) -> None:
        """End the command if it still runs, and wait until it is gone."""
        leash, self._leash = self._leash, None
        if leash is not None:
            os.close(leash)
        self.end_input()
        if self._terminal is not None:
            self._terminal.close()
        await self._process.wait()


class _Terminal:
    """A pseudo-terminal; ``inner`` is the command's end of it."""

    def __init__(self) -> None:
        self._outer, self.inner = pty.openpty()
        self._reader = asyncio.StreamReader()
        self._transport: asyncio.ReadTransport | None = None

    def handed_over(self) -> None:
        os.close(self.inner)

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        stream = os.fdopen(os.dup(self._outer), "rb", buffering=0)
        self._transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(self._reader), stream)

    async def read(self) -> bytes:
        try:
            return await self._reader.read(_PIECE)
        except OSError:
            return b""

    def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            os.write(self._outer, data)

    def resize(self, columns: int, rows: int) -> None:
        with contextlib.suppress(OSError, struct.error):
            fcntl.ioctl(self._outer, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
        os.close(self._outer)


def _furnish(inside: Inside) -> Path:
    """Make the folder that holds the container's programs and curl's way to its ports; returns it."""
    folder = inside.folder / ".bin"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in _programs(inside.image):
        path = folder / name
        if not path.exists() and (found := _on_this_machine(name)) is not None:
            path.write_text(f'#!/bin/sh\nexec {shlex.quote(found)} "$@"\n', encoding="utf-8")
            path.chmod(0o700)
    ways = [
        f'connect-to = "{host}:{port}:127.0.0.1:{real}"'
        for host in ("localhost", "127.0.0.1")
        for port, real in inside.ports.items()
    ]
    closed = [f'connect-to = "{host}::127.0.0.1:1"' for host in ("localhost", "127.0.0.1")]
    (folder / ".curlrc").write_text("\n".join(['noproxy = "localhost,127.0.0.1"', *ways, *closed, ""]), "utf-8")
    return folder


def _programs(image: str) -> tuple[str, ...]:
    name = image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    return _BASE + _MORE.get(name, ())


def _on_this_machine(name: str) -> str | None:
    return sys.executable if name.startswith("python") else shutil.which(name)


def _program(inside: Inside, programs: Path, word: str) -> str:
    """The program that a word names, bare or with the path that it has in the container."""
    name = word.rpartition("/")[2]
    path = programs / name
    if name not in _programs(inside.image) or not path.exists():
        raise NoSuchProgram(word)
    return str(path)
