"""Who served a request, by the model servers' request logs.

The gateway tells nobody. Invariants: read and never guessed; ``None`` with the reason when no log has the request's id;
a cluster is read by one look at a time, which serves all who wait for one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from backend.clients.answers import ServedBy
from backend.clients.kinds import POD
from backend.clients.names import MODEL_SERVER
from backend.errors import CloudError, InvalidRequest

if TYPE_CHECKING:
    from backend.clients.kube import Kube

SECOND_LOOK_S = 1.0
"""Seconds after which to look once more: lines reach the API server a little late."""
MARGIN_S = 5.0
"""Seconds before a request's beginning from which on logs are read."""
LONGEST_LOG = 2 * 1024 * 1024
"""Bytes that are read of one Pod's log at most."""


class RequestLogs:
    """The request logs of a stack's model servers, for requests of one event loop."""

    def __init__(
        self, kubes: Mapping[str, Kube], *, namespace: str, app: str, second_look_s: float = SECOND_LOOK_S
    ) -> None:
        """Read with ``kubes``, the clusters by name, the Pods that have the label ``app``."""
        self._clusters = [_ClusterLogs(name, kube, namespace, app) for name, kube in kubes.items()]
        self._second_look_s = second_look_s

    async def served_by(self, request_id: str, began: float) -> tuple[ServedBy | None, str]:
        """Find a request that has been answered and began at ``began`` (monotonic clock), else say why not.

        Looks twice in every cluster, and ends when the first has it.
        """
        looks = [asyncio.create_task(self._in(cluster, request_id, began)) for cluster in self._clusters]
        problems: list[str] = []
        try:
            for ended in asyncio.as_completed(looks):
                served, problem = await ended
                if served is not None:
                    return served, ""
                problems += [problem] if problem else []
        finally:
            for look in looks:
                look.cancel()
            await asyncio.gather(*looks, return_exceptions=True)
        return None, "; ".join(problems) or "no model server has logged the request id"

    async def _in(self, cluster: _ClusterLogs, request_id: str, began: float) -> tuple[ServedBy | None, str]:
        served, problem = await cluster.find(request_id, began)
        if served is None:
            await asyncio.sleep(self._second_look_s)
            served, problem = await cluster.find(request_id, began)
        return served, problem


class _ClusterLogs:
    """The request logs of one cluster."""

    def __init__(self, name: str, kube: Kube, namespace: str, app: str) -> None:
        self._name, self._kube, self._namespace, self._app = name, kube, namespace, app
        self._turn = asyncio.Lock()
        self._awaited: dict[str, float] = {}
        self._found: dict[str, ServedBy] = {}
        self._looked_at = float("-inf")
        self._problem = ""

    async def find(self, request_id: str, began: float) -> tuple[ServedBy | None, str]:
        """Look for a request, together with those that are waited for; an empty reason means that no log has it."""
        self._awaited[request_id] = began
        asked = time.monotonic()
        try:
            async with self._turn:
                if self._looked_at < asked:
                    begins = time.monotonic()
                    await self._look(begins - min(self._awaited.values()) + MARGIN_S)
                    self._looked_at = begins
            served = self._found.pop(request_id, None)
            return served, "" if served is not None else self._problem
        finally:
            del self._awaited[request_id]

    async def _look(self, since_s: float) -> None:
        self._problem = ""
        try:
            pods = [
                pod["metadata"]["name"]
                for pod in await self._kube.list(POD, self._namespace, {"app": self._app})
                if (pod.get("status") or {}).get("phase") == "Running"
            ]
            logs = await asyncio.gather(*(self._log(pod, since_s) for pod in pods))
        except CloudError as error:
            self._problem = error.message
            return
        for pod, log in zip(pods, logs, strict=True):
            self._found |= {one: ServedBy(self._name, pod) for one in self._awaited if one in log}
            if len(log.encode()) >= LONGEST_LOG:
                self._problem = f"the log of Pod {pod} on {self._name} is too long to be read whole"

    async def _log(self, pod: str, since_s: float) -> str:
        try:
            return await self._kube.logs(self._namespace, pod, MODEL_SERVER, since_s, most_bytes=LONGEST_LOG)
        except InvalidRequest:
            return ""
