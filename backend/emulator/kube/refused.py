"""Refusals that rules of several kinds share, in the API server's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from backend.emulator.kube.errors import Cause, invalid_value, literal, required, unsupported

PROTOCOLS = ("SCTP", "TCP", "UDP")


def duplicate(path: str, value: Any) -> Cause:
    """A value that stands twice where each may stand once."""
    return Cause("FieldValueDuplicate", f"Duplicate value: {literal(value)}", path)


def immutable(path: str, value: Any) -> Cause:
    """A value that may not change."""
    return Cause("FieldValueInvalid", f"Invalid value: {literal(value)}: field is immutable", path)


def enumerated(path: str, obj: Mapping[str, Any], field: str, allowed: tuple[str, ...]) -> Iterator[Cause]:
    """A field that takes one of a few words."""
    value = obj.get(field)
    if value is not None and value not in allowed:
        yield unsupported(f"{path}.{field}", value, allowed)


def port_number(value: Any, path: str) -> Iterator[Cause]:
    """A port of the network, which has to be there."""
    if value is None:
        yield required(path)
    elif isinstance(value, int) and not 0 < value < 65536:
        yield invalid_value(path, value, "must be between 1 and 65535, inclusive")
