"""Who served a request, by the model servers' request logs.

The gateway tells nobody. Invariant: read and never guessed; ``None`` with the reason when no log has the request's id.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from backend.clients.answers import ServedBy
from backend.clients.kinds import POD
from backend.errors import CloudError, InvalidRequest

if TYPE_CHECKING:
    from backend.clients.kube import Kube

CONTAINER = "vllm"
LOG_PATIENCE_S = 2.0
"""How long to look for a request in the logs, which reach the API server a little late."""
LOG_PAUSE_S = 0.25


async def served_by(
    kubes: Mapping[str, Kube],
    request_id: str,
    *,
    namespace: str,
    app: str,
    since_s: float,
    patience_s: float = LOG_PATIENCE_S,
) -> tuple[ServedBy | None, str]:
    """Find a request in the model servers' logs of all clusters; ``None`` with the reason when it is in none."""
    deadline = time.monotonic() + patience_s
    while True:
        looks = [
            _in_cluster(kube, name, request_id, namespace=namespace, app=app, since_s=since_s)
            for name, kube in kubes.items()
        ]
        found = await asyncio.gather(*looks, return_exceptions=True)
        problems = []
        for result in found:
            if isinstance(result, ServedBy):
                return result, ""
            if isinstance(result, CloudError):
                problems.append(result.message)
            elif isinstance(result, BaseException):
                raise result
        if time.monotonic() >= deadline:
            return None, "; ".join(problems) or "no model server has logged the request id"
        await asyncio.sleep(LOG_PAUSE_S)


async def _in_cluster(
    kube: Kube, cluster: str, request_id: str, *, namespace: str, app: str, since_s: float
) -> ServedBy | None:
    pods = [pod["metadata"]["name"] for pod in await kube.list(POD, namespace, {"app": app})]
    logs = await asyncio.gather(*(_log(kube, namespace, pod, since_s) for pod in pods))
    return next((ServedBy(cluster, pod) for pod, log in zip(pods, logs, strict=True) if request_id in log), None)


async def _log(kube: Kube, namespace: str, pod: str, since_s: float) -> str:
    try:
        return await kube.logs(namespace, pod, CONTAINER, since_s)
    except InvalidRequest:
        return ""
