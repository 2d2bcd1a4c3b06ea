"""exec and attach: a container's input and output over one WebSocket, its streams told apart by a number.

Protocols v4.channel.k8s.io and v5.channel.k8s.io, which kubectl speaks since 1.31 and the Python client always; what
older clients speak, SPDY, is not here. Source: k8s.io/apimachinery/pkg/util/remotecommand. Invariant: the command ends
when its client has gone, and all of its output is sent before its status.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from backend.emulator.kube import errors
from backend.emulator.kube.objects import Object
from backend.emulator.kube.options import flag

if TYPE_CHECKING:
    from backend.emulator.serving.inside import Command

_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255
_LONGEST_MESSAGE = 4 * 1024 * 1024


async def execute(
    request: web.Request, pod: Object, container: str, *, kubelet: Any, cluster: str
) -> web.StreamResponse:
    """Runs the command of a request in a container; raises what the API server says when that cannot be."""
    words = request.query.getall("command", [])
    if not words:
        raise errors.bad_request("you must specify at least one command for the container")
    _check_running(pod, container, "exec into")
    _check_upgrade(request)
    meta = pod["metadata"]
    try:
        command = await kubelet.execute(
            cluster, meta["namespace"], meta["name"], container, words, tty=flag(request, "tty")
        )
    except LookupError:
        return await _refuse(request, words[0])
    if command is None:
        raise errors.internal_error(f'unable to upgrade connection: container not found ("{container}")')
    try:
        socket = await _accept(request)
        await _serve(request, socket, command)
        return socket
    finally:
        await asyncio.shield(command.close())


async def attach(
    request: web.Request, pod: Object, container: str, *, kubelet: Any, cluster: str
) -> web.StreamResponse:
    """Sends what a container writes from now on; the processes of Pods read no input."""
    _check_running(pod, container, "attach to")
    _check_upgrade(request)
    meta = pod["metadata"]
    lines: AsyncIterator[str] = kubelet.follow(cluster, meta["namespace"], meta["name"], container, 0)
    socket = await _accept(request)

    async def send() -> None:
        async for line in lines:
            await socket.send_bytes(bytes([_STDOUT]) + f"{line}\n".encode())
        await socket.send_bytes(bytes([_ERROR]) + _status(0))

    sending = asyncio.create_task(send())
    try:
        listening = asyncio.create_task(_drop_all(socket))
        await asyncio.wait({sending, listening}, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    await socket.close()
    return socket


def _check_running(pod: Object, container: str, doing: str) -> None:
    status = pod.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed"):
        raise errors.bad_request(f"cannot {doing} a container in a completed pod; current phase is {status['phase']}")
    if not pod["spec"].get("nodeName"):
        raise errors.bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")
    states = [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]
    if not any(one["name"] == container and "running" in (one.get("state") or {}) for one in states):
        raise errors.internal_error(f'unable to upgrade connection: container not found ("{container}")')


def _check_upgrade(request: web.Request) -> None:
    wanted = request.headers.get("Upgrade", "").lower()
    if wanted.startswith("spdy"):
        message = (
            "streams over SPDY are not emulated; use a client that speaks WebSockets, such as kubectl 1.31 or newer"
        )
        raise errors.ApiError(501, "NotImplemented", message)
    if wanted != "websocket":
        raise errors.bad_request("Upgrade request required")
    offered = [one.strip() for one in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    if not set(offered) & set(_PROTOCOLS):
        raise errors.bad_request(
            f"unable to negotiate protocol: client supports {offered}, server accepts {_PROTOCOLS}"
        )


async def _accept(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(protocols=_PROTOCOLS, max_msg_size=_LONGEST_MESSAGE, timeout=1.0)
    await socket.prepare(request)
    return socket


async def _refuse(request: web.Request, program: str) -> web.StreamResponse:
    """What containerd says, over the stream, of a program that the image does not have."""
    socket = await _accept(request)
    failure = errors.internal_error(
        "error executing command in container: failed to exec in container: OCI runtime exec failed: exec failed: "
        f'unable to start container process: exec: "{program}": executable file not found in $PATH: unknown'
    )
    await socket.send_bytes(bytes([_ERROR]) + json.dumps(failure.status()).encode())
    await socket.close()
    return socket


async def _serve(request: web.Request, socket: web.WebSocketResponse, command: Command) -> None:
    async def pump(channel: int, *, errors: bool) -> None:
        while data := await command.read(errors=errors):
            if flag(request, "stderr" if errors else "stdout"):
                await socket.send_bytes(bytes([channel]) + data)

    async def run() -> None:
        await asyncio.gather(pump(_STDOUT, errors=False), pump(_STDERR, errors=True))
        await socket.send_bytes(bytes([_ERROR]) + _status(await command.wait()))

    if not flag(request, "stdin"):
        command.end_input()
    running = asyncio.create_task(run())
    listening = asyncio.create_task(_listen(socket, command))
    try:
        await asyncio.wait({running, listening}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (running, listening):
            task.cancel()
        results = await asyncio.gather(running, listening, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, ConnectionError):
            raise result
    await socket.close()


async def _listen(socket: web.WebSocketResponse, command: Command) -> None:
    """Passes input on until the client leaves."""
    async for message in socket:
        if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
            continue
        data: bytes = message.data.encode() if message.type is WSMsgType.TEXT else message.data
        channel, content = (data[0], data[1:]) if data else (None, b"")
        if channel == _STDIN:
            command.write(content)
        elif channel == _RESIZE:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                size = json.loads(content)
                command.resize(int(size["Width"]), int(size["Height"]))
        elif channel == _CLOSE and content[:1] == bytes([_STDIN]):
            command.end_input()


async def _drop_all(socket: web.WebSocketResponse) -> None:
    async for _ in socket:
        pass


def _status(code: int) -> bytes:
    """The metav1.Status of a command's end."""
    status: dict[str, Any] = {"metadata": {}, "status": "Success"}
    if code:
        status = {
            "metadata": {},
            "status": "Failure",
            "message": f"command terminated with non-zero exit code: exit status {code}",
            "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
        }
    return json.dumps(status).encode()
