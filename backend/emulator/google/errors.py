"""Error answers in the words and the shape of the real APIs.

Clients map by HTTP code and by `status`; gcloud prints `message`; Go clients append `errors[0].reason`. All three are
filled.
"""

from __future__ import annotations

from typing import Any

_STATUS = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 501: "UNIMPLEMENTED", 503: "UNAVAILABLE",
}  # fmt: skip
_REASON = {
    400: "badRequest", 401: "authError", 403: "forbidden", 404: "notFound", 409: "alreadyExists",
    412: "conditionNotMet", 429: "rateLimitExceeded", 500: "backendError", 501: "notImplemented", 503: "backendError",
}  # fmt: skip
_SIGN_IN = (
    "Expected OAuth 2 access token, login cookie or other valid authentication credential. "
    "See https://developers.google.com/identity/sign-in/web/devconsole-project."
)


class ApiError(Exception):
    """A refusal: HTTP code, message, canonical status, legacy reason and typed details."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        status: str | None = None,
        reason: str | None = None,
        details: list[Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status or _STATUS[code]
        self.reason = reason or _REASON[code]
        self.details = details or []

    def body(self) -> dict[str, Any]:
        """The JSON of the answer."""
        error: dict[str, Any] = {
            "code": self.code,
            "message": self.message,
            "errors": [{"message": self.message, "domain": "global", "reason": self.reason}],
            "status": self.status,
        }
        if self.details:
            error["details"] = self.details
        return {"error": error}


def error_info(reason: str, domain: str, **metadata: str) -> dict[str, Any]:
    """A `google.rpc.ErrorInfo` detail."""
    return {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": domain,
        "metadata": metadata,
    }


def unauthenticated(service: str, *, missing: bool) -> ApiError:
    """401: no bearer token, or one that this world did not give out."""
    if missing:
        message = f"Request is missing required authentication credential. {_SIGN_IN}"
        details = [error_info("CREDENTIALS_MISSING", "googleapis.com", service=service)]
        return ApiError(401, message, reason="required", details=details)
    message = f"Request had invalid authentication credentials. {_SIGN_IN}"
    details = [error_info("ACCESS_TOKEN_TYPE_UNSUPPORTED", "googleapis.com", service=service)]
    return ApiError(401, message, details=details)


def service_disabled(service: str, title: str, consumer: str) -> ApiError:
    """403: the API is off in the project; `consumer` is the project's number."""
    url = f"https://console.developers.google.com/apis/api/{service}/overview?project={consumer}"
    message = (
        f"{title} has not been used in project {consumer} before or it is disabled. Enable it by visiting {url} then "
        "retry. If you enabled this API recently, wait a few minutes for the action to propagate to our systems and "
        "retry."
    )
    info = error_info(
        "SERVICE_DISABLED",
        "googleapis.com",
        serviceTitle=title,
        consumer=f"projects/{consumer}",
        containerInfo=consumer,
        service=service,
        activationUrl=url,
    )
    help_detail = {
        "@type": "type.googleapis.com/google.rpc.Help",
        "links": [{"description": "Google developers console API activation", "url": url}],
    }
    return ApiError(403, message, reason="accessNotConfigured", details=[info, help_detail])


def permission_denied(service: str, permission: str, resource: str) -> ApiError:
    """403: the caller lacks a permission on a resource, in the words of the service."""
    if service == "container.googleapis.com":
        message = f'Required "{permission}" permission(s) for "{resource}".'
    elif service == "compute.googleapis.com":
        message = f"Required '{permission}' permission for '{resource}'"
    else:
        message = f"Permission '{permission}' denied on resource '{resource}' (or it may not exist)."
    info = error_info("IAM_PERMISSION_DENIED", service, permission=permission, resource=resource)
    return ApiError(403, message, details=[info])


def failed_precondition(message: str) -> ApiError:
    """400: right in itself, and not now."""
    return ApiError(400, message, status="FAILED_PRECONDITION", reason="failedPrecondition")


def invalid(message: str, *, field: str | None = None, description: str | None = None) -> ApiError:
    """400: a value that the API does not take; `field` adds a field violation, of the whole when empty."""
    details: list[Any] = []
    if field is not None:
        violation = ({"field": field} if field else {}) | {"description": description or message}
        details = [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}]
    return ApiError(400, message, details=details)
