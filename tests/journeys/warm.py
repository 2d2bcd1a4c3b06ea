"""A process that has the cloud packages loaded and becomes one ``mcig`` command after another, each in a fork.

Loading them takes seconds of CPU in every command. Invariant: besides that a command is a process as any other: its own
arguments, environment, streams, signals, threads and end.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import sys
from importlib import import_module

PACKAGES = (
    "google.cloud.service_usage_v1",
    "google.cloud.container_v1",
    "google.cloud.gkehub_v1",
    "google.cloud.compute_v1",
    "google.auth.transport.requests",
    "kubernetes.aio.client",
)
LONGEST_REQUEST = 1 << 20


def main(number: int) -> None:
    """Serve requests from an inherited socket until its other end is closed."""
    for package in PACKAGES:
        import_module(package)
    gc.freeze()
    asked = socket.socket(fileno=number)
    while True:
        request, streams, _, _ = socket.recv_fds(asked, LONGEST_REQUEST, 3)
        if not request:
            return
        child = os.fork()
        if child == 0:
            asked.close()
            become(json.loads(request), streams)
        for stream in streams:
            os.close(stream)
        _, status = os.waitpid(child, 0)
        asked.send(str(os.waitstatus_to_exitcode(status)).encode())


def become(request: dict[str, object], streams: list[int]) -> None:
    """Run one command in this process and end with it."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["environ"])  # type: ignore[call-overload]
    sys.argv = ["mcig", *request["arguments"]]  # type: ignore[misc]
    from tui.__main__ import run

    run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
