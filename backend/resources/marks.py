"""The marks on what mcig makes.

They stand in labels, or in the description where an API has no labels. Invariants: what carries the marks of this stack
was made for it; what does not is never deleted; what carries those of another stack is used as it is and never changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.errors import Conflict
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


def other_stack(spec: GatewaySpec, seen: Mapping[str, str] | str | None) -> str:
    """The other stack whose marks labels or a description carry; empty when they are ours or nobody's."""
    if isinstance(seen, str):
        seen = dict(word.partition("=")[::2] for word in seen.split() if "=" in word)
    name = "" if seen is None or seen.get(MANAGED_BY) != MANAGER else seen.get(STACK, "")
    return "" if name == spec.name else name


def whose(spec: GatewaySpec, seen: Mapping[str, str] | str | None) -> str:
    """Who made what is not ours, in words."""
    other = other_stack(spec, seen)
    return f"made for the stack {other}" if other else "not made by mcig"


def adopted(spec: GatewaySpec, seen: Mapping[str, str] | str | None) -> str:
    """The reason of a row that uses what others made; empty for what is ours."""
    if ours(spec, seen):
        return ""
    other = other_stack(spec, seen)
    return f"adopted from the stack {other}" if other else "adopted"


def goes(spec: GatewaySpec, seen: Mapping[str, str] | str | None, *, adopted_too: bool) -> bool:
    """Whether a destroy takes it: what is ours, and where adopted things are to go, what is no other stack's."""
    return ours(spec, seen) or (adopted_too and not other_stack(spec, seen))


def refused(other: str) -> str:
    """The reason of a row that would change what was made for another stack."""
    return f"refused: made for the stack {other}, and mcig changes it for that stack only"


def refusal(other: str, what: str) -> Conflict:
    """The error of a row that would have to change what was made for another stack."""
    return Conflict(
        f"{what} belongs to the stack {other} and is not as this stack wants it",
        cause="two stacks use the same names in one project",
        fix=f"give this stack's clusters or objects names of their own, or change the specification of {other}",
    )


def pool_goes(spec: GatewaySpec, pool: Mapping[str, Any]) -> bool:
    """Say whether a node pool is deleted with the stack though its cluster stays: it was made beside the cluster.

    A default pool carries the marks for its nodes' cost and is part of its cluster.
    """
    return pool.get("name") != DEFAULT_POOL and ours(spec, (pool.get("config") or {}).get("resourceLabels"))
