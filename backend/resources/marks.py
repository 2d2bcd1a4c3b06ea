"""The marks on what mcig makes.

They stand in labels, or in the description where an API has no labels. Invariant: what carries the marks of this stack
was made for it; what does not is never deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.spec import GatewaySpec

MANAGED_BY = "managed-by"
STACK = "mcig-stack"
MANAGER = "mcig"
DEFAULT_POOL = "default-pool"
"""The node pool that comes with a cluster; GKE gives it this name, and it goes with its cluster only."""


def labels(spec: GatewaySpec) -> dict[str, str]:
    """Labels for what is made for a stack."""
    return {MANAGED_BY: MANAGER, STACK: spec.name}


def description(spec: GatewaySpec) -> str:
    """The same marks as one line of text."""
    return " ".join(f"{key}={value}" for key, value in labels(spec).items())


def flag(spec: GatewaySpec) -> str:
    """The same marks as gcloud's ``--labels`` takes them."""
    return ",".join(f"{key}={value}" for key, value in labels(spec).items())


def ours(spec: GatewaySpec, seen: Mapping[str, str] | str | None) -> bool:
    """Say whether labels or a description carry the marks of this stack."""
    if isinstance(seen, str):
        return set(description(spec).split()) <= set(seen.split())
    return seen is not None and all(seen.get(key) == value for key, value in labels(spec).items())


def pool_goes(spec: GatewaySpec, pool: Mapping[str, Any]) -> bool:
    """Say whether a node pool is deleted with the stack though its cluster stays: it was made beside the cluster.

    A default pool carries the marks for its nodes' cost and is part of its cluster.
    """
    return pool.get("name") != DEFAULT_POOL and ours(spec, (pool.get("config") or {}).get("resourceLabels"))
