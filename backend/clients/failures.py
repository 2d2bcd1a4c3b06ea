"""From what Google's libraries raise to the errors of mcig, in one place.

The JSON body of an answer decides, never the library's exception class: the same refusal comes with another HTTP code
from another API (a missing quota is 403 from GKE when it is known at once and 429 when it is found out later; too
many requests are 403 from Compute Engine and 429 from the others).
Invariant: whatever comes in, an error with a cause and a fix comes out, and no text of it holds a token.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backend.errors import (
    AlreadyExists,
    Busy,
    CloudError,
    Conflict,
    InvalidRequest,
    NotFound,
    OperationFailed,
    PermissionDenied,
    QuotaExceeded,
    RateLimited,
    ServiceDisabled,
    StockOut,
    Unauthenticated,
    Unavailable,
    Unreachable,
)

if TYPE_CHECKING:
    from backend.clients.connect import Connection

_QUOTA = re.compile(
    r"Insufficient (?:regional|project) quota|Insufficient quota to satisfy|QUOTA_EXCEEDED|Quota '[^']+' exceeded"
)
_STOCKOUT = re.compile(r"STOCKOUT|ZONE_RESOURCE_POOL_EXHAUSTED|does not have enough resources available")
_ZONE = re.compile(r"zones/([a-z]+-[a-z]+\d+-[a-z])\b")
_BUSY = re.compile(r"Please wait and try again once it is done|Too many operations|concurrent operations quota")
_BUSY_REASONS = frozenset({"resourceInUseByAnotherResource", "resourceNotReady"})
_RATE = re.compile(r"Quota exceeded for quota (?:metric|group)|Rate Limit Exceeded")
_RATE_REASONS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"})
"""Compute Engine says so with 403, where other APIs say 429 (cloud.google.com/compute/api-quota)."""
_RANGE = re.compile(r"conflicts with (?:existing|reserved)|cannot overlap with|[Ii]nvalid IPCidrRange")
_PERMISSION = re.compile(r"""(?:Required|Permission) ["']([\w.]+)["']""")
_QUOTA_FIX = (
    "ask for more at https://console.cloud.google.com/iam-admin/quotas, or choose fewer or other machines, "
    "then `mcig apply` again"
)
REFUSED = "nothing listens there: the connection was refused"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an API says when it does not do something, reduced to what decides."""

    status: int | None
    """HTTP status."""
    message: str
    canonical: str = ""
    """Canonical code such as ``FAILED_PRECONDITION``; Compute Engine gives none."""
    reason: str = ""
    """The most specific reason: that of an ErrorInfo, else the legacy one."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Metadata of the ErrorInfo."""

    @classmethod
    def of(cls, status: int | None, body: Any) -> Refusal:
        """Read the JSON body of an answer; anything else than Google's shape becomes the message."""
        error = body.get("error") if isinstance(body, Mapping) else None
        if not isinstance(error, Mapping):
            return cls(status, str(error or body or "no explanation was given")[:500])
        legacy = next((item.get("reason", "") for item in error.get("errors") or [] if isinstance(item, Mapping)), "")
        info: Mapping[str, Any] = next(
            (item for item in error.get("details") or [] if str(item.get("@type", "")).endswith("ErrorInfo")), {}
        )
        return cls(
            status=status,
            message=str(error.get("message") or "no explanation was given").strip(),
            canonical=str(error.get("status") or ""),
            reason=str(info.get("reason") or legacy),
            metadata=info.get("metadata") or {},
        )


def of_refusal(refusal: Refusal, *, doing: str, connection: Connection) -> CloudError:
    """Give the error for a refusal; ``doing`` says what was tried, such as ``creating cluster gke-west``."""
    kind, cause, fix = _judge(refusal, connection)
    words = refusal.message.partition(". ")[0] if kind is ServiceDisabled else refusal.message
    return kind(f"{doing}: {words}", cause=cause, fix=fix, status=refusal.status, reason=refusal.reason)


def _judge(refusal: Refusal, connection: Connection) -> tuple[type[CloudError], str, str]:
    message, reason, project = refusal.message, refusal.reason, connection.project
    if reason in {"SERVICE_DISABLED", "accessNotConfigured"}:
        service = refusal.metadata.get("service") or "the API"
        return (
            ServiceDisabled,
            f"{service} is off in project {project}, or was enabled minutes ago and is not in force everywhere yet",
            f"gcloud services enable {refusal.metadata.get('service', 'SERVICE')} --project={project}",
        )
    if _QUOTA.search(message):
        return QuotaExceeded, f"the quota of project {project} does not cover this", _QUOTA_FIX
    if _BUSY.search(message) or reason in _BUSY_REASONS or refusal.canonical == "ABORTED":
        return (
            Busy,
            "something else still works on it or uses it",
            "wait until that has ended, then `mcig apply` again",
        )
    if _RANGE.search(message):
        return (
            InvalidRequest,
            "the address range is taken or reserved in this VPC network",
            "set clusters[N].proxy_subnet to a free range from /23 to /26, or to auto",
        )
    if refusal.status == 429 or reason in _RATE_REASONS or _RATE.search(message):
        return RateLimited, "too many requests in a short time", "wait a minute, then the same command again"
    match refusal.status:
        case 401:
            return Unauthenticated, "the credentials are missing, expired or not accepted", connection.sign_in_fix
        case 403:
            missing = refusal.metadata.get("permission") or _found(_PERMISSION, message)
            what = f"the permission {missing}" if missing else f"a permission, or project {project} does not exist"
            return (
                PermissionDenied,
                f"the credentials lack {what}",
                f"ask an owner of project {project} for a role that holds {missing or 'it'}",
            )
        case 404:
            return NotFound, "it does not exist, or not in this project and location", "mcig plan shows what is there"
        case 409:
            duplicate = refusal.canonical == "ALREADY_EXISTS" or reason == "alreadyExists"
            if duplicate or "already exists" in message.lower():
                return AlreadyExists, "the name is taken", "mcig plan shows what is there"
            return Conflict, "it was changed by somebody else meanwhile", "mcig apply again"
        case 412:
            return Conflict, "it was changed by somebody else meanwhile", "mcig apply again"
        case int(status) if status >= 500 or status == 408:
            return Unavailable, "the service itself failed; this is usually short", "the same command again in a minute"
        case _:
            return InvalidRequest, "the API does not take this request", "mend the value that it names"


def of_exception(error: Exception, *, doing: str, connection: Connection, url: str) -> CloudError | None:
    """Give the error for what a Google library raised while talking to ``url``; ``None`` for a bug of our own."""
    import requests
    from google.auth.exceptions import GoogleAuthError, TransportError

    if isinstance(error, requests.exceptions.HTTPError) and error.response is not None:
        return of_refusal(_refusal(error.response), doing=doing, connection=connection)
    if isinstance(error, requests.exceptions.Timeout):
        return Unavailable(
            f"{doing}: no answer from {url} in time",
            cause="the network is slow, or the service is overloaded",
            fix="the same command again; a run continues where it stopped",
        )
    if isinstance(error, requests.exceptions.JSONDecodeError):
        return Unavailable(
            f"{doing}: {url} answered with something else than JSON",
            cause="a proxy or the sign-in page of a network answered in its place",
            fix=connection.unreachable_fix,
        )
    if isinstance(error, (requests.exceptions.RequestException, TransportError)):
        cause = _network_cause(error)
        told = f"{connection.description} cannot be reached at {url}"
        kind = Unreachable if cause == REFUSED else Unavailable
        return kind(told, cause=cause, fix=connection.unreachable_fix, patience_s=connection.patience_s)
    if isinstance(error, GoogleAuthError):
        return Unauthenticated(
            f"{doing}: the credentials could not be used",
            cause="they have expired or were withdrawn",
            fix=connection.sign_in_fix,
        )

    from google.api_core.exceptions import GoogleAPICallError

    if isinstance(error, GoogleAPICallError):
        refusal = Refusal.of(error.code, error.message) if error.response is None else _refusal(error.response)
        return of_refusal(refusal, doing=doing, connection=connection)
    return None


def _refusal(response: Any) -> Refusal:
    try:
        body = response.json()
    except ValueError:
        body = f"{response.status_code} {response.reason}" if "<" in response.text else response.text
    return Refusal.of(response.status_code, body)


def retry_after_s(error: CloudError) -> float | None:
    """Seconds that the server asked to wait before another try; ``None`` when it did not say."""
    response = getattr(error.__cause__, "response", None)
    value = response.headers.get("Retry-After", "") if response is not None else ""
    return float(value) if value.isdigit() else None


def out_of_stock(message: str) -> bool:
    """Say whether a message of Google's is about machines that a zone cannot give."""
    return _STOCKOUT.search(message) is not None


def zones_of(message: str) -> list[str]:
    """The zones that a message of Google's names."""
    return list(dict.fromkeys(_ZONE.findall(message)))


def operation_failed(
    doing: str, message: str, *, project: str, places: tuple[str, ...] = (), code: int | None = None
) -> OperationFailed:
    """Give the error for an operation that ended badly; ``places`` are the zones it was tried in."""
    if out_of_stock(message):
        zones = tuple(zones_of(message)) or places
        return StockOut(
            f"{doing}: {message}",
            cause=f"Google has no such machines to give in {' or '.join(zones) or 'this zone'} just now; "
            "quota does not help",
            fix="set clusters[N].gpu_pool.zones, machine_type or provisioning to something else, "
            "then `mcig apply` again",
            reason="" if code is None else str(code),
            zones=zones,
        )
    if _QUOTA.search(message):
        cause, fix = f"the quota of project {project} does not cover this", _QUOTA_FIX
    elif _RANGE.search(message):
        cause, fix = "an address range is taken in this VPC network", "choose another range, then `mcig apply` again"
    else:
        cause, fix = "Google accepted the request and could not carry it out", "`mcig apply` again"
    return OperationFailed(f"{doing}: {message}", cause=cause, fix=fix, reason="" if code is None else str(code))


def _network_cause(error: Exception) -> str:
    text = str(error)
    if "refused" in text:
        return REFUSED
    if "resolve" in text or "resolution" in text:
        return "the name cannot be resolved: no network or no DNS"
    if "proxy" in text.lower():
        return "the proxy that HTTPS_PROXY names does not let it through"
    return "the connection broke"


def _found(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match[1] if match else ""
