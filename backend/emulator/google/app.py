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
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from backend.emulator.google import (
    compute,
    compute_operations,
    container,
    features,
    gkehub,
    iam,
    loadbalancing,
    networks,
    nodepools,
    operations,
    refusals,
    schema,
    serviceusage,
    subnetworks,
)
from backend.emulator.google.errors import ApiError, invalid, permission_denied, service_disabled, unauthenticated
from backend.emulator.google.routing import Call, Route, find
from backend.emulator.world import World

Json = dict[str, Any]
_EXTENDING = (compute_operations, features, loadbalancing, networks, nodepools, subnetworks)
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
)
"""Every call that is emulated."""
_log = logging.getLogger(__name__)


def add_google_apis(app: web.Application, world: World) -> None:
    """Serve the Google APIs of a world on every path that the application does not serve otherwise."""

    async def handle(request: web.Request) -> web.StreamResponse:
        world.seen()
        try:
            answer, code = await _answer(world, request), 200
        except ApiError as error:
            answer, code = error.body(), error.code
        except Exception:
            _log.exception("%s %s failed", request.method, request.path)
            answer, code = ApiError(500, "Internal error encountered.").body(), 500
        _log.info("%s %s %d", request.method, request.path, code)
        return web.json_response(answer, status=code)

    app.router.add_route("*", "/{path:.*}", handle)


def authorized(world: World, request: web.Request) -> bool:
    """Whether the request carries this world's bearer token."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return kind.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), world.token.encode())


async def _answer(world: World, request: web.Request) -> Json:
    found = find(ROUTES, request.method, request.path)
    if not authorized(world, request):
        service = found[0].service if found else "googleapis.com"
        raise unauthenticated(service, missing="Authorization" not in request.headers)
    if found is None:
        _log.warning("not emulated: %s %s", request.method, request.path)
        raise ApiError(501, f"The emulated cloud does not answer {request.method} {request.path}.")
    route, path = found
    if path.get("project", world.project) not in {world.project, world.project_number, "-"}:
        raise permission_denied(route.service, route.permission, f"projects/{path['project']}")
    await operations.settle(world)
    if not serviceusage.enabled(world, route.service):
        raise service_disabled(route.service, serviceusage.TITLES[route.service], world.project_number)
    body = _body(await request.read())
    if refused := refusals.refusal(world, route, request.method, path, body):
        raise refused
    if request.method in {"POST", "PUT", "PATCH"} and schema.needed(route.service):
        await asyncio.to_thread(schema.prepare, route.service)
    result = route.handler(Call(world, path, _query(request), body))
    answer = await result if inspect.isawaitable(result) else result
    if repeated := refusals.repeated(world, route, request.method, path, body):
        raise repeated
    return answer


def _query(request: web.Request) -> Mapping[str, str]:
    """The query with repeated parameters joined by commas."""
    return {name: ",".join(request.query.getall(name)) for name in request.query}


def _body(text: bytes) -> Json:
    if not text.strip():
        return {}
    try:
        body = json.loads(text)
    except ValueError as error:
        raise invalid(f"Invalid JSON payload received. {error}") from None
    if not isinstance(body, dict):
        raise invalid('Invalid JSON payload received. Unknown name "": Root element must be a message.')
    return body
