"""Everything that can go wrong, as one tree.

McigError
├── UsageError              the caller asked for something that cannot be: SPEC, --set, no project (exit 2)
│   └── SpecError           a specification with problems, each at its file:line key
├── CredentialsError        no usable Google credentials
├── LockHeld                another run owns this stack
├── RehearsalError          the emulated cloud could not be started or found
├── PromptError             a prompt could not be sent
├── PreflightRefused        a check found that the run would fail (exit 4)
├── StepTimeout             a resource did not get ready within its time
└── CloudError              an API answered with an error
    ├── NotFound
    ├── AlreadyExists
    ├── Conflict            another field manager or a newer resourceVersion owns the field
    ├── Busy                another operation runs on the same object; try again
    ├── PermissionDenied
    │   └── ServiceDisabled
    ├── Unauthenticated
    ├── QuotaExceeded
    ├── RateLimited
    ├── InvalidRequest
    ├── OperationFailed     a long-running operation ended with an error
    │   └── StockOut        a zone has no such machines to give
    └── Unavailable         no connection, or the server failed
        └── Unreachable     nothing listens there

Invariant: every error carries what failed (the message), a likely cause and a fix (the next command or key); the
library's own exception stays reachable as ``__cause__``. None of the three texts ever holds a token.
"""

from __future__ import annotations

from dataclasses import dataclass

PATIENCE_S = 60.0
"""Seconds within which an API server that restarts, or a laptop that wakes up, is back."""


class McigError(Exception):
    """A failure told in three parts: what failed, the likely cause, and what to do next."""

    def __init__(self, message: str, *, cause: str = "", fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        """What failed, in one sentence."""
        self.cause = cause
        """The likely cause; empty where the message already says it."""
        self.fix = fix
        """The next command or key; empty where nothing can be done but to read the message."""


class UsageError(McigError):
    """The request itself is wrong; nothing was asked of any cloud."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a specification."""

    path: str
    """Dotted path of the field, such as ``clusters[1].region``; empty for the document as a whole."""
    message: str
    """What is wrong and what would be right."""
    source: str = ""
    """``file:line`` where the value stands, or ``--set``; empty when unknown."""

    def __str__(self) -> str:
        place = " ".join(part for part in (self.source, self.path) if part)
        return f"{place}: {self.message}" if place else self.message


class SpecError(UsageError):
    """A specification that cannot be used; lists every problem found, not just the first."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(
            "\n".join(str(problem) for problem in problems),
            fix="mend the lines above; `mcig presets show rehearsal` prints a complete example",
        )
        self.problems = tuple(problems)


class CredentialsError(McigError):
    """There are no Google credentials that could be used."""


class LockHeld(McigError):
    """Another run owns the stack's lock."""

    def __init__(self, message: str, *, cause: str = "", fix: str = "", elsewhere: bool = False) -> None:
        super().__init__(message, cause=cause, fix=fix)
        self.elsewhere = elsewhere
        """Whether it is on another host, and may be over; it can be taken over."""


class RehearsalError(McigError):
    """The emulated cloud could not be started, found or stopped."""


class PromptError(McigError):
    """A prompt could not be sent through the gateway."""


class PreflightRefused(McigError):
    """A check found that setting up would fail, before anything was made."""


class StepTimeout(McigError):
    """A resource was asked for but did not get ready in time."""


class CloudError(McigError):
    """An API answered with an error."""

    patience_s: float = 0.0
    """Seconds within which the same request is worth repeating; none where the answer would be the same."""

    def __init__(
        self, message: str, *, cause: str = "", fix: str = "", status: int | None = None, reason: str = ""
    ) -> None:
        super().__init__(message, cause=cause, fix=fix)
        self.status = status
        """HTTP status of the answer; ``None`` when there was no answer."""
        self.reason = reason
        """The API's own machine-readable reason, such as ``SERVICE_DISABLED`` or ``FieldManagerConflict``."""
        self.cluster = ""
        """The cluster whose API server was asked; empty where Google was, or where it has no name."""


class NotFound(CloudError):
    """The object does not exist."""


class AlreadyExists(CloudError):
    """An object of that name exists already."""


class Conflict(CloudError):
    """Somebody else owns or has changed what was to be written."""


class Busy(CloudError):
    """Another operation runs on the same object; the call may be repeated later."""


class PermissionDenied(CloudError):
    """The credentials lack a permission."""


class ServiceDisabled(PermissionDenied):
    """The API is not enabled in the project."""


class Unauthenticated(CloudError):
    """The credentials were not accepted."""


class QuotaExceeded(CloudError):
    """The project's quota does not cover the request."""


class RateLimited(CloudError):
    """Too many requests; the call may be repeated later."""

    patience_s = PATIENCE_S


class InvalidRequest(CloudError):
    """The API refused the request's content."""


class OperationFailed(CloudError):
    """A long-running operation was accepted and then ended with an error."""


class StockOut(OperationFailed):
    """Zones have no machines of a shape to give; quota does not help, other places or shapes do."""

    def __init__(
        self,
        message: str,
        *,
        cause: str = "",
        fix: str = "",
        reason: str = "",
        zones: tuple[str, ...],
        machine_type: str = "",
    ) -> None:
        super().__init__(message, cause=cause, fix=fix, reason=reason)
        self.zones = zones
        """Zones that were found to be out of stock."""
        self.machine_type = machine_type
        """What was asked for; empty when the API did not say."""


class Unavailable(CloudError):
    """No connection, or the server itself failed."""

    def __init__(
        self,
        message: str,
        *,
        cause: str = "",
        fix: str = "",
        status: int | None = None,
        reason: str = "",
        patience_s: float = PATIENCE_S,
    ) -> None:
        super().__init__(message, cause=cause, fix=fix, status=status, reason=reason)
        self.patience_s = patience_s


class Unreachable(Unavailable):
    """The connection was refused: nothing listens there."""
