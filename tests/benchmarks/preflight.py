"""How long all checks of two regions take, and how many round trips lie behind one another.

Run by path: ``python tests/benchmarks/preflight.py``. An emulated cloud at infinite speed, a process of its own for the
checks; their time is told beside that of loading the program and Google's packages. Ends with 1 when the checks are
deeper than 3 round trips, or take more than 2 seconds beyond the loading.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SPEC = "two-region-h100"
PROJECT = "demo-project"
DEEPEST = 3
LONGEST_S = 2.0
RUNS = 3


def look(environ: dict[str, str], *, delayed: bool) -> dict[str, Any]:
    """Run all checks once in this process: seconds of loading and of looking, requests, depth, findings."""
    began = time.monotonic()
    from backend import presets
    from backend.places import Places
    from backend.preflight import hugging_face_token, open_survey

    places = Places.of(environ)
    spec = presets.load(presets.find(SPEC, places), ("target=emulator", f"project={PROJECT}"))
    loaded = time.monotonic()
    requests = None

    async def examine() -> int:
        async with open_survey(spec.target, PROJECT, places=places, environ=environ) as survey:
            found = await survey.findings(spec, token=hugging_face_token(spec.target, environ))
        return len([one for one in found if one.status != "ok"])

    if delayed:
        from tests.benchmarks.run import counted

        with counted() as requests:
            troubles = asyncio.run(examine())
    else:
        troubles = asyncio.run(examine())
    return {
        "load_s": loaded - began,
        "look_s": time.monotonic() - loaded,
        "requests": None if requests is None else len(requests.spans),
        "depth": None if requests is None else requests.depth,
        "troubles": troubles,
        "google": sorted(name for name in sys.modules if name.startswith("google.cloud.")),
    }


def mcig(environ: dict[str, str], *arguments: str) -> float:
    """Run a command; seconds that it took."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "tui", *arguments], env=environ, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def measured(environ: dict[str, str], *options: str) -> dict[str, Any]:
    """What `look` finds in a new process."""
    command = [sys.executable, __file__, "--look", *options]
    told = subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, Any] = json.loads(told)
    return found


def enable_all(environ: dict[str, str]) -> None:
    """Turn on every API, so that there is the most to look at."""
    from backend.resources.services import WANTED

    for name in (*WANTED, "cloudbilling.googleapis.com"):
        mcig(environ, "emulator", "set", f"service.{name}=enabled")


def main() -> int:
    """Print the figures beside what they are to hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--look", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--delayed", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    environ = dict(os.environ)
    if options.look:
        sys.stdout.write(json.dumps(look(environ, delayed=options.delayed)))
        return 0
    with tempfile.TemporaryDirectory(prefix="mcig-benchmark-") as home:
        environ |= {"MCIG_HOME": home, "PYTHONPATH": os.pathsep.join(sys.path)}
        mcig(environ, "emulator", "start", "--detach", "--speed", "max")
        try:
            enable_all(environ)
            runs = sorted((measured(environ) for _ in range(RUNS)), key=lambda one: float(one["look_s"]))
            deep = measured(environ, "--delayed")
            whole = min(mcig(environ, "doctor", SPEC, "--target", "emulator", "--json") for _ in range(RUNS))
        finally:
            mcig(environ, "emulator", "stop")
    middle = runs[RUNS // 2]
    sdk = ", ".join(middle["google"]) or "none of Google's SDK packages"
    sys.stdout.write(
        f"all checks of two regions    {middle['look_s']:.2f} s beyond loading, to be at most {LONGEST_S:g}\n"
        f"loading before them          {middle['load_s']:.2f} s ({sdk})\n"
        f"`mcig doctor` from the start {whole:.2f} s\n"
        f"requests                     {deep['requests']}\n"
        f"round trips in a row         {deep['depth']}, to be at most {DEEPEST}\n"
        f"findings that are not ok     {middle['troubles']} in a healthy world\n"
    )
    return int(deep["depth"] > DEEPEST or middle["look_s"] > LONGEST_S)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    sys.exit(main())
