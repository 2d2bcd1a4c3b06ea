"""Run a command as a child that ends when a pipe closes: `python leash.py [--fd N] COMMAND ARG...`.

Why: Envoy and the scripts of Pods read no stdin, and a killed emulator gets no chance to end them; a pipe that closes
with its owner works on every system. It is stdin, or descriptor N for a command that needs its stdin itself. Invariant:
the command has ended when this process has, and its exit code is passed on, 128 + N for signal N. Run by path, with the
standard library only.
"""

import os
import signal
import subprocess
import sys
import threading

GRACE_S = 3.0
"""Seconds between the polite and the forced end of the command."""


def main(command: list[str]) -> int:
    """Run the command and return its exit code."""
    leash = 0
    if command[0] == "--fd":
        leash, command = int(command[1]), command[2:]
    child = subprocess.Popen(command, stdin=None if leash else subprocess.DEVNULL)

    def end_with_the_pipe() -> None:
        while os.read(leash, 4096):
            pass
        child.terminate()
        try:
            child.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            child.kill()

    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_the_pipe, daemon=True).start()
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
