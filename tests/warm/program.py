"""What stands for Python where a program is to be forked from the warm process instead of loading everything itself.

Invariant: to whoever started it, it is that program: streams, terminal, folder, environment, signals and exit code are
passed on, and when this ends by force the program does, too. Whatever the warm process cannot become is left to the
real Python. Standard library only, because this is itself started for each of them.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import sys
import termios
from collections.abc import Mapping, Sequence
from typing import NoReturn

PROGRAMS = {
    "tui": "tui.__main__:run",
    "backend.emulator": "backend.emulator.__main__:main",
    "backend.emulator.serving.bench": "backend.emulator.serving.bench:main",
    "backend.emulator.serving.modelserver": "backend.emulator.serving.modelserver:main",
    "backend.emulator.serving.picker": "backend.emulator.serving.picker:main",
}
"""What the warm process can become: the module that ``python -m`` is given, and the function that is the program."""
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def ask(  # noqa: PLR0917
    door: str, python: str, name: str, words: Sequence[str], environ: Mapping[str, str], streams: Sequence[int]
) -> socket.socket:
    """Have a program started; its process id and then its exit code come as lines from the socket.

    ``python`` is what the program takes for its own Python.
    """
    asked = {
        "program": name,
        "words": list(words),
        "environ": dict(environ),
        "folder": os.getcwd(),  # noqa: PTH109 - pathlib takes longer to load than all of this
        "python": python,
    }
    line = json.dumps(asked).encode() + b"\n"
    connection = connected(door)
    sent = socket.send_fds(connection, [line], list(streams))
    connection.sendall(line[sent:])
    return connection


def connected(door: str) -> socket.socket:
    """A connection to the warm process. Raises OSError where there is none."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(door)
    except OSError:
        connection.close()
        raise
    return connection


def main(door: str, python: str) -> NoReturn:
    """Be the program that the command line names."""
    words = sys.argv[1:]
    if len(words) < 2 or words[0] != "-m" or words[1] not in PROGRAMS:
        os.execv(python, [python, *words])  # noqa: S606 - what was asked for
    if os.isatty(0) and os.getsid(0) == os.getpid():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        fcntl.ioctl(0, termios.TIOCNOTTY)
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    connection = ask(door, sys.argv[0], words[1], words[2:], os.environ, [0, 1, 2])
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    lines = connection.makefile("rb")
    process = int(lines.readline())
    for number in PASSED_ON:
        signal.signal(number, lambda number, _: os.kill(process, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    code = int(lines.readline() or -signal.SIGKILL)
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)
