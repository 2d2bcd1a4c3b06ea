"""Reading what controllers say of an object in its status.

Invariant: a condition that speaks of an older generation of the object counts as not said yet, so that a change is
waited for and not mistaken for done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Object = Mapping[str, Any]


def lacking(conditions: Sequence[Object] | None, wanted: Iterable[str], generation: int | None) -> str | None:
    """Say which wanted condition is not True, with the controller's words; ``None`` when all are."""
    present = {condition.get("type"): condition for condition in conditions or ()}
    for name in wanted:
        condition = present.get(name)
        if condition is None or _old(condition, generation):
            return f"{name} is not reported yet"
        if condition.get("status") != "True":
            said = ": ".join(str(condition[key]) for key in ("reason", "message") if condition.get(key))
            return f"{name} is {condition.get('status')}" + (f" ({said})" if said else "")
    return None


def generation(obj: Object) -> int | None:
    """The generation of an object's spec; ``None`` for kinds without one."""
    found: int | None = obj.get("metadata", {}).get("generation")
    return found


def deployment_lacking(deployment: Object | None, what: str) -> str | None:
    """Say what a Deployment still lacks, its Pods called ``what``; ``None`` when all are available and up to date.

    A Deployment that somebody else left out of a set of theirs lacks nothing.
    """
    if deployment is None:
        return None
    status: Object = deployment.get("status") or {}
    wanted = int(deployment["spec"].get("replicas", 1))
    if (status.get("observedGeneration") or 0) < (generation(deployment) or 0):
        return f"the rollout of {what} has not begun"
    updated, available = int(status.get("updatedReplicas") or 0), int(status.get("availableReplicas") or 0)
    ready = min(updated, available)
    if ready < wanted:
        return f"{ready} of {wanted} {what} ready"
    surplus = int(status.get("replicas") or 0) - wanted
    return f"former {what} still to end: {surplus}" if surplus > 0 else None


def _old(condition: Object, generation: int | None) -> bool:
    seen = condition.get("observedGeneration")
    return isinstance(seen, int) and generation is not None and seen < generation
