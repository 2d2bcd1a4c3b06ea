"""One HTTP request and its answer over ASGI's receive and send.

Why: the model server is raw ASGI, and this is all of HTTP that it needs. Invariant: every answer is logged once, at the
moment its status is sent, as uvicorn's access log does.
"""

import json
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

from backend.emulator.serving.vllm_logs import ServerLog

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class ClientGone(Exception):
    """The client hung up before its request was whole."""


class Exchange:
    """One request and its answer, over ASGI's receive and send."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, log: ServerLog) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self._client: tuple[str, int] | None = scope.get("client")
        self._receive = receive
        self._send = send
        self._log = log

    def request_id(self) -> str:
        """The client's X-Request-Id, else random hex."""
        given = self.headers.get(b"x-request-id", b"").decode("latin-1")
        return given or secrets.token_hex(16)

    async def body(self) -> bytes:
        """Read the whole body; raises ClientGone when the client hangs up before its end."""
        parts = []
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
        return b"".join(parts)

    async def hangup(self) -> None:
        """Return when the client has gone; call it after the body was read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def start(self, status: int, content_type: bytes | None, length: int | None = None) -> None:
        """Send the status and headers, and log the access as uvicorn does at this moment."""
        headers = [(b"content-type", content_type)] if content_type else []
        if length is not None:
            headers.insert(0, (b"content-length", str(length).encode()))
        self._log.access(self._client, self.method, self.path, f"{status} {HTTPStatus(status).phrase}")
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, body: bytes, *, last: bool = False) -> None:
        """Send a part of the body."""
        await self._send({"type": "http.response.body", "body": body, "more_body": not last})

    async def answer(self, status: int, body: dict[str, Any] | None) -> None:
        """Send a whole JSON answer, or an empty one."""
        data = b"" if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        await self.start(status, b"application/json" if body is not None else None, len(data))
        await self.write(data, last=True)

    async def answer_text(self, status: int, text: str) -> None:
        """Send a whole plain-text answer."""
        await self.start(status, b"text/plain; charset=utf-8", len(text.encode()))
        await self.write(text.encode(), last=True)
