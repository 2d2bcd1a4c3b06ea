"""What kind of value each field of a request body holds, for bodies that no published message type reads.

Service Usage, Resource Manager, IAM and Compute Engine are small enough here to be read field by field, so that no
handler meets a list where it expects a text. Bodies of the other APIs are looked at on their first level only: the
rest is `schema.py`'s. No enumeration is listed: a client may send its name or its number.
"""

from __future__ import annotations

import re
from typing import Any

from backend.emulator.google.errors import ApiError, invalid

_TEXT, _FLAG, _MESSAGE = "TYPE_STRING", "TYPE_BOOL", "message"
_NUMBER, _LONG = "TYPE_INT32", "TYPE_INT64"
_BITS = {_NUMBER: 31, _LONG: 63}
_KINDS: dict[str, str] = {
    **dict.fromkeys(
        (
            "accountId", "description", "displayName", "etag", "expression", "ipCidrRange",
            "constraint", "contactEmail", "fullResourceName", "justification", "machineType", "name", "network",
            "pageToken", "provisioningModel", "purpose", "quotaId", "region", "role", "service", "stackType",
            "targetShape", "title", "updateMask", "zone",
        ),
        _TEXT,
    ),
    **dict.fromkeys(("nodeCount", "pageSize", "requestedPolicyVersion", "size", "version"), _NUMBER),
    "preferredValue": _LONG,
    **dict.fromkeys(("autoCreateSubnetworks", "disableDependentServices", "privateIpGoogleAccess"), _FLAG),
    **dict.fromkeys(
        (
            "cluster", "condition", "dimensions", "distributionPolicy", "instanceFlexibilityPolicy",
            "instanceProperties", "instanceSelections", "nodePool", "options", "policy", "quotaConfig", "scheduling",
            "serviceAccount", "update",
        ),
        _MESSAGE,
    ),
}  # fmt: skip
_LISTS: dict[str, str] = {
    **dict.fromkeys(("machineTypes", "members", "permissions", "serviceIds", "types"), _TEXT),
    **dict.fromkeys(("bindings", "zones"), _MESSAGE),
}  # fmt: skip
_DEEPEST = 100


def check(body: dict[str, Any], *, whole: bool) -> None:
    """Raise ApiError 400 for the first field that holds another kind of value; `whole` looks below the first level."""
    _check(body, "", whole=whole, depth=0)


def _check(message: dict[str, Any], at: str, *, whole: bool, depth: int) -> None:
    if depth > _DEEPEST:
        raise invalid("Invalid JSON payload received. Message too deep. Max recursion depth reached.")
    for name, value in message.items():
        place = f"{at}.{_snake(name)}" if at else _snake(name)
        kind, listed = _KINDS.get(name), _LISTS.get(name)
        if kind and value is not None and not _fits(value, kind):
            raise _wrong(place, kind, value)
        if listed and value is not None:
            if not isinstance(value, list):
                raise _wrong(place, listed, value)
            for index, one in enumerate(value):
                if not _fits(one, listed):
                    raise _wrong(f"{place}[{index}]", listed, one)
        for below in (value if isinstance(value, list) else [value]) if whole else ():
            if isinstance(below, dict):
                _check(below, place, whole=True, depth=depth + 1)


def _fits(value: Any, kind: str) -> bool:
    match kind:
        case "TYPE_STRING":
            return isinstance(value, str)
        case "TYPE_BOOL":
            return isinstance(value, bool)
        case "TYPE_INT32" | "TYPE_INT64":
            number = value if isinstance(value, int) and not isinstance(value, bool) else _number(value)
            return number is not None and abs(number) < 2 ** _BITS[kind]
        case _:
            return isinstance(value, dict)


def _number(value: Any) -> int | None:
    return int(value) if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,19}", value) else None


def _wrong(place: str, kind: str, value: Any) -> ApiError:
    shown = f'"{value}"' if isinstance(value, str) else value
    description = f"Invalid value at '{place}' ({kind}), {shown}"
    return invalid(description, field=place)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
