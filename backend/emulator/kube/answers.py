"""Objects and lists as a client wants them: in the version of its path, plain or as a Table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from backend.emulator.kube import body, tables
from backend.emulator.kube.events import EVENTS, regarding
from backend.emulator.kube.objects import Object, Objects
from backend.emulator.kube.paging import Page
from backend.emulator.kube.target import Target


def versioned(obj: Object, place: Target) -> Object:
    """An object in the group and version that were asked for."""
    if place.kind.other_form_of == EVENTS:
        return regarding(obj)
    wanted = place.kind.api_version(place.version)
    return obj if obj["apiVersion"] == wanted or place.subresource == "scale" else {**obj, "apiVersion": wanted}


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
    if body.wants_table(request) and place.subresource != "scale":
        obj = _table(request, store, place, [obj], {"resourceVersion": obj["metadata"].get("resourceVersion", "")})
    else:
        obj = versioned(obj, place)
    return body.answer(request, obj, status=status, warnings=warnings)


def many(request: web.Request, store: Objects, place: Target, page: Page) -> web.Response:
    """The answer with a list, or a page of one."""
    if body.wants_table(request):
        return body.answer(request, _table(request, store, place, page.objects, page.meta))
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
