"""Prompts through the relay to an address of the gateway, and who served them.

The gateway's addresses are private to the VPC: a prompt goes through the API server's Pod proxy to the relay, which
forwards it, or by a command in the relay's Pod where the proxy is forbidden. Invariants: every prompt carries a request
id of its own; who served it is read from the model servers' request logs and never guessed, ``None`` with the reason
when it is not found; an answer of the gateway's, good or bad, is an ``Answer``, and ``PromptError`` means that the
gateway was not reached at all.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backend.clients.answers import Answer, Ask
from backend.clients.kube_exec import ask_relay
from backend.clients.names import RELAY_ERROR, RELAY_POD, RELAY_PORT, RELAY_WAIT
from backend.clients.sse import Events
from backend.errors import NotFound, PermissionDenied, PromptError, Unavailable

if TYPE_CHECKING:
    from backend.clients.kube import Kube
    from backend.clients.kube_exec import ExecResponse
    from backend.clients.kube_proxy import ProxyResponse
    from backend.clients.request_logs import RequestLogs

_READ_MARGIN_S = 60.0
_LONGEST_ERROR = 500
_GATEWAY_TIMEOUT = 504


async def prompt(
    relay: Kube,
    logs: RequestLogs,
    ask: Ask,
    *,
    namespace: str,
    region: str,
    address: str,
    port: int,
    timeout_s: float,
    on_token: Callable[[str], None] | None = None,
) -> Answer:
    """Ask through one address and find out who answered.

    ``relay`` is the config cluster's API; ``timeout_s`` is the load balancer's. Raises ``PromptError`` when the relay
    is not reached.
    """
    request_id = uuid.uuid4().hex
    began = time.monotonic()
    stream = _Stream(on_token)
    headers, body = {**ask.headers, "X-Request-Id": request_id}, ask.body
    path = f"to/{address}:{port}/v1/completions"
    silence_s = timeout_s + _READ_MARGIN_S
    try:
        async with _through_relay(relay, namespace, path, body=body, headers=headers, silence_s=silence_s) as response:
            status, waited_s = response.status, _relay_wait_s(response)
            await _read(response, stream)
    except (Unavailable, NotFound) as error:
        raise PromptError(
            f"the relay on the config cluster could not be reached: {error.message}", cause=error.cause, fix=error.fix
        ) from error
    except PermissionDenied as error:
        raise PromptError(
            f"the relay on the config cluster could not be reached: {error.message}",
            cause="your account may use neither the Pod proxy nor run a command in the relay's Pod",
            fix="ask for a role with container.pods.proxy or container.pods.exec, such as roles/container.developer",
        ) from error
    total_s = time.monotonic() - began
    if stream.broke_off:
        stream.error = (
            f"it broke off after {total_s:.1f} s, {'in the middle' if stream.text else 'before its first word'}"
        )
    first_s = None if stream.first_at is None else stream.first_at - began
    answer = Answer(
        status=status,
        address=address,
        region=region,
        model=ask.model,
        request_id=request_id,
        text=stream.text,
        usage=stream.usage,
        ttft_s=None if first_s is None else waited_s if waited_s is not None else first_s,
        total_s=total_s,
        way_s=None if first_s is None or waited_s is None else max(first_s - waited_s, 0.0),
        error=stream.error,
        timed_out=status == _GATEWAY_TIMEOUT or (stream.broke_off and total_s >= timeout_s),
    )
    if status != 200:
        return replace(answer, served_by_reason="the gateway did not pass the answer of a model server")
    served, reason = await logs.served_by(request_id, began)
    return replace(answer, served_by=served, served_by_reason=reason)


@asynccontextmanager
async def _through_relay(
    relay: Kube, namespace: str, path: str, *, body: Any, headers: Mapping[str, str], silence_s: float
) -> AsyncIterator[ProxyResponse | ExecResponse]:
    """Send a request to the relay by the Pod proxy, else, where that is forbidden, by a command in its Pod."""
    async with relay.proxy(
        namespace, RELAY_POD, RELAY_PORT, path, method="POST", body=body, headers=headers, read_timeout_s=silence_s
    ) as response:
        forbidden = response.status == 403 and not _of_the_relay(response)
        if not forbidden:
            yield response
    if forbidden:
        async with ask_relay(relay, namespace, path, body=body, headers=headers, silence_s=silence_s) as answer:
            yield answer


class _Stream:
    """What a streamed completion has said so far."""

    def __init__(self, on_token: Callable[[str], None] | None) -> None:
        self._on_token = on_token
        self.text = ""
        self.usage: dict[str, int] | None = None
        self.first_at: float | None = None
        self.error = ""
        self.broke_off = False
        """Whether it ended without having come to its end."""

    def take(self, data: str) -> None:
        """Take the data of one event; what is not a completion's JSON is passed over."""
        try:
            said = json.loads(data)
        except ValueError:
            return
        if not isinstance(said, dict):
            return
        if "error" in said or said.get("object") == "error":
            self.error = _error_text(data.encode())
            return
        if isinstance(said.get("usage"), dict):
            self.usage = {name: count for name, count in said["usage"].items() if isinstance(count, int)}
        choices = said.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        token = choice.get("text") if isinstance(choice, dict) else None
        if isinstance(token, str):
            self.first_at = time.monotonic() if self.first_at is None else self.first_at
            self.text += token
            if self._on_token is not None and token:
                self._on_token(token)


def _of_the_relay(response: ProxyResponse | ExecResponse) -> bool:
    """Whether an answer came from the relay, and not from the API server."""
    return RELAY_WAIT in response.headers or RELAY_ERROR in response.headers


async def _read(response: ProxyResponse | ExecResponse, stream: _Stream) -> None:
    if response.status != 200:
        body = await response.read()
        if not _of_the_relay(response):
            raise PromptError(
                f"the relay did not answer: {_error_text(body) or f'HTTP {response.status}'}",
                cause="its Pod has ended or is not ready",
                fix="run the prompt again: mcig starts the relay anew",
            )
        stream.error = _error_text(body) or f"HTTP {response.status}"
        return
    events = Events()
    try:
        if response.headers.get("Content-Type", "").startswith("application/json"):
            stream.take((await response.read()).decode(errors="replace"))
            return
        async for piece in response.chunks():
            for data in events.feed(piece):
                stream.take(data)
        for data in events.end():
            stream.take(data)
    except Unavailable:
        stream.broke_off = True


def _relay_wait_s(response: ProxyResponse | ExecResponse) -> float | None:
    try:
        return float(response.headers[RELAY_WAIT]) / 1000
    except (KeyError, ValueError):
        return None


def _error_text(body: bytes) -> str:
    """The words of an error: the model server's JSON, the relay's, the API server's, or plain text."""
    text = body.decode(errors="replace").strip()
    try:
        said = json.loads(text)
    except ValueError:
        return text[:_LONGEST_ERROR]
    if isinstance(said, dict):
        inner = said.get("error")
        for place in (inner, said):
            if isinstance(place, dict) and isinstance(place.get("message"), str):
                return str(place["message"])[:_LONGEST_ERROR]
        if isinstance(inner, str):
            return inner[:_LONGEST_ERROR]
    return text[:_LONGEST_ERROR]
