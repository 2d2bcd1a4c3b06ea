"""Strict reading of request bodies with the message types that Google publishes.

The result is canonical JSON: camelCase names, enums by name, 64-bit integers as text, defaults left out. So gcloud's
spelling and the Python clients' (enums by number) are stored alike, and a field that does not exist is refused as
Google refuses it. The packages take half a second to import, so they are imported at the first write, in a thread.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

from backend.emulator.google import bodytypes
from backend.emulator.google.bodytypes import (
    ANYTHING,
    COUNT,
    DECIMAL,
    FLAG,
    LONG,
    LONG_COUNT,
    NUMBER,
    TEXT,
    Field,
    Message,
)
from backend.emulator.google.errors import invalid
from backend.emulator.loading import load

_PACKAGES = {"container.googleapis.com": "google.cloud.container_v1", "gkehub.googleapis.com": "google.cloud.gkehub_v1"}
_KINDS = {
    1: DECIMAL, 2: DECIMAL, 3: LONG, 4: LONG_COUNT, 5: NUMBER, 6: LONG_COUNT, 7: COUNT, 8: FLAG, 9: TEXT, 12: TEXT,
    13: COUNT, 15: NUMBER, 16: LONG, 17: NUMBER, 18: LONG,
}  # fmt: skip
"""What JSON has for each number of `google.protobuf.FieldDescriptorProto.Type`."""
_KNOWN = {
    **dict.fromkeys(("Timestamp", "Duration", "FieldMask", "StringValue", "BytesValue"), TEXT),
    **dict.fromkeys(("DoubleValue", "FloatValue"), DECIMAL),
    **dict.fromkeys(("Struct", "Value", "ListValue", "Any"), ANYTHING),
    "BoolValue": FLAG,
    "Int32Value": NUMBER,
    "Int64Value": LONG,
    "UInt32Value": COUNT,
    "UInt64Value": LONG_COUNT,
}
"""What JSON has for the messages of `google.protobuf`."""
_ENUM = 14


def needed(service: str) -> bool:
    """Whether bodies of this API are read with its message types."""
    return service in _PACKAGES


def prepare(service: str) -> None:
    """Import the message types of an API; slow the first time."""
    load("google.protobuf.json_format")
    load(_PACKAGES[service])


def parse(service: str, message: str, body: Any) -> dict[str, Any]:
    """The body as canonical JSON of one message; raises ApiError 400 for an unknown field or a wrong value."""
    json_format = load("google.protobuf.json_format")
    kind = getattr(load(_PACKAGES[service]), message)
    target = kind.pb(kind())
    given = bodytypes.read(body, fields(target.DESCRIPTOR))
    try:
        json_format.ParseDict(given, target)
    except json_format.ParseError as error:
        raise invalid(f"Invalid JSON payload received. {str(error).splitlines()[0]}") from None
    canonical: dict[str, Any] = json_format.MessageToDict(target)
    return canonical


@cache
def fields(descriptor: Any) -> Message:
    """The fields of a published message type, given its descriptor."""
    return {one.json_name: _field(one) for one in descriptor.fields}


def _field(one: Any) -> Field:
    inner = one.message_type
    if inner is not None and inner.GetOptions().map_entry:
        value = _field(inner.fields_by_name["value"])
        return Field(value.kind, value.of, value.values, keyed=True)
    many = bool(one.is_repeated if hasattr(one, "is_repeated") else one.label == one.LABEL_REPEATED)
    if one.type == _ENUM:
        return Field(one.enum_type.full_name, values=frozenset(one.enum_type.values_by_name), many=many)
    if inner is None:
        return Field(_KINDS[one.type], many=many)
    package, _, name = inner.full_name.rpartition(".")
    if package == "google.protobuf" and name in _KNOWN:
        return Field(_KNOWN[name], many=many)
    return Field(inner.full_name, of=partial(fields, inner), many=many)
