"""Failures as the Kubernetes API server words them.

Invariant: every failure a client of a cluster sees is one of these, sent as a metav1.Status; reasons, codes and
sentences follow k8s.io/apimachinery/pkg/api/errors, because clients and people match on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason why a field is refused; ``field`` is a path such as ``spec.ports[0].name``."""

    reason: str
    message: str
    field: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"

    def as_json(self) -> dict[str, str]:
        """The metav1.StatusCause."""
        return {"reason": self.reason, "message": self.message, "field": self.field}


class ApiError(Exception):
    """A request that the API server refuses: an HTTP code, a reason in CamelCase and a sentence."""

    def __init__(self, code: int, reason: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = dict(details or {})

    def status(self) -> dict[str, Any]:
        """The metav1.Status to send."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details:
            body["details"] = self.details
        body["code"] = self.code
        return body


def qualified(name: str, group: str) -> str:
    """A plural or a kind followed by its group, which the core group leaves out: ``deployments.apps``."""
    return f"{name}.{group}" if group else name


def _details(name: str, group: str, kind: str) -> dict[str, Any]:
    return {key: value for key, value in (("name", name), ("group", group), ("kind", kind)) if value}


def not_found(group: str, plural: str, name: str) -> ApiError:
    """404 for one object."""
    return ApiError(404, "NotFound", f'{qualified(plural, group)} "{name}" not found', _details(name, group, plural))


def no_such_path() -> ApiError:
    """404 for a path that no resource answers."""
    return ApiError(404, "NotFound", "the server could not find the requested resource")


def already_exists(group: str, plural: str, name: str) -> ApiError:
    """409 for a create of a taken name."""
    message = f'{qualified(plural, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, _details(name, group, plural))


def conflict(group: str, plural: str, name: str, why: str | None = None) -> ApiError:
    """409 for a write that was made against another version of the object."""
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {why}'
    return ApiError(409, "Conflict", message, _details(name, group, plural))


def invalid(group: str, kind: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """422 for values that are not allowed."""
    text = str(causes[0]) if len(causes) == 1 else f"[{', '.join(map(str, causes))}]"
    details = _details(name, group, kind) | {"causes": [cause.as_json() for cause in causes]}
    return ApiError(422, "Invalid", f'{qualified(kind, group)} "{name}" is invalid: {text}', details)


def bad_request(message: str) -> ApiError:
    """400."""
    return ApiError(400, "BadRequest", message)


def forbidden(group: str, plural: str, name: str, why: str) -> ApiError:
    """403 by admission, or for want of a permission; a list has no name."""
    what = f'{qualified(plural, group)} "{name}"' if name else qualified(plural, group)
    message = f"{what} is forbidden: {why}"
    return ApiError(403, "Forbidden", message, _details(name, group, plural))


def internal_error(message: str) -> ApiError:
    """500, which the API server always begins in the same way."""
    message = f"Internal error occurred: {message}"
    return ApiError(500, "InternalError", message, {"causes": [{"message": message}]})


def unauthorized() -> ApiError:
    """401."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def method_not_allowed() -> ApiError:
    """405."""
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def not_acceptable() -> ApiError:
    """406."""
    return ApiError(
        406, "NotAcceptable", "only the following media types are accepted: application/json, application/yaml"
    )


def unsupported_media_type(accepted: Sequence[str]) -> ApiError:
    """415."""
    message = f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
    return ApiError(415, "UnsupportedMediaType", message)


def too_large(limit: int) -> ApiError:
    """413 for a body of more than ``limit`` bytes."""
    return ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit}")


def expired(asked: int, oldest: int) -> ApiError:
    """410 for a watch from a version that is no longer kept."""
    return ApiError(410, "Expired", f"too old resource version: {asked} ({oldest})")


def service_unavailable(message: str) -> ApiError:
    """503."""
    return ApiError(503, "ServiceUnavailable", message)


def required(field: str, detail: str = "") -> Cause:
    """A value that is missing."""
    return Cause("FieldValueRequired", f"Required value: {detail}" if detail else "Required value", field)


def unsupported(field: str, value: Any, allowed: Sequence[str]) -> Cause:
    """A value outside an enumeration."""
    names = ", ".join(f'"{one}"' for one in allowed)
    return Cause("FieldValueNotSupported", f"Unsupported value: {literal(value)}: supported values: {names}", field)


def invalid_value(field: str, value: Any, detail: str) -> Cause:
    """A value that breaks a rule."""
    return Cause("FieldValueInvalid", f"Invalid value: {literal(value)}: {detail}", field)


def literal(value: Any) -> str:
    """A value as Go's ``%q``/``%v`` prints it in these messages."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, dict):
        return '"object"'
    if isinstance(value, list):
        return '"array"'
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
