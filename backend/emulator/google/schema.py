"""Strict reading of request bodies with the message types that Google publishes.

The result is canonical JSON: camelCase names, enums by name, 64-bit integers as text, defaults left out. So gcloud's
spelling and the Python clients' (enums by number) are stored alike, and a field that does not exist is refused as
Google refuses it. The packages take half a second to import, so they are imported at the first write, in a thread.
"""

from __future__ import annotations

import re
from typing import Any

from backend.emulator.google.errors import ApiError, invalid
from backend.emulator.loading import load

_PACKAGES = {"container.googleapis.com": "google.cloud.container_v1", "gkehub.googleapis.com": "google.cloud.gkehub_v1"}
_NO_FIELD = re.compile(r'no field named "(?P<name>[^"]*)" at "(?P<at>[^"]*)"')


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
    try:
        json_format.ParseDict(body, target)
    except json_format.ParseError as error:
        raise _refusal(message, str(error)) from None
    canonical: dict[str, Any] = json_format.MessageToDict(target)
    return canonical


def _refusal(message: str, text: str) -> ApiError:
    if match := _NO_FIELD.search(text):
        at = match["at"].removeprefix(message).lstrip(".")
        where = f" at '{at}'" if at else ""
        description = f'Invalid JSON payload received. Unknown name "{match["name"]}"{where}: Cannot find field.'
        return invalid(description, field=at, description=description)
    return invalid(f"Invalid JSON payload received. {text.splitlines()[0]}")
