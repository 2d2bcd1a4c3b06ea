"""One run at a time for each stack.

The lock is a file that holds its owner: process id, start of that process, host, user and time. The operating system's
own file lock decides between processes of one host, so an owner that died holds nothing; the written owner decides
between hosts that share a home. Invariants: the lock is given back on every way out; it is never taken from a process
that is known to live, and from another host only when that is asked for.
"""

from __future__ import annotations

import errno
import fcntl
import getpass
import json
import os
import socket
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from backend.errors import LockHeld
from backend.places import MODE_FILE, private_folder

WAIT = "wait until it is done, or stop it and run the same command again"


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a lock."""

    pid: int
    started: str
    """Start of the process as the operating system tells it, so that a reused process id is no mistake."""
    host: str
    user: str
    since: str
    """When the lock was taken, ISO 8601 in UTC."""

    @classmethod
    def me(cls) -> Owner:
        """Describe the present process."""
        pid = os.getpid()
        try:
            user = getpass.getuser()
        except (KeyError, OSError):
            user = str(os.getuid())
        since = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(pid, process_start(pid) or "", socket.gethostname(), user, since)

    @property
    def here(self) -> bool:
        """Whether it is on this host."""
        return self.host == socket.gethostname()

    @property
    def alive(self) -> bool:
        """Whether the owner's process still runs; only meaningful on the owner's host."""
        return process_start(self.pid) == self.started

    def __str__(self) -> str:
        return f"{self.user}@{self.host}, process {self.pid}, since {self.since}"


class StackLock:
    """Holds one stack for one run; use as a context manager. Raises ``LockHeld`` when another run has it."""

    def __init__(self, path: Path, stack: str, *, take_over: bool = False) -> None:
        """``take_over`` takes it also from a run on another host, of which nobody here knows whether it lives."""
        self._path = path
        self._stack = stack
        self._take_over = take_over
        self._fd = -1
        self.taken_from: Owner | None = None
        """The owner that the lock was taken over from, dead or on another host; ``None`` in the usual case."""

    def __enter__(self) -> StackLock:
        private_folder(self._path.parent)
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT, MODE_FILE)
        try:
            self._take()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.ftruncate(self._fd, 0)
        self._close()

    def _take(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
                raise self._held(self._read()) from error
            if error.errno not in {errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS}:
                raise
        owner, me = self._read(), Owner.me()
        if owner is not None and owner.here and owner.alive:
            raise self._held(owner)
        if owner is not None and not owner.here and not self._take_over:
            raise self._held(
                owner,
                f"make sure on {owner.host} that it is over, then `mcig apply {self._stack} --take-over` or "
                f"`mcig destroy {self._stack} --take-over`",
                elsewhere=True,
            )
        self.taken_from = owner
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, json.dumps(asdict(me)).encode(), 0)
        os.fsync(self._fd)

    def _read(self) -> Owner | None:
        try:
            return Owner(**json.loads(os.pread(self._fd, 4096, 0)))
        except (ValueError, TypeError):
            return None

    def _held(self, owner: Owner | None, fix: str = WAIT, *, elsewhere: bool = False) -> LockHeld:
        return LockHeld(
            f"another run works on the stack {self._stack}: {owner or 'its owner is not known yet'}",
            cause="one run a stack: two at once would undo each other's work",
            fix=fix,
            elsewhere=elsewhere,
        )

    def _close(self) -> None:
        os.close(self._fd)
        self._fd = -1


def process_start(pid: int) -> str | None:
    """When a process of this host began, in the operating system's own terms; ``None`` when it does not run."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return None if fields[0] in {"Z", "X"} else fields[19]
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/stat").exists():
            return None
    listed = subprocess.run(  # noqa: S603 - constant program, integer argument
        ["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listed.stdout.strip() or None
