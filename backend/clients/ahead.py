"""Loading packages before somebody has to wait for them.

Invariant: these calls return at once; what cannot be loaded shows at its first real use.
"""

from __future__ import annotations

from collections.abc import Iterable

from backend.clients.compute import SUBNETWORKS
from backend.clients.container import CLUSTER_MANAGER
from backend.clients.fleet import GKE_HUB
from backend.clients.loading import prefetch

CHANGES = {service.api: service.module for service in (SUBNETWORKS, CLUSTER_MANAGER, GKE_HUB)}
"""Google's packages that changes go through, by API, those first that a new stack needs first."""


def for_changes(apis: Iterable[str]) -> None:
    """Begin to load what changes through these APIs need, such as ``container``."""
    wanted = frozenset(apis)
    prefetch([module for api, module in CHANGES.items() if api in wanted])


def for_clusters() -> None:
    """Begin to load what asking a cluster's API server needs."""
    prefetch(("kubernetes.aio.client",))
