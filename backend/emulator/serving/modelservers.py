"""The model-server processes of all clusters, and how they answer: how fast, and whether by a real model.

Invariant: a process that starts late is told what the others were told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from backend.emulator.realmodel.client import RealModelProcess
from backend.emulator.serving.modelserver_client import Event, ModelServerProcess


class ModelServers:
    """One process a cluster, from its first Pod on; clusters are named by their keys."""

    def __init__(self) -> None:
        self._processes: dict[str, ModelServerProcess] = {}
        self._slowness: dict[str, float] = {}
        self._real_model = RealModelProcess(self._answer_by)
        self._real_port: int | None = None

    @property
    def pids(self) -> list[int]:
        """Ids of the processes that run, the real model's among them."""
        found = [*(each.pid for each in self._processes.values()), self._real_model.pid]
        return [pid for pid in found if pid is not None]

    async def add(self, cluster: str, order: Event, on_event: Callable[[Event], None]) -> None:
        """Serve a Pod of a cluster; see `ModelServerProcess.add`. Raises OSError."""
        process = self._processes.setdefault(cluster, ModelServerProcess())
        await process.add(order, on_event)
        if (slowness := self._slowness.get(cluster, 1.0)) != 1:
            process.send({"op": "pace", "slowness": slowness})
        if self._real_port is not None:
            process.send({"op": "real-model", "port": self._real_port})

    def send(self, cluster: str, order: Event) -> None:
        """Send an order about a Pod; ignored when its cluster has no process."""
        if cluster in self._processes:
            self._processes[cluster].send(order)

    def pace(self, cluster: str, slowness: float) -> None:
        """Let a cluster's servers take so many times longer; infinite: they answer nobody until told again."""
        if self._slowness.get(cluster, 1.0) != slowness:
            self._slowness[cluster] = slowness
            self.send(cluster, {"op": "pace", "slowness": slowness})

    def real_model(self, wanted: bool) -> None:
        """Let the real model answer what it has time for, or simulated text only."""
        self._real_model.want(wanted)

    async def forget(self, cluster: str) -> None:
        """End the process of a cluster that is gone."""
        process = self._processes.pop(cluster, None)
        if process is not None:
            await process.stop()

    async def close(self) -> None:
        """End every process."""
        await asyncio.gather(self._real_model.close(), *(each.stop() for each in self._processes.values()))
        self._processes.clear()

    def _answer_by(self, port: int | None) -> None:
        self._real_port = port
        for process in self._processes.values():
            process.send({"op": "real-model", "port": port})
