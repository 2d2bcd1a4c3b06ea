"""A process that has everything loaded and becomes one program after another, each in a fork.

Loading the cloud packages takes seconds of CPU in every command, and our own modules half a second in every process of
an emulated cloud. Invariant: besides that a program is a process as any other, with its own arguments, environment,
folder, streams, session, signals, threads and end; and none is left when the last test run that held this one is over.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import gc
import json
import os
import pkgutil
import selectors
import signal
import socket
import sys
import termios
import threading
import time
from importlib import import_module
from typing import Any, NoReturn

from tests.warm.program import PROGRAMS

PACKAGES = (
    "google.auth.transport.requests",
    "google.cloud.container_v1",
    "google.cloud.gkehub_v1",
    "google.protobuf.json_format",
    "kubernetes.aio.client",
    "kubernetes.client.models",
)
OURS = ("backend", "tui")
HOLD = "hold"
"""Asked for instead of a program by somebody who wants this process to live for as long as the connection."""


def main(door: str) -> None:
    """Serve in the background; this process itself ends as soon as somebody may ask."""
    for name in (*PACKAGES, *_modules()):
        with contextlib.suppress(Exception):  # whoever needs what cannot be loaded is told so then
            import_module(name)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(door)
        listener.listen(64)
        if os.fork():
            return
        os.setsid()
        gc.collect()
        gc.freeze()
        Server(listener).serve()


def _modules() -> list[str]:
    return [
        module.name
        for package in OURS
        for module in pkgutil.walk_packages(import_module(package).__path__, f"{package}.", onerror=lambda _: None)
    ]


class Server:
    """Forks programs and tells whoever asked how they end."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._programs: dict[int, socket.socket] = {}
        self._holders: set[socket.socket] = set()
        self._ended, self._wake = socket.socketpair()
        for end in (self._ended, self._wake):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake.fileno())
        self._selector = selectors.DefaultSelector()
        for source in (listener, self._ended):
            self._selector.register(source, selectors.EVENT_READ)

    def serve(self) -> None:
        """Serve until the last holder is gone."""
        while True:
            for key, _ in self._selector.select():
                source: Any = key.fileobj
                if source is self._listener:
                    self._accept()
                elif source is self._ended:
                    self._ended.recv(4096)
                    self._collect()
                elif source.fileno() >= 0:
                    self._gone(source)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        asked, streams = _received(connection)
        if asked is None:
            connection.close()
            return
        self._selector.register(connection, selectors.EVENT_READ)
        if asked["program"] == HOLD:
            self._holders.add(connection)
            return
        process = os.fork()
        if process == 0:
            self._forget()
            become(asked, streams)
        for stream in streams:
            os.close(stream)
        self._programs[process] = connection
        _tell(connection, process)

    def _collect(self) -> None:
        while self._programs:
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                return
            connection = self._programs.pop(process)
            _tell(connection, os.waitstatus_to_exitcode(status))
            self._close(connection)

    def _gone(self, connection: socket.socket) -> None:
        """Somebody does not wait any more: what was forked for them is ended."""
        self._close(connection)
        if connection in self._holders:
            self._holders.remove(connection)
            if not self._holders:
                for process in self._programs:
                    os.kill(process, signal.SIGTERM)
                os._exit(0)
        for process, asked_by in self._programs.items():
            if asked_by is connection:
                os.kill(process, signal.SIGKILL)

    def _close(self, connection: socket.socket) -> None:
        if connection.fileno() >= 0:
            self._selector.unregister(connection)
            connection.close()

    def _forget(self) -> None:
        """Take nothing of the server into a fork."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        for one in (self._listener, self._ended, self._wake, *self._holders, *self._programs.values()):
            one.close()


def _received(connection: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """What is asked for, and the three streams of a program; None from somebody who hung up."""
    line, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    while not line.endswith(b"\n"):
        more = connection.recv(1 << 20)
        if not more:
            return None, streams
        line += more
    return json.loads(line), streams


def _tell(connection: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(f"{number}\n".encode())


def become(asked: dict[str, Any], streams: list[int]) -> NoReturn:
    """Run one program in this process and end with it."""
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    if os.isatty(0):
        with contextlib.suppress(PermissionError):  # it is a shell's, and stays so
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(asked["environ"])
    os.chdir(asked["folder"])
    time.tzset()
    for text in (sys.stdout, sys.stderr):
        text.reconfigure(line_buffering=text.isatty(), write_through="PYTHONUNBUFFERED" in os.environ)  # type: ignore[union-attr]
    name = asked["program"]
    sys.executable = asked["python"]
    sys.argv = [name, *asked["words"]]
    module, _, function = PROGRAMS[name].partition(":")
    try:
        leave(getattr(import_module(module), function)() or 0)
    except SystemExit as ended:
        if isinstance(ended.code, str):
            sys.stderr.write(f"{ended.code}\n")
        leave(1 if isinstance(ended.code, str) else ended.code or 0)


def leave(code: int) -> NoReturn:
    """End as Python does, but for taking apart all that is loaded, which is a tenth of a second of CPU each time."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for text in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            text.flush()
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1])
