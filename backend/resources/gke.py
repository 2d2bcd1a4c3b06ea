"""What clusters and node pools have in common.

Invariant: whatever is made here runs as the stack's own service account, with metadata by GKE_METADATA.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from backend.clients import Clients
from backend.clients.google import Json
from backend.engine.resource import ResourceId
from backend.resources.operations import until_done
from backend.resources.waiting import Watch
from backend.spec import GatewaySpec

NODE_ACCOUNT = ResourceId("iam/node-sa")
"""Id of the row of the service account that all nodes run as."""
ACCOUNT_ID_LENGTH = 30
"""Longest id of a service account."""
POOL_DEFAULTS: Mapping[str, Json] = {
    "management": {"autoRepair": True, "autoUpgrade": True},
    "upgradeSettings": {"maxSurge": 1},
}
"""What gcloud sends for every node pool without being asked."""
WORKING = frozenset({"RUNNING", "RECONCILING"})
"""States in which a cluster or node pool serves; RECONCILING is an upgrade or a change under way."""


def account_id(spec: GatewaySpec) -> str:
    """Id of the service account that the stack's nodes run as; a name too long for one ends in its digest."""
    whole = f"mcig-{spec.name}"
    if len(whole) <= ACCOUNT_ID_LENGTH:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:6]
    return f"{whole[: ACCOUNT_ID_LENGTH - len(digest) - 1].rstrip('-')}-{digest}"


def node_account(spec: GatewaySpec, project: str) -> str:
    """Email of the service account that the stack's nodes run as."""
    return f"{account_id(spec)}@{project}.iam.gserviceaccount.com"


def node_config(spec: GatewaySpec, project: str) -> Json:
    """What the machines of every node pool have in common: who they are, and that Pods are not."""
    return {
        "serviceAccount": node_account(spec, project),
        "oauthScopes": ["https://www.googleapis.com/auth/cloud-platform"],
        "workloadMetadataConfig": {"mode": "GKE_METADATA"},
    }


def node_flags(spec: GatewaySpec, project: str) -> str:
    """The same on gcloud's command line."""
    return f"--service-account={node_account(spec, project)} --scopes=cloud-platform --workload-metadata=GKE_METADATA"


async def follow(
    clients: Clients,
    watch: Watch,
    region: str,
    operation: str,
    *,
    doing: str,
    places: tuple[str, ...] = (),
    word: Callable[[str], str] | None = None,
) -> None:
    """Return once an operation has ended well, or is no longer known; raises ``OperationFailed`` and ``StockOut``.

    ``word`` puts what Google says meanwhile into words for people.
    """

    def told(state: Json) -> None:
        if said := _progress(state):
            watch.saw(f"{doing}: {said}" if word is None else word(said), operation=operation)

    async def read() -> Json:
        return await clients.container.operation(region, operation)

    await until_done(watch, read, doing=doing, project=clients.project, places=places, meanwhile=told)


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
