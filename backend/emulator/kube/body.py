"""Request bodies and answers: JSON, YAML, and the protobuf that kubectl insists on.

Invariant: what cannot be read is a 400 or 415 Status, what cannot be answered is a 406; nothing is guessed.
"""

from __future__ import annotations

import json
from enum import Enum, auto
from typing import Any

import yaml
from aiohttp import web

from backend.emulator.kube import protobuf
from backend.emulator.kube.errors import bad_request, not_acceptable, too_large, unsupported_media_type

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
_BODY_TYPES = (JSON, YAML, PROTOBUF)
_LIMIT = 3 * 1024 * 1024
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse(text: bytes, content_type: str) -> Any:
    """The document in a JSON or YAML body; times in YAML stay text, as in the API server."""
    try:
        if content_type in (JSON, ""):
            return json.loads(text)
        return yaml.load(text, Loader=_TextLoader)  # noqa: S506 (a safe loader)
    except (ValueError, yaml.YAMLError) as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from None


class _TextLoader(_Loader):  # type: ignore[misc, valid-type]
    """YAML as Kubernetes reads it: no timestamps."""


_TextLoader.yaml_implicit_resolvers = {
    first: [(tag, expression) for tag, expression in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}


async def read(request: web.Request) -> bytes:
    """The body; raises 413 when it is larger than etcd would take."""
    if request.content_length is not None and request.content_length > _LIMIT:
        raise too_large(_LIMIT)
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise too_large(_LIMIT) from None


async def read_object(request: web.Request) -> dict[str, Any]:
    """The object in a body, of whatever content type the API server takes."""
    content_type = request.content_type if request.headers.get("Content-Type") else JSON
    if content_type not in _BODY_TYPES:
        raise unsupported_media_type(_BODY_TYPES)
    text = await read(request)
    if content_type == PROTOBUF:
        found = protobuf.decode(text)
        if found is None:
            raise unsupported_media_type(_BODY_TYPES)
        return found
    found = parse(text, content_type)
    if not isinstance(found, dict):
        raise bad_request("couldn't get version/kind; json parse error: the body is not an object")
    return found


class Form(Enum):
    """What an answer with objects is made of."""

    WHOLE = auto()
    TABLE = auto()
    METADATA = auto()
    """Nothing but apiVersion, kind and metadata."""


def form_of(request: web.Request) -> Form:
    """What the client would rather have; raises 406 when it takes nothing that can be sent."""
    accepted = request.headers.get("Accept", "")
    if not accepted:
        return Form.WHOLE
    for part in accepted.split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        if media not in (JSON, YAML, "*/*", "application/*"):
            continue
        form = next((parameter[3:] for parameter in parameters if parameter.startswith("as=")), None)
        if form == "Table":
            return Form.TABLE
        if form in ("PartialObjectMetadata", "PartialObjectMetadataList"):
            return Form.METADATA
        if form in (None, "APIGroupDiscoveryList"):
            return Form.WHOLE
    raise not_acceptable()


def dumps(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def answer(request: web.Request, value: Any, *, status: int = 200, warnings: list[str] | None = None) -> web.Response:
    """A response with a document, in YAML only when that is all the client takes."""
    as_yaml = YAML in request.headers.get("Accept", "") and JSON not in request.headers.get("Accept", "")
    text = yaml.safe_dump(value, sort_keys=False).encode() if as_yaml else dumps(value)
    response = web.Response(body=text, status=status, content_type=YAML if as_yaml else JSON)
    for warning in warnings or ():
        escaped = warning.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{escaped}"')
    return response
