"""One start of a Pod on this machine: its process, ports, logs and state, and the probe that keeps the state true.

Invariant: an exit code is the last thing that is told of a start.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from backend.emulator.serving.child import Child
from backend.emulator.serving.podlog import PodLog
from backend.emulator.serving.podspec import BenchWork, Files, Probe, ScriptWork, ServerWork

_FIRST_PROBE_S = 0.05

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PodState:
    """How a Pod's process is; `exit_code` is None until it has ended."""

    running: bool
    ready: bool
    exit_code: int | None
    message: str


@dataclass(slots=True, eq=False)
class RunningPod:
    """One start of a Pod, from its process to its logs."""

    cluster_key: str
    manifest: Json
    files: Files
    work: ServerWork | ScriptWork | BenchWork | None
    logs: dict[str, PodLog]
    run_id: str
    state: PodState
    ports: dict[int, int] = field(default_factory=dict)
    child: Child | None = None
    start: asyncio.Task[None] | None = None
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str, str]:
        meta = self.manifest["metadata"]
        return self.cluster_key, meta.get("namespace", "default"), meta["name"]

    def become(self, state: PodState) -> bool:
        """Take over a state, unless the process has ended; return whether that changed anything."""
        if state == self.state or self.state.exit_code is not None:
            return False
        self.state = state
        return True


async def keep_ready(
    pod: RunningPod, probe: Probe, http: aiohttp.ClientSession, become: Callable[[RunningPod, PodState], None]
) -> None:
    """Keep the ready state true to the probe; quick until the first success, then every period."""
    url = f"http://127.0.0.1:{pod.ports.get(probe.port, probe.port)}{probe.path}"
    timeout = aiohttp.ClientTimeout(total=probe.timeout_s)
    failed = 0
    while True:
        try:
            async with http.get(url, timeout=timeout) as response:
                good = 200 <= response.status < 400
        except (aiohttp.ClientError, TimeoutError):
            good = False
        failed = 0 if good else failed + 1
        if good:
            become(pod, PodState(True, True, None, ""))
        elif failed >= probe.failures and pod.state.ready:
            become(pod, PodState(True, False, None, f"Readiness probe failed: GET {probe.path}"))
        await asyncio.sleep(probe.period_s if pod.state.ready else min(_FIRST_PROBE_S, probe.period_s))
