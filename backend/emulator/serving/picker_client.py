"""The data plane's end of the picker process: starts it, tells it the frontends, waits until it has them.

Invariant: once `want` has returned, the picker decides by these frontends.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from backend.emulator.serving.child import Child, python_env
from backend.emulator.serving.frontends import Backend, Frontend

_TAKE_OVER_S = 10.0
_POLL_S = 0.005


class PickerFailed(RuntimeError):
    """The picker ended, or does not take over what it is told."""


class PickerProcess:
    """One picker process and its Unix socket."""

    def __init__(self, socket: Path, admin: Path) -> None:
        self.socket = socket
        """Where it answers."""
        self._admin = admin
        self._child: Child | None = None
        self._version = 0
        self._has = 0

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._child is not None and self._child.exit_code is None

    async def start(self, note: Callable[[str], None]) -> None:
        """Start it; `note` gets the lines that it has to say. Raises OSError."""
        self.socket.unlink(missing_ok=True)

        def hear(line: str) -> None:
            try:
                self._has = int(json.loads(line)["version"])
            except (ValueError, KeyError, TypeError):
                note(line)

        command = [sys.executable, "-m", "backend.emulator.serving.picker", str(self.socket)]
        self._child = await Child.start(command, env=python_env(), on_line=hear)

    async def want(self, frontends: Sequence[Frontend]) -> None:
        """Make it decide by these frontends; raises PickerFailed."""
        if self._child is None:
            raise PickerFailed("it was not started")
        self._version += 1
        order = {
            "version": self._version,
            "admin": str(self._admin),
            "frontends": [
                {
                    "name": each.name,
                    "order": each.order,
                    "endpoints": [_endpoint(backend) for backend in each.backends],
                    "objectives": _objectives(each),
                }
                for each in frontends
            ],
        }
        self._child.write(json.dumps(order).encode() + b"\n")
        deadline = asyncio.get_running_loop().time() + _TAKE_OVER_S
        while self._has < self._version:
            if not self.alive:
                raise PickerFailed(f"it ended with exit code {self._child.exit_code}")
            if asyncio.get_running_loop().time() > deadline:
                raise PickerFailed("it did not take over the frontends in time")
            await asyncio.sleep(_POLL_S)

    async def wait(self) -> int:
        """Wait for its end; return the exit code."""
        return await self._child.wait() if self._child is not None else 0

    async def stop(self) -> None:
        """End it."""
        if self._child is not None:
            await self._child.stop()
            self._child = None


def _endpoint(backend: Backend) -> dict[str, Any]:
    terms = asdict(backend.terms)
    gauges = terms.pop("gauges")
    return {
        "host": backend.host,
        "port": backend.port,
        "cluster": backend.cluster,
        "region": backend.region,
        "gauges": gauges,
        "terms": terms,
    }


def _objectives(frontend: Frontend) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for cluster, name, priority in frontend.objectives:
        found.setdefault(cluster, {})[name] = priority
    return found
