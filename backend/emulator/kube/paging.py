"""Lists in pages: ``limit`` and ``continue``.

Invariant: all pages of a list show the objects as they were when its first page was given; a page that is asked for too
late is told 410, so that its client lists again. Source: k8s.io/apiserver/pkg/storage/continue.go.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from backend.emulator.kube import errors, options
from backend.emulator.kube.objects import Object, Objects
from backend.emulator.kube.selectors import Match
from backend.emulator.kube.target import Target

_FORM = "meta.k8s.io/v1"
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list, or all of it."""

    objects: list[Object]
    meta: dict[str, Any]
    """The ListMeta: the resourceVersion of the list, and how it goes on."""


def page(request: web.Request, store: Objects, place: Target, match: Match) -> Page:
    """The page that a request asks for; raises 400 for a token or limit that is none, 410 for one that is too old."""
    limit = _limit(request)
    token = request.query.get("continue")
    revision, after = _read(token) if token else (store.revision, None)
    found = {_key(obj): obj for obj in store.list(place.resource, place.namespace)}
    if token:
        _rewind(store, place, revision, found)
    wanted = [found[key] for key in sorted(found) if (after is None or key > after) and match(found[key])]
    meta: dict[str, Any] = {"resourceVersion": str(revision)}
    if limit and len(wanted) > limit:
        left = len(wanted) - limit
        wanted = wanted[:limit]
        meta["continue"] = _token(revision, _key(wanted[-1]))
        if not request.query.get("labelSelector") and not request.query.get("fieldSelector"):
            meta["remainingItemCount"] = left
    return Page(wanted, meta)


def _rewind(store: Objects, place: Target, revision: int, found: dict[Key, Object]) -> None:
    """Takes back what happened after a revision."""
    try:
        events = store.history.since(place.resource, revision)
    except errors.ApiError:
        message = (
            "The provided continue parameter is too old to display a consistent list result. You can start a new list "
            "without the continue parameter."
        )
        raise errors.ApiError(410, "Expired", message) from None
    for event in reversed(events):
        key = _key(event.obj)
        if place.namespace is not None and key[0] != place.namespace:
            continue
        if event.before is None:
            found.pop(key, None)
        else:
            found[key] = dict(event.before)


def _limit(request: web.Request) -> int:
    return max(options.whole("limit", request.query.get("limit") or "0"), 0)


def _key(obj: Any) -> Key:
    meta = obj["metadata"]
    return meta.get("namespace") or "", meta["name"]


def _token(revision: int, after: Key) -> str:
    said = {"v": _FORM, "rv": revision, "start": "/".join(after)}
    return base64.urlsafe_b64encode(json.dumps(said, separators=(",", ":")).encode()).decode().rstrip("=")


def _read(token: str) -> tuple[int, Key]:
    try:
        said = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        if said["v"] != _FORM:
            raise ValueError(said["v"])
        namespace, _, name = str(said["start"]).rpartition("/")
        return int(said["rv"]), (namespace, name)
    except (ValueError, KeyError, TypeError):
        raise errors.bad_request("continue key is not valid: it was not made by this server") from None
