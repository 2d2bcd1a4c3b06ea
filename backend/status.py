"""How a stack stands, as data.

Invariant: a state is what the plan to apply says of the resource, so that ``mcig status`` and ``mcig plan`` never
differ.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from backend.address import Address
from backend.drill_mark import drilled
from backend.engine.events import Action
from backend.engine.observe import Unanswered
from backend.engine.plan import Plan, PlannedStep
from backend.engine.resource import STATUS
from backend.errors import CloudError, ServiceDisabled, Unavailable
from backend.money import HOURS_PER_DAY, Spent
from backend.spec import GatewaySpec, Guard, Target

if TYPE_CHECKING:
    from backend.explain import Node
    from backend.resources.leftovers import Leftover

SPENT_NOTHING: dict[str, Any] = {"spent_usd": None, "since": None, "hours": None, "uncounted": []}
"""What is told of the money of a stack without clusters."""


@dataclass(frozen=True, slots=True)
class ResourceStatus:
    """One resource as it stands."""

    resource: str
    region: str | None
    state: str
    """``ready``, ``absent``, ``unfinished`` (being made), ``drifted`` (there, but not as wanted), ``drained`` (a drill
    goes on, or was killed) or ``unknown``."""
    drift: tuple[Mapping[str, Any], ...]
    """The fields that differ: ``{field, before, after}``."""
    reason: str = ""
    """Why nothing is known of it, or what a drill does; empty unless it is ``unknown`` or a drill goes on."""

    @classmethod
    def of(cls, planned: PlannedStep) -> ResourceStatus:
        """Read a resource's state off the step that applying would take."""
        if planned.unseen is not None:
            return cls(planned.resource, planned.about.region, "unknown", (), str(planned.unseen))
        drift = tuple(asdict(change) for change in planned.step.changes)
        drill, others = drilled(drift)
        if drill is not None:
            state = "drifted" if any(one["field"] != STATUS for one in others) else "drained"
            return cls(planned.resource, planned.about.region, state, drift, drill.said)
        if planned.action is Action.NO_OP:
            state = "ready"
        elif planned.action is Action.CREATE:
            state = "unfinished" if planned.step.reason else "absent"
        else:
            state = "drifted"
        return cls(planned.resource, planned.about.region, state, drift)


@dataclass(frozen=True, slots=True)
class Status:
    """A stack as it stands."""

    stack: str
    target: Target
    resources: tuple[ResourceStatus, ...]
    addresses: tuple[Address, ...]
    usd_per_hour: float
    """Estimated running cost of what is there."""
    prices_dated: tuple[date, date]
    """Dates of the oldest and the newest price behind the estimate."""
    leftovers: tuple[Leftover, ...] = ()
    """Parts of load balancers that a Gateway of the stack probably left; looked for while there is none."""
    spent: Spent | None = None
    """What it has cost so far; ``None`` while it has no cluster."""
    guard: Guard | None = None
    """The limits that the specification sets."""
    guard_passed: str = ""
    """Which of them are passed, in words; empty when none is."""
    why: Node | None = None
    """What the cloud says of its parts, with cause and fix; ``None`` while it has no cluster."""
    unread: str = ""
    """Why some resources could not be read, as while a cluster does not answer; they are ``unknown``."""

    def to_json(self) -> dict[str, Any]:
        """Give the status as the document that ``mcig status --json`` prints."""
        return {
            "stack": self.stack,
            "target": str(self.target),
            "resources": [asdict(item) for item in self.resources],
            "addresses": [asdict(item) for item in self.addresses],
            "unread": self.unread or None,
            "why": None if self.why is None else self.why.to_json(),
            "leftovers": [asdict(item) for item in self.leftovers],
            "cost": {
                "estimate": True,
                "usd_per_hour": round(self.usd_per_hour, 4),
                "usd_per_day": round(self.usd_per_hour * HOURS_PER_DAY, 2),
                "prices_dated": [day.isoformat() for day in self.prices_dated],
                **(SPENT_NOTHING if self.spent is None else self.spent.to_json()),
                "guard": None if self.guard is None else self.guard.model_dump(mode="json"),
                "guard_passed": self.guard_passed or None,
            },
        }


def statuses(plan: Plan, following: Collection[str]) -> tuple[ResourceStatus, ...]:
    """How every resource of a plan to apply stands.

    Those ``following`` changes have no state of their own: they are ready where nothing but a drill is different.
    """
    found = tuple(map(ResourceStatus.of, plan.steps))
    settled = all(one.state in {"ready", "drained"} for one in found if one.resource not in following)
    return tuple(replace(one, state="ready") if settled and one.resource in following else one for one in found)


def unread(plan: Plan, spec: GatewaySpec) -> str:
    """Why steps of a plan are unknown, once for every cluster; empty when none is."""
    said: dict[str, str] = {}
    for error in (step.unseen for step in plan.steps):
        if isinstance(error, ServiceDisabled) and error.cause:
            said.setdefault(error.cause, error.cause)
        elif isinstance(error, CloudError):
            place = error.cluster if isinstance(error, Unavailable) else error.message
            said.setdefault(place, f"{error.message} ({error.cause})" if error.cause else error.message)
        elif isinstance(error, Unanswered):
            name = _asked(error.resource, plan, spec)
            said.setdefault(name, f"{name}: {error}")
    return "; ".join(said.values())


def _asked(resource: str, plan: Plan, spec: GatewaySpec) -> str:
    """The cluster that a resource was looked for on: its own while nothing else there answers, else the config one."""
    name = resource.partition("@")[2]
    answers = any(step.unseen is None and step.resource.endswith(f"@{name}") for step in plan.steps)
    return name if name and not answers else spec.config_cluster
