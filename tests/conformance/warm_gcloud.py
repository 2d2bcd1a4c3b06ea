"""A process that has gcloud loaded and becomes one ``gcloud`` command after another, each in a fork.

Run by gcloud's own Python, whose folder of libraries is the argument. Loading them takes most of a command's time;
besides that a command is a process as any other, with the environment of this one, and its pauses between two looks
at an operation are cut short: the cloud that it asks is done at the first look. Each line of the input is a JSON
object with ``argv``, ``out`` and ``err`` (files), each line of the output an exit code.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

MODULES = (
    "googlecloudsdk.api_lib.compute.base_classes",
    "googlecloudsdk.api_lib.container.api_adapter",
    "googlecloudsdk.api_lib.container.fleet.client",
    "googlecloudsdk.api_lib.services.serviceusage",
    "googlecloudsdk.command_lib.container.fleet.features.base",
    "googlecloudsdk.core.credentials.requests",
    "googlecloudsdk.core.credentials.transports",
    "googlecloudsdk.generated_clients.apis.compute.v1.compute_v1_messages",
    "googlecloudsdk.generated_clients.apis.container.v1.container_v1_messages",
)
"""What many commands load for themselves."""
LONGEST_PAUSE_S = 0.02


def main(libraries: str) -> None:
    """Serve commands until the input ends."""
    sys.path[:0] = [libraries, f"{libraries}/third_party"]
    gcloud: Any = importlib.import_module("gcloud")
    gcloud._fix_google_module()
    entry = gcloud._import_gcloud_main()
    for name in MODULES:
        importlib.import_module(name)
    pause = time.sleep
    time.sleep = lambda seconds: pause(min(float(seconds), LONGEST_PAUSE_S))
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(entry, request)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _become(entry: Any, request: dict[str, Any]) -> None:
    code = 70
    try:
        for number, name in ((1, request["out"]), (2, request["err"])):
            with Path(name).open("wb") as file:
                os.dup2(file.fileno(), number)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        sys.argv = ["gcloud", *request["argv"]]
        code = entry.main() or 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


main(sys.argv[1])
