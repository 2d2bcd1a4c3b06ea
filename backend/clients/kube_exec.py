"""A command in a Pod's container, and a request to the relay by way of one, where the Pod proxy is forbidden.

Invariants: what is sent goes through the command's input and never into its arguments, which the cluster's audit log
keeps; an answer that breaks off is an error and never a short answer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from backend.clients.kinds import POD
from backend.clients.kube_errors import error_of
from backend.clients.loading import load
from backend.clients.names import RELAY_CONTAINER, RELAY_POD
from backend.errors import Unavailable

if TYPE_CHECKING:
    import aiohttp

    from backend.clients.kube import Kube

ASK = ("python3", "/relay/relay.py", "--ask")
"""How the relay's own script is told to send what stands on its input to the relay that runs beside it."""
_STDIN, _STDOUT, _STDERR, _ERROR = b"\x00", 1, 2, 3
_PROTOCOL = "v4.channel.k8s.io"
_LONGEST_HEAD = 65536
_LONGEST_TEXT = 500


class Output:
    """What a command writes, as it arrives."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, doing: str, silence_s: float) -> None:
        self._socket, self._doing, self._silence_s = socket, doing, silence_s

    async def chunks(self) -> AsyncIterator[bytes]:
        """Give the output piece by piece; raises ``Unavailable`` when it breaks off or the command fails."""
        import aiohttp

        said, ended = "", None
        try:
            while ended is None:
                async with asyncio.timeout(self._silence_s):
                    message = await self._socket.receive()
                if message.type is not aiohttp.WSMsgType.BINARY:
                    break
                channel, data = message.data[0], message.data[1:]
                if channel == _STDOUT and data:
                    yield data
                elif channel == _STDERR:
                    said = (said + data.decode(errors="replace"))[-_LONGEST_TEXT:]
                elif channel == _ERROR and data:
                    ended = json.loads(data)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise self.broken(str(error) or type(error).__name__) from error
        if ended is None or ended.get("status") != "Success":
            raise self.broken(said.strip() or (ended or {}).get("message") or "the connection was closed")

    def broken(self, cause: str) -> Unavailable:
        """The error of an answer that is not whole, or none at all."""
        return Unavailable(
            f"cannot {self._doing}: the answer broke off before its end",
            cause=cause,
            fix="send it again; if it keeps happening look at the gateway with `mcig status`",
        )


@dataclass(frozen=True, slots=True)
class ExecResponse:
    """The relay's answer by way of a command, still arriving."""

    status: int
    headers: Mapping[str, str]
    """Names are looked up without regard to case."""
    _rest: AsyncIterator[bytes]

    async def chunks(self) -> AsyncIterator[bytes]:
        """Give the body piece by piece as it arrives; raises ``Unavailable`` when it breaks off."""
        async for chunk in self._rest:
            yield chunk

    async def read(self) -> bytes:
        """Give the whole body."""
        return b"".join([chunk async for chunk in self._rest])


@asynccontextmanager
async def run(
    kube: Kube, namespace: str, pod: str, container: str, words: Sequence[str], *, text: bytes, silence_s: float
) -> AsyncIterator[Output]:
    """Run a command in a container with ``text`` on its input, which is not ended; ``silence_s`` bounds a pause.

    Raises ``CloudError`` when the API server refuses, ``PermissionDenied`` among them.
    """
    import aiohttp

    doing = f"run a command in Pod {namespace}/{pod}"
    query = [("container", container), ("stdin", "true"), ("stdout", "true"), ("stderr", "true")]
    path = f"{POD.path(namespace, pod)}/exec?{urlencode([*query, *(('command', word) for word in words)])}"
    configuration, headers = await kube.way()
    headers = {**headers, "sec-websocket-protocol": _PROTOCOL}
    client = await asyncio.to_thread(load("kubernetes.aio.stream").WsApiClient, configuration)
    try:
        connect = await client.request("GET", configuration.host + path, headers=headers, _preload_content=False)
        try:
            socket = await connect
        except aiohttp.WSServerHandshakeError as error:
            raise error_of(error.status, b"", doing) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"cannot {doing}: no answer from the cluster's API server", cause=str(error)) from error
        async with socket:
            await socket.send_bytes(_STDIN + text)
            yield Output(socket, doing, silence_s)
    finally:
        await client.close()


@asynccontextmanager
async def ask_relay(
    kube: Kube, namespace: str, path: str, *, body: Any, headers: Mapping[str, str], silence_s: float
) -> AsyncIterator[ExecResponse]:
    """POST a JSON body to the relay by a command in its own container, whatever the answer's status.

    Raises ``Unavailable`` when what the command writes does not begin as an answer does.
    """
    from multidict import CIMultiDict

    wanted = {"method": "POST", "path": f"/{path.lstrip('/')}", "headers": dict(headers), "body": json.dumps(body)}
    line = json.dumps(wanted).encode() + b"\n"
    async with run(kube, namespace, RELAY_POD, RELAY_CONTAINER, ASK, text=line, silence_s=silence_s) as output:
        chunks = output.chunks()
        head = b""
        async for chunk in chunks:
            head += chunk
            if b"\n" in head or len(head) > _LONGEST_HEAD:
                break
        first, _, rest = head.partition(b"\n")
        try:
            said = json.loads(first)
            status, named = int(said["status"]), CIMultiDict(said["headers"])
        except (ValueError, TypeError, LookupError) as error:
            began = first.decode(errors="replace").strip()[:_LONGEST_TEXT]
            raise output.broken(f"the relay began with {began!r}" if began else "it is empty") from error
        yield ExecResponse(status, named, _after(rest, chunks))


async def _after(rest: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if rest:
        yield rest
    async for chunk in chunks:
        yield chunk
