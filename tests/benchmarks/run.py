"""How near a rehearsed run comes to its critical path, and what a plan with nothing to do costs.

Run by path: ``python tests/benchmarks/run.py [--speed 60]``. All figures are ratios or counts within one run on one
machine, with an emulated cloud whose durations are the medians. Ends with 1 when one of them does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.emulator import control

SPEED = 60.0
SPEC = "rehearsal"
LATENCY_S = 0.3
"""Seconds added to each counted request, so that what is asked side by side is seen to be."""
NOT_IN_THE_DOCUMENT = frozenset({"relay", "verify", "iam"})
"""Kinds of rows that the document has no command for."""


@dataclass
class Requests:
    """When each request of this process began and ended, in seconds."""

    spans: list[tuple[float, float]] = field(default_factory=list)

    @property
    def depth(self) -> int:
        """Longest row of requests of which each began after the one before it had ended."""
        deep, free_at = 0, float("-inf")
        for began, ended in sorted(self.spans, key=lambda span: span[1]):
            if began >= free_at:
                deep, free_at = deep + 1, ended
        return deep


@contextmanager
def counted() -> Iterator[Requests]:
    """Count the requests of Google's clients (requests) and of the Kubernetes client (aiohttp)."""
    import aiohttp
    import requests

    found = Requests()
    send, request = requests.Session.send, aiohttp.ClientSession._request

    def timed_send(self: Any, *args: Any, **kwargs: Any) -> Any:
        began = time.monotonic()
        time.sleep(LATENCY_S)
        try:
            return send(self, *args, **kwargs)
        finally:
            found.spans.append((began, time.monotonic()))

    async def timed_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        began = time.monotonic()
        await asyncio.sleep(LATENCY_S)
        try:
            return await request(self, *args, **kwargs)
        finally:
            found.spans.append((began, time.monotonic()))

    patched: list[tuple[Any, str, Callable[..., Any] | Callable[..., Awaitable[Any]], Any]] = [
        (requests.Session, "send", timed_send, send),
        (aiohttp.ClientSession, "_request", timed_request, request),
    ]
    for owner, name, timed, _ in patched:
        setattr(owner, name, timed)
    try:
        yield found
    finally:
        for owner, name, _, original in patched:
            setattr(owner, name, original)


async def idle_plan(environ: dict[str, str]) -> dict[str, float]:
    """Make a plan in this process, which is to do nothing else, and give requests, depth and CPU seconds."""
    from backend import presets
    from backend.places import Places
    from backend.stack import open_stack

    places = Places.of(environ)
    spec = presets.load(presets.find(SPEC, places))
    with counted() as requests:
        async with open_stack(spec, environ=environ, places=places) as stack:
            made = await stack.plan()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "changes": len(made.changes),
        "requests": len(requests.spans),
        "depth": requests.depth,
        "cpu_s": usage.ru_utime + usage.ru_stime,
    }


def mcig(environ: dict[str, str], *arguments: str) -> str:
    """Run a command and give its standard output."""
    command = [sys.executable, "-m", "tui", *arguments]
    return subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE, text=True).stdout


def critical_path(steps: list[dict[str, Any]], seconds: dict[str, float]) -> float:
    """Length of the longest path through a plan's steps, in seconds."""
    ends: dict[str, float] = {}
    for step in steps:
        begins = max((ends[name] for name in step["depends_on"]), default=0.0)
        ends[step["resource"]] = begins + seconds[step["resource"]]
    return max(ends.values())


def rehearse(environ: dict[str, str], speed: float) -> tuple[float, float]:
    """Apply once; run time over the critical path, and the document's order over run time.

    The emulated cloud never plays serving faster, so `verify` counts with the seconds that its slowest answer took.
    """
    planned = json.loads(mcig(environ, "plan", SPEC, "--json"))
    events = [json.loads(line) for line in mcig(environ, "apply", SPEC, "--yes", "--json").splitlines()]
    assert events[-1]["outcome"] == "succeeded", events[-1]
    took = events[-1]["elapsed_s"]
    answers = next(event for event in events if event["type"] == "step_finished" and event["resource"] == "verify")
    seconds = {step["resource"]: step["estimate_s"] / speed for step in planned["steps"]}
    seconds["verify"] = max(answer["total_s"] for answer in answers["detail"]["answers"])
    kinds = [(step["resource"].partition("/")[0].partition("@")[0], step["estimate_s"]) for step in planned["steps"]]
    serial = sum(estimate for kind, estimate in kinds if kind not in NOT_IN_THE_DOCUMENT) / speed
    return took / critical_path(planned["steps"], seconds), serial / took


def main() -> int:
    """Print the figures beside what they are to hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speed", type=float, default=SPEED)
    parser.add_argument("--idle-plan", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    environ = dict(os.environ)
    if options.idle_plan:
        sys.stdout.write(json.dumps(asyncio.run(idle_plan(environ))))
        return 0
    with tempfile.TemporaryDirectory(prefix="mcig-benchmark-") as home:
        environ |= {"MCIG_HOME": home, "HF_TOKEN": "hf_benchmark"}
        instance = control.start(Path(home) / "emulator", speed=options.speed, jitter=0.0)
        try:
            over_path, gain = rehearse(environ, options.speed)
            child = [sys.executable, __file__, "--idle-plan"]
            idle = json.loads(subprocess.run(child, env=environ, check=True, stdout=subprocess.PIPE).stdout)
        finally:
            control.stop(instance)
    assert idle["changes"] == 0, "the plan after an apply is empty"
    holds = [
        report("run time over the critical path", over_path, at_most=1.05),
        report("the document's order, each command waited for, over run time", gain, at_least=2.0),
        report("requests of a plan with nothing to do", idle["requests"], at_most=60),
        report("round trips deep", idle["depth"], at_most=6),
        report("CPU seconds", idle["cpu_s"], at_most=4.0),
    ]
    return 0 if all(holds) else 1


def report(what: str, value: float, *, at_most: float | None = None, at_least: float | None = None) -> bool:
    """Print one figure; whether it holds."""
    holds = (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
    bound = f"<= {at_most:g}" if at_most is not None else f">= {at_least:g}"
    sys.stdout.write(f"{'holds' if holds else 'BROKEN':<7}{value:>8.2f}  {bound:<8} {what}\n")
    return holds


if __name__ == "__main__":
    sys.exit(main())
