"""The Kubernetes API server of one cluster: who is let in, and which part answers a request.

Invariant: what is answered is what the real server would answer; every failure is a metav1.Status.
"""

from __future__ import annotations

import asyncio
import hmac
import logging

from aiohttp import web

from backend.emulator.kube import access, answers, body, discovery, errors, openapi, options, paging, target
from backend.emulator.kube.events import EVENTS, expire
from backend.emulator.kube.nodeproxy import NodeProxy
from backend.emulator.kube.reached import Serving
from backend.emulator.kube.scale import scale_of
from backend.emulator.kube.target import Target
from backend.emulator.kube.watching import watch
from backend.emulator.kube.writing import Writer

log = logging.getLogger(__name__)

_HEALTH = ("/healthz", "/livez", "/readyz")
_PUBLIC = (*_HEALTH, "/version")
_PLAIN = (*_PUBLIC, "/")

_NO_FORWARDING = (
    "port-forward speaks SPDY, also inside a WebSocket, and that is not emulated; "
    "ask the Pod through the proxy instead: kubectl get --raw /api/v1/namespaces/NAMESPACE/pods/NAME:PORT/proxy/PATH"
)


class ApiServer:
    """Answers the requests of one cluster."""

    def __init__(self, cluster: Serving) -> None:
        self._cluster = cluster
        self._store = cluster.store
        self._writer = Writer(cluster.store, cluster.denies)
        self._nodes = NodeProxy(cluster)

    async def close(self) -> None:
        """Ends what is kept open towards the nodes."""
        await self._nodes.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answers any request."""
        self._cluster.seen()
        if self._cluster.down():
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        try:
            path = request.rel_url.raw_path
            if "/proxy" not in path:
                path = path.rstrip("/") or "/"
            self._authenticate(request, path)
            return await self._route(request, path)
        except errors.ApiError as error:
            response = web.json_response(error.status(), status=error.code)
            if error.code == 401:
                response.headers["WWW-Authenticate"] = "Bearer"
            return response
        except (ConnectionResetError, asyncio.CancelledError):
            raise
        except Exception as error:
            log.exception("%s %s failed", request.method, request.path)
            failure = errors.ApiError(500, "InternalError", f"Internal error occurred: {type(error).__name__}")
            return web.json_response(failure.status(), status=500)

    def _authenticate(self, request: web.Request, path: str) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), self._cluster.token.encode()):
            return
        if path not in _PUBLIC or token:
            raise errors.unauthorized()

    async def _route(self, request: web.Request, path: str) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD") and (path in _PLAIN or path.startswith("/openapi/")):
            raise errors.method_not_allowed()
        if path in _HEALTH:
            return web.Response(text="ok")
        if path == "/version":
            return body.answer(request, discovery.version(self._cluster.version))
        if path == "/":
            return body.answer(request, {"paths": discovery.paths(self._store.registry)})
        if path == "/openapi/v2":
            return openapi.version_2(request)
        if path.startswith("/openapi/v3"):
            return await openapi.version_3(request, path, self._store.registry)
        document = discovery.answer(request, path, self._store.registry)
        if document is not None:
            return document
        place = target.parse(path, self._store.registry)
        access.check(self._cluster.denies, request.method, place, watch=options.flag(request, "watch"))
        if place.subresource:
            return await self._subresource(request, place)
        return await (self._collection(request, place) if place.name is None else self._object(request, place))

    async def _collection(self, request: web.Request, place: Target) -> web.StreamResponse:
        verbs = place.kind.verbs
        if request.method == "GET" and "list" in verbs:
            if place.resource == EVENTS:
                expire(self._store)
            match = options.selection(request, place)
            if options.flag(request, "watch"):
                return await watch(request, self._store, place, match)
            return answers.many(request, self._store, place, paging.page(request, self._store, place, match))
        if request.method == "POST" and "create" in verbs:
            return await self._writer.create(request, place)
        if request.method == "DELETE" and "deletecollection" in verbs:
            return await self._writer.delete_all(request, place)
        raise errors.method_not_allowed()

    async def _object(self, request: web.Request, place: Target) -> web.StreamResponse:
        verbs = place.kind.verbs
        if request.method == "GET" and "get" in verbs:
            if options.flag(request, "watch"):
                return await watch(request, self._store, place, options.selection(request, place))
            return answers.one(request, self._store, place, self._writer.existing(place))
        if request.method == "PUT" and "update" in verbs:
            return await self._writer.put(request, place)
        if request.method == "PATCH" and "patch" in verbs:
            return await self._writer.patch(request, place)
        if request.method == "DELETE" and "delete" in verbs:
            return await self._writer.delete(request, place)
        raise errors.method_not_allowed()

    async def _subresource(self, request: web.Request, place: Target) -> web.StreamResponse:
        if place.resource == "/pods" and place.subresource == "log" and request.method == "GET":
            return await self._nodes.log(request, self._writer.existing(place))
        if place.resource == "/pods" and place.subresource in ("exec", "attach") and request.method in ("GET", "POST"):
            return await self._nodes.command(request, self._writer.existing(place), place.subresource)
        if place.resource == "/pods" and place.subresource == "portforward":
            self._writer.existing(place)
            raise errors.ApiError(501, "NotImplemented", _NO_FORWARDING)
        if place.resource in ("/pods", "/services") and place.subresource == "proxy":
            return await self._nodes.proxy(request, place)
        if place.subresource not in place.kind.subresources:
            raise errors.no_such_path()
        if request.method == "GET":
            live = self._writer.existing(place)
            return answers.one(request, self._store, place, scale_of(live) if place.subresource == "scale" else live)
        if request.method == "PUT":
            return await self._writer.put(request, place)
        if request.method == "PATCH":
            return await self._writer.patch(request, place)
        raise errors.method_not_allowed()
