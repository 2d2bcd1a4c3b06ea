"""What the engine asks of a resource.

A resource is one row of the recipe for one place: it can look at the world, say what should change, change it, wait
until it holds, and take it away. Invariants: ``observe`` changes nothing; ``diff`` and ``removal`` are pure; ``apply``,
``wait`` and ``delete`` may be repeated at any time ("already exists" and "not found" are success).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, NewType, Protocol, TypeVar

from backend.engine.events import Action

ResourceId = NewType("ResourceId", str)
"""Stable name shown to people, such as ``node-pool/gke-west/h100``."""

STATUS = "status"
"""Field of a change that is only waited for: what is lacking to be ready."""

Observed = TypeVar("Observed")


class Note(Protocol):
    """Tells listeners what a step is doing; called from within ``apply``, ``wait`` and ``delete``."""

    def __call__(self, text: str, *, operation: str | None = None) -> None: ...


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs from what is wanted."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done with one resource."""

    resource: ResourceId
    action: Action
    changes: tuple[Change, ...] = ()
    """The differences behind an update or a replacement, in the order in which they are made."""
    reason: str = ""
    """Why it is left alone, or what is special; shown to people."""


@dataclass(frozen=True, slots=True)
class Departure:
    """A place where the carried-out recipe differs from the document, in three sentences."""

    document: str
    """What the document says."""
    mcig: str
    """What is done in its place."""
    because: str
    """Why."""


@dataclass(frozen=True, slots=True)
class About:
    """What can be said of a resource without asking any cloud."""

    title: str
    """A short sentence in the imperative, such as ``Create cluster gke-west``."""
    region: str | None = None
    """The region whose lane it belongs to; ``None`` for what all regions share."""
    command: str = ""
    """The equivalent gcloud or kubectl command."""
    permissions: tuple[str, ...] = ()
    """IAM permissions that applying it needs."""
    departures: tuple[Departure, ...] = ()
    estimate_s: float = 0.0
    """Median duration of creating it, in seconds on the real cloud."""
    estimate_p90_s: float | None = None
    """Duration that nine of ten keep below, in seconds on the real cloud; ``None`` when no spread is known."""
    usd_per_hour: float = 0.0
    """Estimated running cost once it exists."""


class Resource(ABC, Generic[Observed]):
    """One row of the recipe for one place."""

    only_after_change: ClassVar[bool] = False
    """True for steps that only make sense when something before them changed, such as a final check."""

    id: ResourceId
    depends_on: frozenset[ResourceId] = frozenset()
    within: ResourceId | None = None
    """The resource inside which this one lives: while that one is absent, so is this, and nothing is asked."""
    delete_after: frozenset[ResourceId] = frozenset()
    """Resources that must be gone before this one is deleted, beside those that depend on it."""
    outside: str = ""
    """What it has outside of what it lives in, in words, so that it is not wholly gone with that; empty for nothing."""
    unread: Exception | None = None
    """Why ``observe`` last took it for absent without having read that it is; ``None`` where it was read."""
    _operation: str | None = None
    """Name of the long-running operation under way, for resources whose ``wait`` follows one."""

    def resume(self, operation: str) -> None:
        """Take over an operation that another process began, so that ``wait`` tells how it ends."""
        self._operation = operation

    @property
    @abstractmethod
    def about(self) -> About:
        """What can be said without asking any cloud."""

    @abstractmethod
    async def observe(self) -> Observed | None:
        """Read the present state; ``None`` when absent."""

    @abstractmethod
    def diff(self, observed: Observed | None) -> Step:
        """Say what applying would do."""

    def removal(self, observed: Observed | None) -> Step:
        """Say what destroying would do: delete by default; override to leave alone what is not ours."""
        if observed is None:
            return self.no_op("absent")
        return Step(self.id, Action.DELETE)

    @abstractmethod
    async def apply(self, step: Step, note: Note) -> None:
        """Ask for the wanted state; returns once it has been accepted."""

    @abstractmethod
    async def wait(self, note: Note) -> Observed:
        """Return once the wanted state holds; raises when it cannot be reached."""

    @abstractmethod
    async def delete(self, note: Note) -> None:
        """Take it away and return once it is gone."""

    def detail(self, observed: Observed) -> Mapping[str, Any]:
        """Say what of the final state listeners should know; JSON-able, and never a secret."""
        del observed
        return {}

    def no_op(self, reason: str = "") -> Step:
        """Leave it alone."""
        return Step(self.id, Action.NO_OP, reason=reason)

    def create(self, reason: str = "") -> Step:
        """Make it, or go on making it."""
        return Step(self.id, Action.CREATE, reason=reason)

    def update(self, *changes: Change, reason: str = "") -> Step:
        """Bring these fields to their wanted values; no change at all is a no-op."""
        return Step(self.id, Action.UPDATE, changes, reason) if changes else self.no_op(reason)
