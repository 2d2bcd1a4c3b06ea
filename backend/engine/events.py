"""What a run tells its listeners, as data.

The engine calls ``emit(event)``; the journal, the plain printer, JSON lines and a screen are all such callables. An
envelope gives each payload its sequence number and time. Invariant: a run emits exactly one ``run_started`` first and
exactly one ``run_finished`` last, also after a failure or an interruption.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import PurePath
from typing import Any, ClassVar

_CALLS_TOLD = 4
"""Calls that are told of a fault of the program itself."""


class Action(StrEnum):
    """What a step does to its resource."""

    NO_OP = "no-op"
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"


class Outcome(StrEnum):
    """How a step or a run ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


class Verb(StrEnum):
    """What a run is for."""

    APPLY = "apply"
    DESTROY = "destroy"


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as data: what failed, the likely cause, the fix, and the original message."""

    message: str
    cause: str = ""
    fix: str = ""
    original: str = ""
    kind: str = ""
    """Name of the error's class, such as ``StockOut``, for listeners that react to some."""

    @classmethod
    def of(cls, error: BaseException, report: str = "") -> Failure:
        """Describe any exception; ``cause`` and ``fix`` are taken from it where it has them.

        What has neither, and does not come from the operating system, is a fault of the program itself: ``report`` is
        its fix then, and the original says where it happened.
        """
        root, kind = error.__cause__, type(error).__name__
        if not hasattr(error, "cause") and not isinstance(error, OSError):
            message = f"{kind}: {error}".removesuffix(": ")
            return cls(message, "a fault of mcig itself", report, f"{message}{_place(error)}", kind)
        return cls(
            message=str(error) or kind,
            cause=str(getattr(error, "cause", "") or ""),
            fix=str(getattr(error, "fix", "") or ""),
            original=f"{type(root).__name__}: {root}" if root is not None else "",
            kind=kind,
        )


def _place(error: BaseException) -> str:
    """The last calls before an exception was raised, the innermost first."""
    calls = traceback.extract_tb(error.__traceback__)[-_CALLS_TOLD:]
    return "".join(f", in {call.name} ({PurePath(call.filename).name}:{call.lineno})" for call in reversed(calls))


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run begins; ``steps`` is what it is going to do, in the plan's order."""

    type: ClassVar[str] = "run_started"
    run: str
    stack: str
    target: str
    verb: Verb
    steps: tuple[tuple[str, Action], ...]
    """(resource id, action) of every step, no-ops included."""
    estimate_s: float | None = None
    """Median length of the run, in seconds on the real cloud."""
    estimate_p90_s: float | None = None
    """Length that nine of ten such runs keep below, in seconds on the real cloud."""
    speed: float | None = None
    """How many times faster than real time it plays: 1 on a real cloud; ``None`` where waiting is left out or nobody
    knows."""


@dataclass(frozen=True, slots=True)
class StepStarted:
    """The engine begins to work on a resource."""

    type: ClassVar[str] = "step_started"
    resource: str
    action: Action
    region: str | None = None
    estimate_s: float | None = None
    estimate_p90_s: float | None = None


@dataclass(frozen=True, slots=True)
class StepNote:
    """Something worth knowing while a step runs, such as what it waits for."""

    type: ClassVar[str] = "step_note"
    resource: str
    text: str
    operation: str | None = None
    """Name of the long-running operation the step waits for, so that another process can find it again."""


@dataclass(frozen=True, slots=True)
class StepFinished:
    """The engine is done with a resource."""

    type: ClassVar[str] = "step_finished"
    resource: str
    action: Action
    outcome: Outcome
    elapsed_s: float
    region: str | None = None
    reason: str = ""
    """Why it was skipped or left alone; empty otherwise."""
    error: Failure | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    """What the resource wants to be known of its final state, such as the gateway's addresses."""


@dataclass(frozen=True, slots=True)
class RunFinished:
    """A run has ended; always the last event."""

    type: ClassVar[str] = "run_finished"
    outcome: Outcome
    elapsed_s: float
    counts: Mapping[str, int]
    """Number of steps per outcome, no-ops counted as ``unchanged``."""


Payload = RunStarted | StepStarted | StepNote | StepFinished | RunFinished
PAYLOADS: Mapping[str, type[Payload]] = {
    kind.type: kind for kind in (RunStarted, StepStarted, StepNote, StepFinished, RunFinished)
}


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened in a run."""

    seq: int
    """Counts from 1 within the run, without gaps."""
    at: datetime
    """When it happened, in UTC."""
    payload: Payload

    def to_json(self) -> dict[str, Any]:
        """Give the event as the flat JSON object that journals and ``--json`` carry."""
        body = asdict(self.payload)
        if isinstance(self.payload, RunStarted):
            body["steps"] = [{"resource": resource, "action": str(action)} for resource, action in self.payload.steps]
        return {"seq": self.seq, "at": self.at.isoformat(), "type": self.payload.type, **body}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Event:
        """Read an event back; raises ``ValueError`` for anything that is not one."""
        try:
            body = {key: value for key, value in data.items() if key not in {"seq", "at", "type"}}
            kind = PAYLOADS[data["type"]]
            for key, enum in (("action", Action), ("outcome", Outcome), ("verb", Verb)):
                if key in body:
                    body[key] = enum(body[key])
            if kind is RunStarted:
                body["steps"] = tuple((step["resource"], Action(step["action"])) for step in body["steps"])
            if body.get("error") is not None:
                body["error"] = Failure(**body["error"])
            return cls(seq=int(data["seq"]), at=datetime.fromisoformat(data["at"]), payload=kind(**body))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not an event: {error}") from error


Emit = Callable[[Event], None]


class Recorder:
    """Stamps payloads with sequence number and time and hands them to every listener in turn.

    A listener with a fault is told nothing more, and disturbs nobody.
    """

    def __init__(self, *listeners: Emit, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._listeners = list(listeners)
        self._clock = clock
        self._seq = 0
        self.fault: Exception | None = None
        """The first fault of a listener."""

    def __call__(self, payload: Payload) -> None:
        """Send one payload."""
        self._seq += 1
        event = Event(self._seq, self._clock(), payload)
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception as error:
                self._listeners.remove(listener)
                self.fault = self.fault or error
