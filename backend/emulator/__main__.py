"""The background process: `python -m backend.emulator --home DIR`.

One per home, held by a lock for as long as it lives. It says where it listens in `emulator.json`, readable by its
owner only, which is there exactly while it is healthy.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import json
import logging
import math
import os
import signal
import sys
from pathlib import Path

from backend.emulator.instance import LOCK
from backend.emulator.processes import process_start, raise_descriptor_limit

_log = logging.getLogger("backend.emulator")
NEEDED_SOON = (
    "google.protobuf.json_format",
    "google.cloud.container_v1",
    "backend.emulator.kube.cluster",
    "google.cloud.gkehub_v1",
    "kubernetes.client.models",
)
"""Packages that the first minutes of a run need, in the order in which it does; together two seconds of CPU."""


def speed(text: str) -> float:
    """A speed of the command line: `max`, or how many times faster than the real cloud."""
    return math.inf if text == "max" else float(text)


def main(argv: list[str] | None = None) -> int:
    """Run until asked to stop, interrupted or idle; 1 when another process holds the home or the port is taken."""
    parser = argparse.ArgumentParser(prog="python -m backend.emulator", description="The emulated cloud.")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--speed", type=speed, default=60.0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--jitter", type=float, default=1.0)
    options = parser.parse_args(argv)
    os.umask(0o077)
    raise_descriptor_limit()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    options.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (options.home / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _log.error("another emulator runs in %s", options.home)
            return 1
        try:
            asyncio.run(serve(options))
        except OSError as error:
            _log.error("the emulator could not start: %s", error)
            return 1
    return 0


async def serve(options: argparse.Namespace) -> None:
    """Serve a home until something ends it; raises OSError when the port is taken."""
    from backend.emulator.loading import prefetch
    from backend.emulator.server import Emulator
    from backend.emulator.world import write_private

    emulator = Emulator(options.home, speed=options.speed, jitter=options.jitter, seed=options.seed, port=options.port)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, emulator.stopping.set)
    file = options.home / "emulator.json"
    async with emulator:
        record = {
            "url": emulator.url,
            "token": emulator.token,
            "pid": os.getpid(),
            "process_start": process_start(os.getpid()),
            "started": emulator.started,
            "ca_file": str(emulator.ca_file),
        }
        write_private(file, json.dumps(record))
        prefetch(NEEDED_SOON)
        try:
            ends = [asyncio.create_task(emulator.stopping.wait()), asyncio.create_task(emulator.idle())]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for task in ends:
                task.cancel()
        finally:
            with contextlib.suppress(FileNotFoundError):
                file.unlink()


if __name__ == "__main__":
    sys.exit(main())
