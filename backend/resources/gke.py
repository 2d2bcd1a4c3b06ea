"""What clusters and node pools have in common.

Invariant: an operation is followed by name until it has ended, and one that ended badly never passes for a success.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.clients import Clients
from backend.clients.failures import operation_failed
from backend.clients.google import Json
from backend.errors import NotFound
from backend.resources.waiting import Watch

SCOPES = [
    f"https://www.googleapis.com/auth/{scope}"
    for scope in (
        "devstorage.read_only",
        "logging.write",
        "monitoring",
        "service.management.readonly",
        "servicecontrol",
        "trace.append",
    )
]
"""What gcloud gives nodes by default."""
POOL_DEFAULTS: Mapping[str, Json] = {
    "management": {"autoRepair": True, "autoUpgrade": True},
    "upgradeSettings": {"maxSurge": 1},
}
"""What gcloud sends for every node pool without being asked."""
WORKING = frozenset({"RUNNING", "RECONCILING"})
"""States in which a cluster or node pool serves; RECONCILING is an upgrade or a change under way."""


async def follow(
    clients: Clients, watch: Watch, region: str, operation: str, *, doing: str, places: tuple[str, ...] = ()
) -> None:
    """Return once an operation has ended well, or is no longer known; raises ``OperationFailed``."""

    async def done() -> bool | None:
        try:
            state = await clients.container.operation(region, operation)
        except NotFound:
            return True
        error = state.get("error")
        if error:
            message = error.get("message") or state.get("statusMessage") or "no explanation was given"
            raise operation_failed(doing, message, project=clients.project, places=places, code=error.get("code"))
        if state.get("status") == "DONE":
            return True
        if said := _progress(state):
            watch.saw(f"{doing}: {said}", operation=operation)
        return None

    await watch.until(done)


def dig(data: Any, path: str) -> Any:
    """Value at a dotted path of nested dicts; ``None`` when a part is missing."""
    for part in path.split("."):
        data = data.get(part) if isinstance(data, Mapping) else None
    return data


def _progress(state: Json) -> str:
    said = state.get("statusMessage") or state.get("detail")
    if said:
        return str(said)
    metrics = {one.get("name"): int(one.get("intValue", 0)) for one in dig(state, "progress.metrics") or ()}
    total, done = metrics.get("CLUSTER_CONFIGURING_TOTAL") or 0, metrics.get("CLUSTER_CONFIGURING") or 0
    return f"{done} of {total} parts" if total else ""
