"""What is known of a run's steps before they begin: read off a plan, or off the journal of a run.

Invariant: both give the same kind of facts, so that a recording looks like the run that it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from backend.engine.events import Action, Event, RunStarted, StepFinished, StepStarted
from backend.engine.plan import Plan
from backend.engine.resource import Change


@dataclass(frozen=True, slots=True)
class StepFacts:
    """What is known of a step before it begins."""

    resource: str
    action: Action
    region: str | None = None
    title: str = ""
    command: str = ""
    permissions: tuple[str, ...] = ()
    reason: str = ""
    changes: tuple[Change, ...] = ()
    estimate_s: float = 0.0
    """Usual length in real seconds; 0 where nothing is waited for or nobody knows."""
    estimate_p90_s: float = 0.0
    usd_per_hour: float = 0.0

    @property
    def kind(self) -> str:
        """The resource's kind: ``node-pool`` of ``node-pool/gke-west/h100``."""
        return self.resource.partition("/")[0].partition("@")[0]


def facts_of_plan(plan: Plan) -> tuple[StepFacts, ...]:
    """What a plan knows of its steps."""
    return tuple(
        StepFacts(
            resource=step.resource,
            action=step.action,
            region=step.about.region,
            title=step.about.title,
            command=step.about.command,
            permissions=step.about.permissions,
            reason=step.step.reason,
            changes=step.step.changes,
            estimate_s=step.duration.p50_s,
            estimate_p90_s=step.duration.p90_s,
            usd_per_hour=step.about.usd_per_hour,
        )
        for step in plan.steps
    )


def facts_of_events(events: Iterable[Event]) -> tuple[StepFacts, ...]:
    """What a recorded run knew of its steps; regions of steps that never began are read off their cluster."""
    facts: dict[str, StepFacts] = {}
    for event in events:
        match event.payload:
            case RunStarted() as run:
                facts |= {name: StepFacts(name, action) for name, action in run.steps}
            case StepStarted() as step:
                known = facts.get(step.resource) or StepFacts(step.resource, step.action)
                late = step.estimate_p90_s or step.estimate_s or 0.0
                facts[step.resource] = replace(
                    known, region=step.region, estimate_s=step.estimate_s or 0.0, estimate_p90_s=late
                )
            case StepFinished() as step:
                known = facts.get(step.resource) or StepFacts(step.resource, step.action)
                facts[step.resource] = replace(known, region=step.region)
            case _:
                pass
    homes = {name.partition("/")[2]: one.region for name, one in facts.items() if name.startswith("cluster/")}
    return tuple(
        one
        if one.region is not None
        or (home := homes.get(_cluster_of(one.resource))) is None
        # What stands on the config cluster but belongs to all says so itself, once it ends.
        or one.kind == "relay"
        else replace(one, region=home)
        for one in facts.values()
    )


def _cluster_of(resource: str) -> str:
    head, _, cluster = resource.partition("@")
    return cluster or (head.split("/")[1] if "/" in head else "")
