"""The hub's HTTP API: whose token it is, what a repository is, and whether its files open.

Everything below ``/huggingface``. The hub asks for its own tokens and knows nothing of Google's, so any token is good
here until a fault says otherwise. Status, ``X-Error-Code``, ``X-Error-Message`` and the texts are the real hub's, by
which its own client tells a closed gate from a missing repository. A request here does not keep an emulator up, because
a model server that may not have its model asks for ever.
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from typing import Any

from aiohttp import web

from backend.emulator import faults, settings
from backend.emulator.huggingface.repositories import Repository, repository
from backend.emulator.world import World

Json = dict[str, Any]
PREFIX = "/huggingface"
INVALID = "Invalid credentials in Authorization header"
ANONYMOUS = "Invalid username or password."
NO_SCOPE = (
    "Please enable access to public gated repositories in your fine-grained token settings to view this repository."
)
_log = logging.getLogger(__name__)


class Refused(Exception):
    """An answer with an error: status, text, and the code by which the hub's client tells errors apart."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code


def add_hub(app: web.Application, world: World) -> None:
    """Serve the hub of a world."""

    async def whoami(request: web.Request) -> web.StreamResponse:
        token = _token(world, request)
        if token is None:
            raise Refused(401, ANONYMOUS)
        return web.json_response(_owner(world, token))

    async def model(request: web.Request) -> web.StreamResponse:
        token = _token(world, request)
        found = _repository(world, request, token)
        revision = request.match_info.get("revision", "main")
        if revision not in {"main", found.revision}:
            raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return web.json_response(found.view())

    async def auth_check(request: web.Request) -> web.StreamResponse:
        token = _token(world, request)
        _open(world, _repository(world, request, token), token)
        return web.json_response({})

    async def resolve(request: web.Request) -> web.StreamResponse:
        token = _token(world, request)
        found = _repository(world, request, token)
        _open(world, found, token)
        revision, file = request.match_info["revision"], request.match_info["file"]
        if revision not in {"main", found.revision}:
            raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        if file not in found.files:
            raise Refused(404, "Entry not found", "EntryNotFound")
        content = found.files[file]
        if content is None:
            if request.method == "GET":
                raise Refused(501, "The emulated hub holds no weights.")
            content = b""
        headers = {
            "X-Repo-Commit": found.revision,
            "Accept-Ranges": "bytes",
            "ETag": f'"{hashlib.sha1(content, usedforsecurity=False).hexdigest()}"',
        }
        return web.Response(body=content, content_type="text/plain", headers=headers)

    async def unknown(request: web.Request) -> web.StreamResponse:
        _log.warning("not emulated: %s %s", request.method, request.path)
        raise Refused(501, f"The emulated hub does not answer {request.method} {request.path}.")

    def serve(method: str, path: str, handler: Any) -> None:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                answer: web.StreamResponse = await handler(request)
            except Refused as error:
                answer = _refusal(request, error)
            answer.headers["X-Request-Id"] = f"Root=1-{uuid.uuid4().hex[:8]}-{uuid.uuid4().hex[:24]};{uuid.uuid4()}"
            _log.info("%s %s %d", request.method, request.path, answer.status)
            return answer

        app.router.add_route(method, PREFIX + path, handle)

    repository_path = "{owner:[^/]+}/{name:[^/]+}"
    serve("GET", "/api/whoami-v2", whoami)
    serve("GET", f"/api/models/{repository_path}/auth-check", auth_check)
    serve("GET", f"/api/models/{repository_path}/revision/{{revision:[^/]+}}", model)
    serve("GET", f"/api/models/{repository_path}", model)
    for method in ("HEAD", "GET"):
        serve(method, f"/{repository_path}/resolve/{{revision:[^/]+}}/{{file:.+}}", resolve)
    serve("*", "/{path:.*}", unknown)


def _token(world: World, request: web.Request) -> str | None:
    """The caller's token; ``None`` for one who has none. Raises ``Refused`` for one that is not good."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if not kind:
        return None
    fault = next(faults.playing(world, "hf-unauthorized"), None)
    if fault is not None:
        faults.spend(world, fault)
    if fault is not None or kind.lower() != "bearer" or not token.strip():
        raise Refused(401, INVALID)
    return token.strip()


def _role(world: World) -> str:
    return settings.value(world, "huggingface.role") or "read"


def _owner(world: World, token: str) -> Json:
    role = _role(world)
    access: Json = {"displayName": "rehearsal", "role": role, "createdAt": "2026-01-01T00:00:00.000Z"}
    if role.startswith("fineGrained"):
        access |= {
            "role": "fineGrained",
            "fineGrained": {"canReadGatedRepos": role != "fineGrained-no-gated", "global": [], "scoped": []},
        }
    return {
        "type": "user",
        "id": hashlib.sha1(token.encode(), usedforsecurity=False).hexdigest()[:24],
        "name": "rehearsal",
        "fullname": "Rehearsal",
        "email": "rehearsal@example.com",
        "emailVerified": True,
        "canPay": False,
        "periodEnd": None,
        "isPro": False,
        "avatarUrl": "/avatars/rehearsal.svg",
        "orgs": [],
        "auth": {"type": "access_token", "accessToken": access},
    }


def _repository(world: World, request: web.Request, token: str | None) -> Repository:
    name = f"{request.match_info['owner']}/{request.match_info['name']}"
    found = repository(world, name)
    if found is None:
        if token is None:
            raise Refused(401, ANONYMOUS, "RepoNotFound")
        raise Refused(404, "Repository not found", "RepoNotFound")
    return found


def _open(world: World, found: Repository, token: str | None) -> None:
    """Let those in who may read a repository's files; raises ``Refused`` in the hub's words."""
    name = found.name
    if found.gate == "open":
        return
    if token is None:
        message = (
            f"Access to model {name} is restricted. You must have access to it and be authenticated to access it. "
            "Please log in."
        )
        raise Refused(401, message, "GatedRepo")
    if _role(world) == "fineGrained-no-gated":
        raise Refused(403, NO_SCOPE)
    for fault in faults.playing(world, "hf-gated"):
        faults.spend(world, fault)
        break
    if found.gate == "refused":
        message = (
            f"Access to model {name} is restricted and you are not in the authorized list. "
            f"Visit https://huggingface.co/{name} to ask for access."
        )
        raise Refused(403, message, "GatedRepo")
    if found.gate == "awaiting":
        message = f"Your request to access model {name} is awaiting a review from the repo authors."
        raise Refused(403, message, "GatedRepo")
    if found.gate == "rejected":
        raise Refused(403, f"Your request to access model {name} has been rejected by the repo's authors.", "GatedRepo")


def _refusal(request: web.Request, error: Refused) -> web.Response:
    headers = {"X-Error-Message": error.message} | ({"X-Error-Code": error.code} if error.code else {})
    if "/api/" in request.path:
        return web.json_response({"error": error.message}, status=error.status, headers=headers)
    return web.Response(text=error.message, status=error.status, headers=headers)
