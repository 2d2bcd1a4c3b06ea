"""Processes: telling them from later ones of the same id, collecting one's own, ending groups, room for connections.

Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
from pathlib import Path

MOST_DESCRIPTORS = 65_536
"""Open files and connections that are enough for a process; some systems allow a billion, which costs memory."""

_children: dict[int, subprocess.Popen[bytes]] = {}
"""Emulators that this process started: it has to collect them when they end."""


def process_start(pid: int) -> str | None:
    """What tells this process from a later one with the same id; None when there is none."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        with contextlib.suppress(OSError):
            state, *rest = stat.read_text().rpartition(")")[2].split()
            return None if state == "Z" else rest[18]
        return None
    found = subprocess.run(["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def started(process: subprocess.Popen[bytes]) -> None:
    """Note a process of our own, to collect it when it ends."""
    _children[process.pid] = process


def collect() -> None:
    """Take note of those of our own emulators that have ended."""
    for pid, child in list(_children.items()):
        if child.poll() is not None:
            _children.pop(pid, None)


def end_group(pid: int, number: signal.Signals) -> None:
    """Signal a group of processes by its leader; one that is gone is none the worse."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def group_alive(group: int) -> bool:
    """Whether a process of the group still runs; one that only waits to be collected by its parent does not."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    processes = Path("/proc")
    if not (processes / "self" / "stat").exists():
        return True
    for entry in processes.iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                state, _parent, its_group, *_ = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(its_group) == group and state != "Z":
                    return True
    return False


def raise_descriptor_limit() -> None:
    """Let this process and its children hold as many connections as the system allows, at most `MOST_DESCRIPTORS`.

    Systems begin with 256 or 1024, which a thousand clients of a gateway exceed.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
