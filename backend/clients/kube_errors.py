"""What a Kubernetes API server's refusals mean, told once.

Invariant: every answer of 400 and above becomes exactly one ``CloudError``, whose message ends with the server's own
words; nothing of the request is repeated, so no Secret's value can get into an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from backend.errors import (
    AlreadyExists,
    CloudError,
    Conflict,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    RateLimited,
    Unauthenticated,
    Unavailable,
)

_LONGEST_TEXT = 500
_UNDECLARED = "failed to create typed patch object"
"""What API servers say, with status 500, of a server-side apply with a field that the kind does not have."""


def error_of(status: int, body: bytes, doing: str) -> CloudError:
    """The error behind an answer; ``doing`` says what was asked, such as ``apply Deployment default/epp``."""
    told = _status(body)
    reason = str(told.get("reason") or "")
    message = f"cannot {doing}: {_words(told, body) or f'HTTP {status}'}"
    details = told.get("details")
    causes = [cause for cause in (details or {}).get("causes") or () if isinstance(cause, dict)]
    conflicts = [cause for cause in causes if cause.get("reason") == "FieldManagerConflict"]
    if conflicts:
        return Conflict(
            f"cannot {doing}: {_owners(conflicts)}",
            cause="somebody else applied or edited these fields since",
            fix="`mcig plan` shows the differences; have the other manager give the fields up, then apply again",
            status=status,
            reason="FieldManagerConflict",
        )
    undeclared = status == 500 and _UNDECLARED in message
    kind, cause, fix = _INVALID if undeclared else _MEANING.get(reason) or _by_status(status)
    return kind(message, cause=cause, fix=fix, status=status, reason=reason)


_Meaning = tuple[type[CloudError], str, str]
_UNAVAILABLE: _Meaning = (
    Unavailable,
    "the cluster's control plane is starting, upgrading or overloaded",
    "wait a minute and run the same command again; it continues where it stopped",
)
_INVALID: _Meaning = (
    InvalidRequest,
    "the cluster knows another version of this kind, or an admission rule refuses it",
    "read the server's words above; `mcig plan` shows what was to be applied",
)
_MEANING: Mapping[str, _Meaning] = {
    "NotFound": (NotFound, "it, its namespace or its kind does not exist on this cluster", "run `mcig plan`"),
    "AlreadyExists": (AlreadyExists, "an object of that name exists already", "run `mcig plan`"),
    "Conflict": (Conflict, "somebody changed the object in the meantime", "run the same command again"),
    "Forbidden": (
        PermissionDenied,
        "your account lacks a role on the cluster, or an admission rule refuses the object",
        "ask for roles/container.admin on the project, then run the same command again",
    ),
    "Unauthorized": (
        Unauthenticated,
        "the access token has expired or belongs to another account",
        "run `gcloud auth application-default login`",
    ),
    "Invalid": _INVALID,
    "BadRequest": _INVALID,
    "TooManyRequests": (RateLimited, "the control plane sheds load", "wait a minute and run the same command again"),
    "ServiceUnavailable": _UNAVAILABLE,
    "InternalError": _UNAVAILABLE,
    "Timeout": _UNAVAILABLE,
    "ServerTimeout": _UNAVAILABLE,
}


def _by_status(status: int) -> _Meaning:
    reason = {
        401: "Unauthorized",
        403: "Forbidden",
        404: "NotFound",
        409: "Conflict",
        422: "Invalid",
        429: "TooManyRequests",
    }.get(status, "BadRequest" if status < 500 else "InternalError")
    return _MEANING[reason]


def _status(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _words(told: Mapping[str, Any], body: bytes) -> str:
    message = told.get("message")
    text = message if isinstance(message, str) else body.decode(errors="replace")
    return text.strip()[:_LONGEST_TEXT]


def _owners(conflicts: list[dict[str, Any]]) -> str:
    owners: dict[str, list[str]] = {}
    for conflict in conflicts:
        found = re.search(r'conflicts? with "([^"]+)"', str(conflict.get("message")))
        owners.setdefault(found[1] if found else "another manager", []).append(str(conflict.get("field")))
    return "; ".join(f"{', '.join(sorted(fields))} is owned by {owner}" for owner, fields in owners.items())
