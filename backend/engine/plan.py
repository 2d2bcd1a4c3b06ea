"""From resources and what is observed of them to an ordered list of steps.

Every resource gives exactly one step, no-ops included, so a plan shows the whole recipe. Invariants: making a plan
changes nothing; steps stand in an order in which they could be carried out one by one; the same world gives the same
plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.engine.durations import NOTHING, Duration, last_end
from backend.engine.events import Action, Verb
from backend.engine.graph import graph, stable_order
from backend.engine.observe import Unseen, observe
from backend.engine.resource import About, Resource, ResourceId, Step

LEFT_OUT = "left out by --only"
"""Reason of a step that is not carried out because another one was asked for alone."""
FOLLOWS = "nothing before it changes"
"""Reason of a step that is only carried out after a change."""


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step together with its place in the graph and what can be said of it beforehand."""

    step: Step
    after: frozenset[ResourceId]
    """Resources whose steps must be finished before this one starts."""
    about: About
    drifted: bool
    """True when the resource exists but differs from what is wanted."""
    present: bool = True
    """True when the resource exists now."""
    unseen: Exception | None = None
    """Why it could not be looked at; nothing is known of it then."""
    forgiven: tuple[type[Exception], ...] = ()
    """Errors with which its deletion counts as done, because it goes with what it lives in."""

    @property
    def resource(self) -> ResourceId:
        """The resource's id."""
        return self.step.resource

    @property
    def action(self) -> Action:
        """What is to be done."""
        return self.step.action

    @property
    def duration(self) -> Duration:
        """How long the step takes, in seconds on the real cloud; nothing where nothing is done."""
        if self.action is Action.NO_OP:
            return NOTHING
        usual = self.about.estimate_s
        return Duration(usual, max(usual, self.about.estimate_p90_s or 0.0))


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do."""

    verb: Verb
    steps: tuple[PlannedStep, ...]

    @property
    def changes(self) -> tuple[PlannedStep, ...]:
        """The steps that would change something."""
        return tuple(step for step in self.steps if step.action is not Action.NO_OP)

    @property
    def left_out(self) -> tuple[PlannedStep, ...]:
        """The steps that would change something and are not carried out this time."""
        return tuple(step for step in self.steps if step.step.reason == LEFT_OUT)

    @property
    def summary(self) -> dict[str, int]:
        """Number of steps per action, with ``no_op`` spelled as JSON keys are."""
        counts = {str(action).replace("-", "_"): 0 for action in Action}
        for step in self.steps:
            counts[str(step.action).replace("-", "_")] += 1
        return counts

    @property
    def duration(self) -> Duration:
        """How long the run takes: its critical path, in seconds on the real cloud."""
        return last_end(
            {step.resource: step.duration for step in self.steps}, {step.resource: step.after for step in self.steps}
        )

    @property
    def estimate_s(self) -> float:
        """Usual length of the critical path through the changes, in seconds on the real cloud."""
        return self.duration.p50_s

    @property
    def estimate_p90_s(self) -> float:
        """Length that nine of ten such runs keep below, in seconds on the real cloud."""
        return self.duration.p90_s

    @property
    def usd_per_hour(self) -> float:
        """Estimated running cost of everything the plan leaves standing."""
        return sum(
            step.about.usd_per_hour
            for step in self.steps
            if step.action is not Action.DELETE and (step.present or self.verb is Verb.APPLY)
        )

    def to_json(self, *, stack: str, target: str) -> dict[str, Any]:
        """Give the plan as the document that ``mcig plan --json`` prints."""
        return {
            "stack": stack,
            "target": target,
            "verb": str(self.verb),
            "steps": [
                {
                    "resource": planned.resource,
                    "action": str(planned.action),
                    "title": planned.about.title,
                    "region": planned.about.region,
                    "depends_on": sorted(planned.after),
                    "drift": [
                        {"field": change.field, "before": change.before, "after": change.after}
                        for change in planned.step.changes
                    ],
                    "reason": planned.step.reason,
                    "estimate_s": planned.about.estimate_s,
                    "estimate_p90_s": planned.about.estimate_p90_s,
                    "usd_per_hour": planned.about.usd_per_hour,
                    "permissions": list(planned.about.permissions),
                    "command": planned.about.command,
                    "departures": [
                        {"document": item.document, "mcig": item.mcig, "because": item.because}
                        for item in planned.about.departures
                    ],
                }
                for planned in self.steps
            ],
            "summary": self.summary,
            "estimate_s": self.estimate_s,
            "estimate_p90_s": self.estimate_p90_s,
            "usd_per_hour": round(self.usd_per_hour, 4),
        }


async def plan(
    resources: Sequence[Resource[Any]],
    verb: Verb,
    *,
    parallel: int = 32,
    passing: tuple[type[Exception], ...] = (),
    limit_s: float | None = None,
) -> Plan:
    """Observe the world and say what ``verb`` would do.

    Errors of the kinds in ``passing``, and looks longer than ``limit_s`` as in ``observe``, leave resources unseen. A
    plan to apply is then good for looking only; one to destroy takes away what unseen things live in, and raises the
    error of what lives in nothing.
    """
    edges = graph(resources, verb)
    observed = await observe(resources, parallel=parallel, passing=passing, limit_s=limit_s)
    by_id = {resource.id: resource for resource in resources}
    order = [resource.id for resource in resources]
    actions: dict[ResourceId, PlannedStep] = {}
    moved: set[ResourceId] = set()
    for name in stable_order(edges, order):
        resource, seen = by_id[name], observed[name]
        after = edges[name]
        upstream_moves = any(before in moved for before in after)
        unseen = seen.error if type(seen) is Unseen else None
        if unseen is not None and verb is Verb.DESTROY:
            step, goes = _removal_unseen(resource, by_id, observed)
            forgiven = passing if goes else ()
            actions[name] = PlannedStep(step, after, resource.about, drifted=False, unseen=unseen, forgiven=forgiven)
            continue
        if unseen is None and resource.only_after_change:
            unseen = next((actions[before].unseen for before in sorted(after) if actions[before].unseen), None)
        if unseen is not None:
            actions[name] = PlannedStep(
                resource.no_op(str(unseen)), after, resource.about, drifted=False, unseen=unseen
            )
            continue
        if verb is Verb.DESTROY:
            step = resource.removal(seen)
        elif resource.only_after_change and not upstream_moves:
            step = resource.no_op(FOLLOWS)
        else:
            step = resource.diff(seen)
        if step.action is not Action.NO_OP or (upstream_moves and verb is Verb.APPLY):
            moved.add(name)
        drifted = seen is not None and step.action in {Action.UPDATE, Action.REPLACE}
        actions[name] = PlannedStep(step, after, resource.about, drifted, present=seen is not None)
    return Plan(verb, tuple(actions.values()))


def _removal_unseen(
    resource: Resource[Any], by_id: Mapping[ResourceId, Resource[Any]], observed: Mapping[ResourceId, Any]
) -> tuple[Step, bool]:
    """Take away what could not be looked at, and say whether it goes with what it lives in."""
    home = resource.within
    if home is None or type(observed[home]) is Unseen:
        raise observed[home or resource.id].error
    if by_id[home].removal(observed[home]).action is not Action.DELETE:
        return Step(resource.id, Action.DELETE, reason=f"{home} does not answer"), False
    if not resource.outside:
        return resource.no_op(f"goes with {home}, which does not answer"), True
    reason = f"{home} does not answer; if it stays so, {resource.outside} may remain"
    return Step(resource.id, Action.DELETE, reason=reason), True
