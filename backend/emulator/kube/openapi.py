"""OpenAPI documents of a cluster, as kubectl reads them: version 3, one a group and version, and an empty version 2.

They hold what clients use: the PATCH operations with their group-version-kind and ``fieldValidation`` parameter, so
that kubectl leaves validation to the server, and the schemas for ``kubectl explain``. A document is made when first
asked for and kept for all clusters, under a fingerprint of the kinds in it. Version 2 is asked for kinds that version 3
does not have: it must be there for kubectl to say that a CustomResourceDefinition is missing.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

from aiohttp import web

from backend.emulator.kube import body
from backend.emulator.kube.builtin import ModelSchema, model_schema
from backend.emulator.kube.errors import no_such_path
from backend.emulator.kube.registry import Kind, Registry
from backend.emulator.kube.schema import Schema

_PARAMETERS = [
    {"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": True}}
    for name, kind in (
        ("dryRun", "string"),
        ("fieldManager", "string"),
        ("fieldValidation", "string"),
        ("force", "boolean"),
    )
]
_DOCUMENTS: dict[tuple[str, str], bytes] = {}
_V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_EMPTY_V2 = b"\x0a\x032.0\x12\x0c\x0a\x0aKubernetes"


def version_2(request: web.Request) -> web.Response:
    """The document at /openapi/v2, in protobuf where the client asks for it."""
    if "protobuf" in request.headers.get("Accept", ""):
        return web.Response(body=_EMPTY_V2, content_type=_V2_PROTOBUF)
    return body.answer(request, {"swagger": "2.0", "info": {"title": "Kubernetes"}, "paths": {}})


async def version_3(request: web.Request, path: str, registry: Registry) -> web.Response:
    """The index at /openapi/v3, or the document of a group and version below it."""
    places = {
        (f"apis/{group}/{version}" if group else f"api/{version}"): kinds
        for group, versions in registry.groups().items()
        for version, kinds in versions.items()
    }
    if path == "/openapi/v3":
        index = {
            place: {"serverRelativeURL": f"/openapi/v3/{place}?hash={_fingerprint(place, kinds)}"}
            for place, kinds in places.items()
        }
        return body.answer(request, {"paths": index})
    place = path.removeprefix("/openapi/v3/")
    if place not in places:
        raise no_such_path()
    kinds = places[place]
    key = (place, _fingerprint(place, kinds))
    text = _DOCUMENTS.get(key)
    if text is None:
        text = _DOCUMENTS[key] = body.dumps(await asyncio.to_thread(_document, place, kinds))
    return web.Response(body=text, content_type="application/json")


def _fingerprint(place: str, kinds: list[Kind]) -> str:
    digest = hashlib.sha256(place.encode())
    for kind in kinds:
        digest.update(kind.plural.encode())
        for version, schema in kind.schemas.items():
            digest.update(version.encode() + body.dumps(schema.raw))
    return digest.hexdigest()[:32].upper()


def _document(place: str, kinds: list[Kind]) -> dict[str, Any]:
    version = place.rpartition("/")[2]
    schemas: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for kind in kinds:
        gvk = {"group": kind.group, "version": version, "kind": kind.kind}
        if kind.custom:
            name = f"{'.'.join(reversed(kind.group.split('.')))}.{version}.{kind.kind}"
            schemas[name] = {**kind.schemas[version].raw}
        else:
            model = model_schema(kind.model or "")
            name = _model_name(model)
            schemas[name] = _built_in(model, schemas)
        schemas[name]["x-kubernetes-group-version-kind"] = [gvk]
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
        where = "namespaces/{namespace}/" if kind.namespaced else ""
        operations[f"/{place}/{where}{kind.plural}/{{name}}"] = {
            "patch": {
                "parameters": _PARAMETERS,
                "x-kubernetes-action": "patch",
                "x-kubernetes-group-version-kind": gvk,
                "requestBody": {"content": {"application/apply-patch+yaml": {"schema": {"type": "object"}}}},
                "responses": {"200": {"description": "OK", "content": content}},
            }
        }
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": version},
        "paths": operations,
        "components": {"schemas": schemas},
    }


def _model_name(schema: Schema) -> str:
    """A name whose last part is what ``kubectl explain`` prints: ``io.k8s.api.v1.Container``."""
    version = schema.model.__name__.removesuffix(schema.title).lower() if isinstance(schema, ModelSchema) else ""
    return f"io.k8s.api.{version}.{schema.title}"


def _built_in(schema: Schema, schemas: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI form of a schema; models that it refers to are put into ``schemas``."""
    if isinstance(schema, ModelSchema):
        properties = {name: _reference(child, schemas) for name, child in schema.properties.items()}
        found: dict[str, Any] = {"type": "object", "description": schema.description, "properties": properties}
        return found | ({"required": list(schema.required)} if schema.required else {})
    found = {key: value for key, value in schema.raw.items() if key in ("type", "format", "description")}
    if schema.type == "int-or-string":
        found |= {"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"}
    if schema.items is not None:
        found["items"] = _reference(schema.items, schemas)
    elif schema.values is not None:
        found["additionalProperties"] = _reference(schema.values, schemas)
    return found or {"type": "object"}


def _reference(schema: Schema, schemas: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(schema, ModelSchema):
        return _built_in(schema, schemas)
    name = _model_name(schema)
    if name not in schemas:
        schemas[name] = {}
        schemas[name] = _built_in(schema, schemas)
    return {"allOf": [{"$ref": f"#/components/schemas/{name}"}]}
