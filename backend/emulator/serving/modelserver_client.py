"""The kubelet's end of a cluster's model-server process: starts it, sends orders, hands its events on.

Invariant: the process starts with the first order and at most once at a time; when it dies, every Pod that it served is
told so with the exit code.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

from backend.emulator.serving.child import Child, python_env

Event = dict[str, Any]


class ModelServerProcess:
    """One cluster's model-server process."""

    def __init__(self) -> None:
        self._child: Child | None = None
        self._starting = asyncio.Lock()
        self._listeners: dict[str, Callable[[Event], None]] = {}
        self._watch: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Process id while the process runs."""
        return self._child.pid if self._child is not None and self._child.exit_code is None else None

    async def add(self, order: Event, on_event: Callable[[Event], None]) -> None:
        """Serve a Pod; `on_event` gets its `started`, `log` and `exited` events. Raises OSError."""
        async with self._starting:
            if self.pid is None:
                await self._start()
        self._listeners[order["uid"]] = on_event
        self.send({"op": "add", **order})

    def send(self, order: Event) -> None:
        """Send an order about a Pod that was added."""
        if self._child is not None:
            self._child.write(json.dumps(order).encode() + b"\n")

    async def stop(self) -> None:
        """End the process and all its Pods."""
        if self._child is not None:
            await self._child.stop()
        if self._watch is not None:
            await self._watch

    async def _start(self) -> None:
        command = [sys.executable, "-m", "backend.emulator.serving.modelserver"]
        child = await Child.start(command, env=python_env(), on_line=self._hear, with_stderr=False)
        self._child = child
        self._watch = asyncio.create_task(self._report_end(child))

    def _hear(self, line: str) -> None:
        event: Event = json.loads(line)
        listener = self._listeners.get(event["uid"])
        if listener is None:
            return
        if event["event"] == "exited":
            del self._listeners[event["uid"]]
        listener(event)

    async def _report_end(self, child: Child) -> None:
        code = await child.wait()
        listeners, self._listeners = self._listeners, {}
        for uid, listener in listeners.items():
            listener({"event": "exited", "uid": uid, "code": code})
