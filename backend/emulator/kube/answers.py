"""Objects and lists as a client wants them: in the version of its path, plain or as a Table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from backend.emulator.kube import body, tables
from backend.emulator.kube.body import Form
from backend.emulator.kube.events import EVENTS, regarding
from backend.emulator.kube.objects import Object, Objects
from backend.emulator.kube.paging import Page
from backend.emulator.kube.target import Target

_META = {"apiVersion": "meta.k8s.io/v1"}


def versioned(obj: Object, place: Target) -> Object:
    """An object in the group and version that were asked for."""
    if place.kind.other_form_of == EVENTS:
        return regarding(obj)
    wanted = place.kind.api_version(place.version)
    return obj if obj["apiVersion"] == wanted or place.subresource == "scale" else {**obj, "apiVersion": wanted}


def metadata_alone(obj: Object) -> Object:
    """An object as nothing but its metadata."""
    return {"kind": "PartialObjectMetadata", **_META, "metadata": obj["metadata"]}


def one(
    request: web.Request,
    store: Objects,
    place: Target,
    obj: Object,
    *,
    status: int = 200,
    warnings: list[str] | None = None,
) -> web.Response:
    """The answer with one object."""
    form = body.form_of(request)
    if form is Form.TABLE and place.subresource != "scale":
        obj = _table(request, store, place, [obj], {"resourceVersion": obj["metadata"].get("resourceVersion", "")})
    elif form is Form.METADATA:
        obj = metadata_alone(obj)
    else:
        obj = versioned(obj, place)
    return body.answer(request, obj, status=status, warnings=warnings)


def many(request: web.Request, store: Objects, place: Target, page: Page) -> web.Response:
    """The answer with a list, or a page of one."""
    form = body.form_of(request)
    if form is Form.TABLE:
        return body.answer(request, _table(request, store, place, page.objects, page.meta))
    if form is Form.METADATA:
        items = [metadata_alone(obj) for obj in page.objects]
        return body.answer(
            request, {"kind": "PartialObjectMetadataList", **_META, "metadata": page.meta, "items": items}
        )
    document = {
        "kind": f"{place.kind.kind}List",
        "apiVersion": place.kind.api_version(place.version),
        "metadata": page.meta,
        "items": [versioned(obj, place) for obj in page.objects],
    }
    return body.answer(request, document)


def _table(
    request: web.Request, store: Objects, place: Target, objects: Sequence[Object], meta: Mapping[str, Any]
) -> Object:
    include = request.query.get("includeObject") or "Metadata"
    return tables.table(
        place.kind,
        place.version,
        objects,
        meta,
        now=store.now(),
        include=include,
        show=lambda obj: versioned(dict(obj), place),
    )
