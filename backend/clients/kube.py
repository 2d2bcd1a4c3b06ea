"""The Kubernetes API of one cluster.

Speaks plain JSON objects over kubernetes.aio's REST client: a few well-known paths need neither its models nor
discovery. Invariant: equal lists that are asked for at the same time share one request, and a read never shares with
one that began before a write of this process.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlencode

from backend.clients.api_server import UNREACHABLE_FIX, ApiServer
from backend.clients.kinds import POD, Kind
from backend.clients.kube_proxy import ProxyResponse
from backend.errors import PATIENCE_S

Object = dict[str, Any]
Objects = list[Object]


class Kube(ApiServer):
    """The objects of one cluster; safe to share between tasks of one event loop."""

    def __init__(
        self,
        server: str,
        ca_pem: bytes,
        token: Callable[[], Awaitable[str]],
        *,
        cluster: str = "",
        unreachable_fix: str = UNREACHABLE_FIX,
        patience_s: float = PATIENCE_S,
    ) -> None:
        super().__init__(server, ca_pem, token, cluster=cluster, unreachable_fix=unreachable_fix, patience_s=patience_s)
        self._lists: dict[tuple[int, str], asyncio.Task[Objects]] = {}

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        """Read one object; ``None`` when it, its namespace or its kind is absent."""
        status, body = await self._send("GET", kind.path(namespace, name), f"read {_named(kind, namespace, name)}")
        return None if status == 404 else _object(body)

    async def list(self, kind: Kind, namespace: str | None = None, labels: Mapping[str, str] | None = None) -> Objects:
        """Read all objects of a kind, in one namespace or in all; empty when the cluster does not know the kind."""
        query = {"labelSelector": ",".join(f"{key}={value}" for key, value in labels.items())} if labels else {}
        key = (self._writes, _url(kind.path(namespace), query))
        flight = self._lists.get(key)
        if flight is None:
            flight = asyncio.create_task(self._list(kind, key[1]), name=f"list {kind.plural}")
            self._lists[key] = flight
            flight.add_done_callback(lambda done: self._landed(key, done))
        return list(await asyncio.shield(flight))

    async def apply(
        self, obj: Mapping[str, Any], *, manager: str, dry_run: bool = False, force: bool = False
    ) -> Object:
        """Apply an object on the server's side, unknown fields refused; give it as the server then has it.

        ``force`` takes fields over from other managers; without it their fields raise ``Conflict``.
        """
        kind, meta = Kind.of(obj), obj["metadata"]
        query = {"fieldManager": manager, "fieldValidation": "Strict"}
        query |= {"dryRun": "All"} if dry_run else {}
        query |= {"force": "true"} if force else {}
        namespace, name = meta.get("namespace"), meta["name"]
        _, body = await self._send(
            "PATCH",
            _url(kind.path(namespace, name), query),
            f"apply {_named(kind, namespace, name)}",
            body=obj,
            content_type="application/apply-patch+yaml",
            missing_is_an_error=True,
            writes=not dry_run,
        )
        return _object(body)

    async def create(self, obj: Mapping[str, Any], *, manager: str = "mcig") -> Object:
        """Create an object; raises ``AlreadyExists``."""
        kind, meta = Kind.of(obj), obj["metadata"]
        namespace = meta.get("namespace")
        _, body = await self._send(
            "POST",
            _url(kind.path(namespace), {"fieldManager": manager, "fieldValidation": "Strict"}),
            f"create {_named(kind, namespace, meta['name'])}",
            body=obj,
            missing_is_an_error=True,
            writes=True,
        )
        return _object(body)

    async def replace(self, obj: Mapping[str, Any], *, manager: str = "mcig") -> Object:
        """Replace an object as a whole; raises ``NotFound``, and ``Conflict`` when its resourceVersion is old."""
        kind, meta = Kind.of(obj), obj["metadata"]
        namespace, name = meta.get("namespace"), meta["name"]
        _, body = await self._send(
            "PUT",
            _url(kind.path(namespace, name), {"fieldManager": manager, "fieldValidation": "Strict"}),
            f"replace {_named(kind, namespace, name)}",
            body=obj,
            missing_is_an_error=True,
            writes=True,
        )
        return _object(body)

    async def delete(self, kind: Kind, namespace: str | None, name: str) -> bool:
        """Ask for an object's deletion, its dependents after it; ``False`` when it was not there."""
        url = _url(kind.path(namespace, name), {"propagationPolicy": "Background"})
        status, _ = await self._send("DELETE", url, f"delete {_named(kind, namespace, name)}", writes=True)
        return status != 404

    async def logs(
        self,
        namespace: str,
        pod: str,
        container: str,
        since_s: float,
        *,
        most_bytes: int | None = None,
        previous: bool = False,
    ) -> str:
        """Read what a container has written in the last seconds, no more than its first bytes when these are bounded.

        With ``previous`` it is what it wrote before it was started again. Empty when the Pod is gone.
        """
        query = {"container": container, "sinceSeconds": str(max(1, math.ceil(since_s)))}
        query |= {} if most_bytes is None else {"limitBytes": str(most_bytes)}
        query |= {"previous": "true"} if previous else {}
        url = _url(f"{POD.path(namespace, pod)}/log", query)
        status, body = await self._send("GET", url, f"read the log of Pod {namespace}/{pod}")
        return "" if status == 404 else body.decode(errors="replace")

    @asynccontextmanager
    async def proxy(
        self,
        namespace: str,
        pod: str,
        port: int,
        path: str,
        *,
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        read_timeout_s: float = 300.0,
    ) -> AsyncIterator[ProxyResponse]:
        """Send a request to a Pod's port through the API server and stream the answer, whatever its status.

        ``body`` is sent as JSON. ``read_timeout_s`` bounds the silence between two pieces of the answer. The API server
        keeps the bearer token to itself. Raises ``Unavailable`` without a connection to the API server.
        """
        target = f"{POD.path(namespace)}/{quote(pod, safe='')}:{port}/proxy/{path.lstrip('/')}"
        response = await self._open(
            method, target, f"reach Pod {namespace}/{pod}", body=body, headers=headers, read_timeout_s=read_timeout_s
        )
        try:
            yield ProxyResponse(response.status, response.headers, response)
        finally:
            response.close()

    async def close(self) -> None:
        """Give the connections back; lists under way are given up."""
        for flight in list(self._lists.values()):
            flight.cancel()
        await asyncio.gather(*self._lists.values(), return_exceptions=True)
        await super().close()

    async def _list(self, kind: Kind, url: str) -> Objects:
        status, body = await self._send("GET", url, f"list {kind.plural}")
        if status == 404:
            return []
        shape = {"apiVersion": kind.group_version, "kind": kind.name}
        return [shape | item for item in _object(body).get("items") or ()]

    def _landed(self, key: tuple[int, str], flight: asyncio.Task[Objects]) -> None:
        self._lists.pop(key, None)
        if not flight.cancelled():
            flight.exception()


def _url(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _object(body: bytes) -> Object:
    found: Object = json.loads(body)
    return found


def _named(kind: Kind, namespace: str | None, name: str) -> str:
    return f"{kind.name or kind.plural} {namespace}/{name}" if namespace else f"{kind.name or kind.plural} {name}"
