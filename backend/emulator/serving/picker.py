"""The process that chooses where each request goes: `python -m backend.emulator.serving.picker SOCKET`.

Envoy asks it before it forwards a request (an external authorization call over a Unix socket) and gets the addresses to
try, the best first, in the header that a real endpoint picker uses. Steered by JSON lines on stdin: {"version",
"admin", "frontends": [{"name", "order", "endpoints", "objectives"}]}; it answers each with {"version"} on stdout. The
path of a question begins with a frontend's name. Invariants: the process ends when stdin closes; what it does not know
(a frontend, an objective) it lets pass, and Envoy then goes by distance and health alone.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import replace
from typing import Any

import aiohttp
import uvloop

from backend.emulator.serving.balance import Gauge, PodLoad, ranked, region_for, saturated
from backend.emulator.serving.http_server import HttpServer
from backend.emulator.serving.loads import Loads
from backend.emulator.serving.loopback import private_socket
from backend.emulator.serving.prefixes import Prefixes, blocks

DESTINATION = "x-gateway-destination-endpoint"
"""Header by which an endpoint picker tells the proxy where to go."""
OBJECTIVE = b"x-gateway-inference-objective"
SHED = b"inference gateway: InferencePoolResourceExhausted - system saturated, sheddable request dropped"
"""What the endpoint picker says when it drops a request (429)."""

Json = dict[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Picker:
    """Answers Envoy's question for every request of every frontend."""

    def __init__(self) -> None:
        self._frontends: dict[str, Json] = {}
        self._prefixes: dict[str, Prefixes] = {}
        self._loads: Loads | None = None
        self._admin: aiohttp.ClientSession | None = None
        self._admin_path = ""
        self._pages: aiohttp.ClientSession | None = None

    async def obey(self, order: Json) -> None:
        """Take over the frontends of an order."""
        if self._loads is None or order["admin"] != self._admin_path:
            await self.close()
            self._admin_path = order["admin"]
            self._admin = aiohttp.ClientSession(connector=aiohttp.UnixConnector(self._admin_path))
            self._pages = aiohttp.ClientSession()
            self._loads = Loads(self._admin, self._pages)
        self._frontends = {each["name"]: each for each in order["frontends"]}
        endpoints = {f"{e['host']}:{e['port']}": e for each in order["frontends"] for e in each["endpoints"]}
        for each in endpoints.values():
            each["gauges"] = tuple(Gauge(**gauge) for gauge in each["gauges"])
        self._loads.want(endpoints.values())

    async def close(self) -> None:
        """Stop looking at Pods and close connections."""
        if self._loads is not None:
            await self._loads.close()
        for session in (self._admin, self._pages):
            if session is not None:
                await session.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one question of Envoy's: 200 with the addresses to try, or 429."""
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = dict(scope["headers"])
        frontend = self._frontends.get(scope["path"].split("/", 2)[1])
        status, chosen = 200, ""
        if frontend is not None and self._loads is not None:
            status, chosen = self._choose(self._loads, frontend, headers, body)
        answer = [(DESTINATION.encode(), chosen.encode())] if chosen else []
        text = SHED if status == 429 else b""
        if text:
            answer.append((b"content-type", b"text/plain"))
        answer.append((b"content-length", str(len(text)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": answer})
        await send({"type": "http.response.body", "body": text})

    def _choose(self, loads: Loads, frontend: Json, headers: Mapping[bytes, bytes], body: bytes) -> tuple[int, str]:
        pods = loads.of(f"{each['host']}:{each['port']}" for each in frontend["endpoints"])
        region = region_for(frontend["order"], pods)
        if region is None:
            return 200, ""
        here = [pod for pod in pods if pod.region == region and pod.terms.scaler > 0]
        objective = headers.get(OBJECTIVE, b"").decode("latin-1")
        priority = frontend["objectives"].get(here[0].cluster, {}).get(objective, 0)
        if priority < 0 and saturated(here):
            return 429, ""
        wanted = blocks(body)
        known = self._prefixes.setdefault(here[0].cluster, Prefixes())
        order = ranked([self._with_prefix(pod, known, wanted) for pod in here])
        loads.admit(order[0].address)
        known.remember(wanted, order[0].address)
        return 200, ",".join(pod.address for pod in order)

    @staticmethod
    def _with_prefix(pod: PodLoad, known: Prefixes, wanted: list[int]) -> PodLoad:
        return replace(pod, prefix=known.share(wanted, pod.address)) if wanted else pod


async def serve(path: str) -> None:
    """Answer on the Unix socket and obey the orders on stdin until it closes."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=2**24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    picker = Picker()
    listener = private_socket(path)
    server = HttpServer(picker, drain_s=1)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while line := await reader.readline():
        order = json.loads(line)
        await picker.obey(order)
        sys.stdout.write(json.dumps({"version": order["version"]}) + "\n")
        sys.stdout.flush()
    server.should_exit = True
    await serving
    await picker.close()


def main() -> None:
    """Run the process; SIGINT is left to the parent, which closes stdin."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    uvloop.run(serve(sys.argv[1]))


if __name__ == "__main__":
    main()
