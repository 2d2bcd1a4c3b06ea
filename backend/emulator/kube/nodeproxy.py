"""What the API server passes on to a node: Pod logs, commands in containers, and the proxy to Pods and Services.

Invariant: bytes go on as they come, in both directions, and a client that goes away ends the work for it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import hdrs, web
from yarl import URL

from backend.emulator.kube import errors, remotecommand
from backend.emulator.kube.objects import Object, Objects
from backend.emulator.kube.options import flag, moment, whole
from backend.emulator.kube.reached import Serving
from backend.emulator.kube.target import Target

_HOP_HEADERS = frozenset(
    {
        "authorization",
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


class NodeProxy:
    """The API server's way to the processes of a cluster's Pods."""

    def __init__(self, cluster: Serving) -> None:
        self._cluster = cluster
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Closes the connections to Pods."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def log(self, request: web.Request, pod: Object) -> web.StreamResponse:
        """Sends a container's log, and goes on sending it with ``follow``."""
        query, meta = request.query, pod["metadata"]
        container = _container(pod, query.get("container"))
        status = _status(pod, container)
        waiting, ended = status.get("state", {}).get("waiting"), "terminated" in status.get("lastState", {})
        previous = flag(request, "previous")
        if previous and not ended:
            gone = f'previous terminated container "{container}" in pod "{meta["name"]}" not found'
            raise errors.bad_request(gone)
        if waiting is not None and not ended:
            why = waiting.get("reason", "ContainerCreating")
            raise errors.bad_request(f'container "{container}" in pod "{meta["name"]}" is waiting to start: {why}')
        tail = whole("tailLines", query["tailLines"]) if query.get("tailLines") else None
        since = float(whole("sinceSeconds", query["sinceSeconds"])) if query.get("sinceSeconds") else None
        limit = whole("limitBytes", query["limitBytes"]) if query.get("limitBytes") else None
        if query.get("sinceTime"):
            since = max(0.0, self._cluster.store.now() - moment("sinceTime", query["sinceTime"]))
        what = (self._cluster.key, meta["namespace"], meta["name"], container, tail, since)
        stamped = {"timestamps": True} if flag(request, "timestamps") else {}
        earlier = {"previous": True} if previous and waiting is None else {}
        kubelet = self._cluster.kubelet
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        if kubelet is None:
            return response
        if not flag(request, "follow"):
            lines: list[str] = kubelet.logs(*what, **stamped, **earlier)
            if text := "".join(f"{line}\n" for line in lines).encode()[:limit]:
                await response.write(text)
            return response
        following: AsyncIterator[str] = kubelet.follow(*what, **stamped)
        async for line in following:
            piece = f"{line}\n".encode()[:limit]
            await response.write(piece)
            if limit is not None and (limit := limit - len(piece)) <= 0:
                break
        return response

    async def command(self, request: web.Request, pod: Object, doing: str) -> web.StreamResponse:
        """Runs a command in a container (exec), or shows what its process writes (attach)."""
        container = _container(pod, request.query.get("container"))
        kubelet = self._cluster.kubelet
        if kubelet is None:
            raise errors.service_unavailable("no kubelet answers")
        run = remotecommand.execute if doing == "exec" else remotecommand.attach
        return await run(request, pod, container, kubelet=kubelet, cluster=self._cluster.key)

    async def proxy(self, request: web.Request, place: Target) -> web.StreamResponse:
        """Passes a request on to a port of a Pod, or of a ready Pod behind a Service."""
        address = _address(self._cluster, place)
        if address is None:
            raise errors.service_unavailable(f'no endpoints available for {place.kind.singular} "{place.name}"')
        rest = request.rel_url.raw_path.partition(f"/{place.kind.plural}/")[2].partition("/proxy")[2]
        query = f"?{request.rel_url.raw_query_string}" if request.rel_url.raw_query_string else ""
        url = URL(f"http://{address[0]}:{address[1]}{rest or '/'}{query}", encoded=True)
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=None, connect=10)
            connector = aiohttp.TCPConnector(limit=0)
            self._session = aiohttp.ClientSession(timeout=timeout, connector=connector, auto_decompress=False)
        try:
            upstream = await self._session.request(
                request.method,
                url,
                headers=[(name, value) for name, value in request.headers.items() if name.lower() not in _HOP_HEADERS],
                data=request.content if request.can_read_body else None,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise errors.service_unavailable(f"error trying to reach service: {error}") from None
        async with upstream:
            hidden = self._cluster.unreported() if url.path == "/metrics" else ()
            return await (_without(upstream, hidden) if hidden else _pass_on(request, upstream))


async def _without(upstream: aiohttp.ClientResponse, metrics: tuple[str, ...]) -> web.StreamResponse:
    """A page of metrics without some, as a process would write it that does not have them."""
    names = "|".join(re.escape(one) for one in metrics)
    line = re.compile(rf"^(# (HELP|TYPE) )?({names})\b.*\n?", re.MULTILINE)
    kept = line.sub("", await upstream.text())
    kind = upstream.headers.get(hdrs.CONTENT_TYPE, "text/plain")
    return web.Response(status=upstream.status, body=kept.encode(), headers={hdrs.CONTENT_TYPE: kind})


def _container(pod: Object, asked: str | None) -> str:
    spec, name = pod["spec"], pod["metadata"]["name"]
    starts = [one["name"] for one in spec.get("initContainers") or ()]
    names = [one["name"] for one in spec["containers"]]
    if asked:
        if asked not in (*starts, *names):
            raise errors.bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    if len(names) + len(starts) > 1:
        choices = f"choose one of: [{' '.join(names)}]"
        if starts:
            choices += f" or one of the init containers: [{' '.join(starts)}]"
        raise errors.bad_request(f"a container name must be specified for pod {name}, {choices}")
    return str(names[0])


def _status(pod: Object, container: str) -> Object:
    """What the Pod says of a container; empty where it says nothing."""
    status = pod.get("status") or {}
    told = [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]
    return next((one for one in told if one.get("name") == container), {})


async def _pass_on(request: web.Request, upstream: aiohttp.ClientResponse) -> web.StreamResponse:
    """Passes an answer on; when its source breaks off, so does the answer."""
    response = web.StreamResponse(status=upstream.status, reason=upstream.reason)
    for name, value in upstream.headers.items():
        if name.lower() not in _HOP_HEADERS:
            response.headers.add(name, value)
    if upstream.headers.get(hdrs.CONTENT_LENGTH) and request.method != "HEAD":
        response.content_length = int(upstream.headers[hdrs.CONTENT_LENGTH])
    await response.prepare(request)
    try:
        async for chunk in upstream.content.iter_any():
            await response.write(chunk)
    except aiohttp.ClientPayloadError:
        if request.transport is not None:
            request.transport.abort()
        return response
    await response.write_eof()
    return response


def _address(cluster: Serving, place: Target) -> tuple[str, int] | None:
    name = (place.name or "").removeprefix("http:")
    bare, _, port = name.partition(":")
    namespace = place.namespace or "default"
    kubelet = cluster.kubelet
    found = cluster.store.get(place.resource, namespace, bare)
    if found is None:
        raise errors.not_found(place.kind.group, place.kind.plural, bare)
    if kubelet is None:
        return None
    if place.resource == "/pods":
        number = _pod_port(found, port)
        address: tuple[str, int] | None = kubelet.address(cluster.key, namespace, bare, number)
        return address
    for pod, number in _behind(cluster.store, found, port):
        address = kubelet.address(cluster.key, namespace, pod["metadata"]["name"], number)
        if address is not None:
            return address
    return None


def _pod_port(pod: Object, port: str) -> int:
    if port.isdigit():
        return int(port)
    ports = [one for container in pod["spec"]["containers"] for one in container.get("ports") or ()]
    for one in ports:
        if not port or one.get("name") == port:
            return int(one["containerPort"])
    if port:
        raise errors.service_unavailable(f'no such port "{port}"')
    return 80


def _behind(store: Objects, service: Object, port: str) -> list[tuple[Object, int]]:
    """The Pods that a Service selects, each with the number of the wanted port."""
    spec = service["spec"]
    wanted = next(
        (one for one in spec.get("ports") or () if port in ("", str(one["port"]), one.get("name"))),
        None,
    )
    if wanted is None or not spec.get("selector"):
        return []
    selected = store.list("/pods", service["metadata"]["namespace"], spec["selector"])
    aim = str(wanted.get("targetPort", wanted["port"]))
    ready = [pod for pod in selected if _ready(pod)]
    return [(pod, int(aim) if aim.isdigit() else _pod_port(pod, aim)) for pod in ready]


def _ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)
