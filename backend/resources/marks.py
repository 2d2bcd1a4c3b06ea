"""The marks on what mcig makes.

They stand in labels, or in the description where an API has no labels. Invariant: what carries the marks of this stack
was made for it; what does not is never deleted.
"""

from __future__ import annotations

from collections.abc import Mapping

from backend.spec import GatewaySpec

MANAGED_BY = "managed-by"
STACK = "mcig-stack"
MANAGER = "mcig"


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
