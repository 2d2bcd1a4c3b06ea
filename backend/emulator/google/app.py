"""The Google APIs on one HTTP port: who may ask, which call it is, and the answer.

Order of checks as the real front end has it: token, known call, project, API enabled, body, handler. What is due is
settled before every call, so that a reader never sees a past due operation as running.
"""

from __future__ import annotations

import asyncio
import hmac
import inspect
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from backend.emulator.google import (
    advice,
    batch,
    bodytypes,
    cloudquotas,
    compute,
    compute_operations,
    container,
    features,
    gkehub,
    governance,
    iam,
    loadbalancing,
    networks,
    nodepool_updates,
    nodepools,
    operations,
    partial,
    refusals,
    schema,
    serviceusage,
    subnetwork_changes,
    subnetworks,
    upgrades,
)
from backend.emulator.google.errors import ApiError, invalid, permission_denied, service_disabled, unauthenticated
from backend.emulator.google.routing import Call, Route, find
from backend.emulator.world import World

Json = dict[str, Any]
_EXTENDING = (
    advice,
    compute_operations,
    features,
    loadbalancing,
    networks,
    nodepool_updates,
    nodepools,
    subnetwork_changes,
    subnetworks,
    upgrades,
)
"""Modules that add their calls to another module's table."""
ROUTES: tuple[Route, ...] = (
    *serviceusage.routes,
    *container.routes,
    *gkehub.routes,
    *compute.routes,
    *iam.projects_v1,
    *iam.projects_v3,
    *iam.projects,
    *iam.accounts,
    *cloudquotas.routes,
    *governance.billing,
    *governance.policies,
)
"""Every call that is emulated."""
BATCH = "/batch/compute/v1"
"""Where several calls of Compute Engine go in one request."""
LARGEST_BODY = 10 * 1024 * 1024
"""Bytes; a larger body is refused."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, or a part of a batch."""

    method: str
    path: str
    query: dict[str, str]
    """Repeated parameters joined by commas."""
    authorization: str | None
    body: bytes


def add_google_apis(app: web.Application, world: World) -> None:
    """Serve the Google APIs of a world on every path that the application does not serve otherwise."""

    async def handle(request: web.Request) -> web.StreamResponse:
        world.seen()
        authorization = request.headers.get("Authorization")
        try:
            body = await _read(request)
        except ApiError as error:
            return web.json_response(error.body(), status=error.code)
        if (request.method, request.path) == ("POST", BATCH):
            return await _answer_batch(world, request.headers.get("Content-Type", ""), authorization, body)
        asked = _Asked(request.method, request.path, _joined(request.query.items()), authorization, body)
        answer, code = await _answer(world, asked)
        return web.json_response(answer, status=code)

    app.router.add_route("*", "/{path:.*}", handle)


async def _read(request: web.Request) -> bytes:
    """The body; raises ApiError for one that is too large."""
    too_large = invalid(f"Request payload size exceeds the limit: {LARGEST_BODY} bytes.")
    if (request.content_length or 0) > LARGEST_BODY:
        raise too_large
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise too_large from None


async def _answer_batch(world: World, kind: str, authorization: str | None, body: bytes) -> web.Response:
    try:
        if not _authorized(world, authorization):
            raise unauthenticated("compute.googleapis.com", missing=authorization is None)
        parts = batch.parts(kind, body)
    except ApiError as error:
        return web.json_response(error.body(), status=error.code)
    answers = []
    for part in parts:
        own = part.authorization or authorization
        asked = _Asked(part.method, part.path, _joined(part.query), own, part.body)
        answer, code = await _answer(world, asked)
        answers.append((part, code, json.dumps(answer).encode()))
    kind, text = batch.answer(answers)
    return web.Response(body=text, headers={"Content-Type": kind})


async def _answer(world: World, asked: _Asked) -> tuple[Json, int]:
    """The answer to one call and its code: never an exception."""
    try:
        answer, code = await _result(world, asked), 200
    except ApiError as error:
        answer, code = error.body(), error.code
    except Exception:
        _log.exception("%s %s failed", asked.method, asked.path)
        answer, code = ApiError(500, "Internal error encountered.").body(), 500
    _log.info("%s %s %d", asked.method, asked.path, code)
    return answer, code


def authorized(world: World, request: web.Request) -> bool:
    """Whether the request carries this world's bearer token."""
    return _authorized(world, request.headers.get("Authorization"))


def _authorized(world: World, authorization: str | None) -> bool:
    kind, _, token = (authorization or "").partition(" ")
    return kind.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), world.token.encode())


async def _result(world: World, asked: _Asked) -> Json:
    found = find(ROUTES, asked.method, asked.path)
    if not _authorized(world, asked.authorization):
        service = found[0].service if found else "googleapis.com"
        raise unauthenticated(service, missing=asked.authorization is None)
    if found is None:
        _log.warning("not emulated: %s %s", asked.method, asked.path)
        raise ApiError(501, f"The emulated cloud does not answer {asked.method} {asked.path}.")
    route, path = found
    if path.get("project", world.project) not in {world.project, world.project_number, "-"}:
        raise permission_denied(route.service, route.permission, f"projects/{path['project']}")
    await operations.settle(world)
    if not serviceusage.enabled(world, route.service):
        raise service_disabled(route.service, serviceusage.TITLES[route.service], world.project_number)
    wanted = partial.mask(asked.query.get("fields") or asked.query.get("$fields") or "*")
    body = _body(asked.body) if asked.method in {"POST", "PUT", "PATCH"} else {}
    if not schema.needed(route.service):
        body = bodytypes.read(body, route.body)
    if (silent := refusals.silence(world, route, path, body)) is not None:
        await asyncio.sleep(silent)
        raise refusals.timed_out()
    if refused := refusals.refusal(world, route, asked.method, path, body):
        raise refused
    if asked.method in {"POST", "PUT", "PATCH"} and schema.needed(route.service):
        await asyncio.to_thread(schema.prepare, route.service)
    result = route.handler(Call(world, path, asked.query, body))
    answer = await result if inspect.isawaitable(result) else result
    if repeated := refusals.repeated(world, route, asked.method, path, body):
        raise repeated
    selected: Json = partial.select(answer, wanted)
    return selected


def _joined(query: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in query:
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _body(text: bytes) -> Json:
    if not text.strip():
        return {}
    try:
        body = json.loads(text, object_hook=_given)
    except ValueError as error:
        raise invalid(f"Invalid JSON payload received. {error}") from None
    except RecursionError:
        raise invalid("Invalid JSON payload received. Message too deep. Max recursion depth reached.") from None
    if not isinstance(body, dict):
        raise invalid('Invalid JSON payload received. Unknown name "": Root element must be a message.')
    return body


def _given(message: Json) -> Json:
    """A message without the fields that are null, which is how JSON says that they are not set."""
    return {name: value for name, value in message.items() if value is not None}
