"""Watches: the changes of a list, streamed as they happen.

Invariant: a watch sees every change after the version it starts from, once and in order, or is told 410.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from backend.emulator.kube import body, errors, tables
from backend.emulator.kube.answers import metadata_alone, versioned
from backend.emulator.kube.body import Form
from backend.emulator.kube.objects import Object, Objects
from backend.emulator.kube.options import whole
from backend.emulator.kube.selectors import Match
from backend.emulator.kube.target import Target
from backend.emulator.kube.watch import Event

_BOOKMARK_SECONDS = 60.0
_LONGEST_S = 1800
"""Seconds of a watch whose client does not say how long."""


async def watch(request: web.Request, store: Objects, place: Target, match: Match) -> web.StreamResponse:
    """Streams changes of a list, one JSON document a line, until the client leaves or its timeout comes."""
    if "watch" not in place.kind.verbs:
        raise errors.method_not_allowed()
    view = _View(request, store, place, match)
    with store.history.follow(place.resource) as queue:
        first = view.backlog()
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        for document in first:
            await response.write(document)
        if view.ended:
            return response
        end = time.monotonic() + view.longest_s
        while (left := end - time.monotonic()) > 0:
            try:
                event = await asyncio.wait_for(queue.get(), min(left, _BOOKMARK_SECONDS))
            except TimeoutError:
                if view.bookmarks:
                    await response.write(view.bookmark())
                continue
            if event is None:
                break
            document = view.document(event)
            if document:
                await response.write(document)
    return response


class _View:
    """What one watch sees of the changes."""

    def __init__(self, request: web.Request, store: Objects, place: Target, match: Match) -> None:
        query = request.query
        self._store = store
        self._place = place
        self._match = match
        self._form = body.form_of(request)
        self._include = query.get("includeObject") or "Metadata"
        self._columns = True
        self._from = query.get("resourceVersion") or ""
        self._initial = query.get("sendInitialEvents") in ("true", "1")
        self._sent = 0
        self.longest_s = whole("timeoutSeconds", query.get("timeoutSeconds") or 0) or _LONGEST_S
        self.bookmarks = query.get("allowWatchBookmarks") in ("true", "1")
        self.ended = False

    def backlog(self) -> list[bytes]:
        """What is sent at once: the present objects, or what happened since the version asked for."""
        self._sent = self._store.revision
        if self._initial or self._from in ("", "0"):
            if self._initial and not self.bookmarks:
                raise errors.bad_request("sendInitialEvents is only allowed with allowWatchBookmarks")
            found = self._store.list(self._place.resource, self._place.namespace)
            lines = [self._line("ADDED", obj) for obj in found if self._match(obj)]
            return [*lines, self.bookmark(initial=True)] if self._initial else lines
        if not self._from.isdigit():
            raise errors.bad_request(f'invalid resource version "{self._from}"')
        try:
            events = self._store.history.since(self._place.resource, int(self._from))
        except errors.ApiError as gone:
            self.ended = True
            return [body.dumps({"type": "ERROR", "object": gone.status()}) + b"\n"]
        self._sent = 0
        lines = [line for event in events if (line := self.document(event))]
        self._sent = self._store.revision
        return lines

    def document(self, event: Event) -> bytes:
        """The line for a change; empty when this watch does not see it."""
        if event.revision <= self._sent:
            return b""
        namespace = event.obj["metadata"].get("namespace")
        if self._place.namespace is not None and namespace != self._place.namespace:
            return b""
        now = event.type != "DELETED" and self._match(event.obj)
        before = event.before is not None and self._match(event.before)
        if now:
            return self._line("MODIFIED" if before else "ADDED", event.obj)
        return self._line("DELETED", event.obj) if before else b""

    def bookmark(self, *, initial: bool = False) -> bytes:
        """The line that says how far the watch has come."""
        meta: dict[str, Any] = {"resourceVersion": str(self._store.revision), "creationTimestamp": None}
        if initial:
            meta["annotations"] = {"k8s.io/initial-events-end": "true"}
        kind = self._place.kind
        obj: Object = {
            "kind": kind.kind,
            "apiVersion": kind.api_version(self._place.version),
            "metadata": meta,
        }
        if self._form is Form.TABLE:
            obj = self._rows([], meta)
        elif self._form is Form.METADATA:
            obj = metadata_alone(obj)
        return body.dumps({"type": "BOOKMARK", "object": obj}) + b"\n"

    def _line(self, event: str, seen: Mapping[str, Any]) -> bytes:
        obj: Object = dict(seen)
        if self._form is Form.METADATA:
            obj = metadata_alone(obj)
        elif self._form is Form.TABLE:
            meta = {"resourceVersion": obj["metadata"]["resourceVersion"]}
            obj = self._rows([obj], meta)
            if not self._columns:
                obj["columnDefinitions"] = None
            self._columns = False
        else:
            obj = versioned(obj, self._place)
        return body.dumps({"type": event, "object": obj}) + b"\n"

    def _rows(self, objects: list[Object], meta: Mapping[str, Any]) -> Object:
        return tables.table(
            self._place.kind,
            self._place.version,
            objects,
            meta,
            now=self._store.now(),
            include=self._include,
            show=lambda obj: versioned(dict(obj), self._place),
        )
