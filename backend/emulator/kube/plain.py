"""Plain JSON-able data: copies that are several times cheaper than :func:`copy.deepcopy`."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def clone(value: T) -> T:
    """A deep copy of nested dicts and lists; anything else is taken to be immutable."""
    if isinstance(value, dict):
        return {key: clone(member) for key, member in value.items()}  # type: ignore[return-value]
    if isinstance(value, list):
        return [clone(item) for item in value]  # type: ignore[return-value]
    return value
