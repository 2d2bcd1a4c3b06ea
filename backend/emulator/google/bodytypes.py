"""Reading a request body against the message that a call takes: every field must be one of it, and hold its kind.

Fields are found by either spelling, `ipCidrRange` or `ip_cidr_range`, and come out in the first. Refusals are worded as
Google's front end does. What a message has is told by `messages.py`, or by a published message type (`schema.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from backend.emulator.google.errors import ApiError, invalid

TEXT, FLAG, DECIMAL = "TYPE_STRING", "TYPE_BOOL", "TYPE_DOUBLE"
NUMBER, LONG, COUNT, LONG_COUNT = "TYPE_INT32", "TYPE_INT64", "TYPE_UINT32", "TYPE_UINT64"
ANYTHING = "google.protobuf.Value"
_RANGES = {
    NUMBER: range(-(2**31), 2**31),
    LONG: range(-(2**63), 2**63),
    COUNT: range(2**32),
    LONG_COUNT: range(2**64),
}
_DEEPEST = 100
_TOO_DEEP = "Invalid JSON payload received. Message too deep. Max recursion depth reached."


@dataclass(frozen=True, slots=True)
class Field:
    """What a field of a message holds."""

    kind: str
    """As a refusal names it: TYPE_STRING, or the name of a message or an enumeration."""
    of: Callable[[], Message] | None = None
    """The fields of the message that it holds."""
    values: frozenset[str] | None = None
    """The names of an enumeration, empty where they are not listed; a number is taken too. None: it is none."""
    many: bool = False
    """Whether it holds a list."""
    keyed: bool = False
    """Whether it holds a map from texts."""


Message = dict[str, Field]
"""The fields of a message by name, in the spelling of JSON."""


def read(body: Mapping[str, Any], message: Message) -> dict[str, Any]:
    """The body with its fields in the spelling of JSON; raises ApiError 400 for the first that cannot be."""
    return _read(body, message, "", 0)


def _read(body: Mapping[str, Any], message: Message, at: str, depth: int) -> dict[str, Any]:
    if depth > _DEEPEST:
        raise invalid(_TOO_DEEP)
    found: dict[str, Any] = {}
    for given, value in body.items():
        name = given if given in message else _camel(given)
        field = message.get(name)
        if field is None:
            raise _unknown(given, at, "Cannot find field.")
        if value is None:
            continue
        place = f"{at}.{_snake(name)}" if at else _snake(name)
        if isinstance(value, list) and not field.many and field.kind != ANYTHING:
            raise _unknown(given, at, "Proto field is not repeating, cannot start list.")
        if field.many:
            items = value if isinstance(value, list) else _wrong(place, field, value)
            found[name] = [_value(one, field, f"{place}[{index}]", depth) for index, one in enumerate(items)]
        elif field.keyed:
            items = value.items() if isinstance(value, dict) else _wrong(place, field, value)
            found[name] = {key: _value(one, field, f"{place}[{key}]", depth) for key, one in items}
        else:
            found[name] = _value(value, field, place, depth)
    return found


def _value(value: Any, field: Field, place: str, depth: int) -> Any:
    if field.of is not None and isinstance(value, dict):
        return _read(value, field.of(), place, depth + 1)
    return value if _fits(value, field) else _wrong(place, field, value)


def _fits(value: Any, field: Field) -> bool:
    if field.values is not None:
        number = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31
        return number or (isinstance(value, str) and (not field.values or value in field.values))
    match field.kind:
        case "TYPE_STRING":
            return isinstance(value, str)
        case "TYPE_BOOL":
            return isinstance(value, bool)
        case "TYPE_DOUBLE":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case kind if kind in _RANGES:
            whole = _whole(value)
            return whole is not None and whole in _RANGES[kind]
        case kind:
            return kind == ANYTHING


def _whole(value: Any) -> int | None:
    """A number, also one that is written as text; None for what is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,20}", value) else None


def _wrong(place: str, field: Field, value: Any) -> Any:
    kind = field.kind if field.kind.startswith("TYPE_") else f"type.googleapis.com/{field.kind}"
    description = f"Invalid value at '{place}' ({kind}), {json.dumps(value, ensure_ascii=False)}"
    raise invalid(description, field=place)


def _unknown(name: str, at: str, why: str) -> ApiError:
    where = f" at '{at}'" if at else ""
    return invalid(f'Invalid JSON payload received. Unknown name "{name}"{where}: {why}', field=at)


def _camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
