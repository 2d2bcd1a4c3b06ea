"""Carrying out one step of a plan and leaving out the rest.

Invariant: nothing is done on top of something that is not as wanted; what the one step needs is never done silently.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from backend.engine.events import Action, Verb
from backend.engine.plan import LEFT_OUT, Plan, PlannedStep
from backend.engine.resource import Resource, ResourceId, Step
from backend.errors import Conflict, UsageError
from backend.spec import GatewaySpec


def names(spec: GatewaySpec) -> tuple[ResourceId, ...]:
    """Every resource of a specification, in the order of the recipe; asks no cloud."""
    from pathlib import Path

    from backend.clients import Clients
    from backend.clients.connect import Connection
    from backend.resources import declare

    nowhere = Connection(spec.target, spec.project or "", None, "no cloud", "", "")
    return tuple(row.id for row in declare(spec, Clients(nowhere, spec), kubeconfig=Path("kubeconfig")))


def known(name: str, resources: Iterable[Resource[Any]]) -> ResourceId:
    """The id of one of the resources; raises ``UsageError`` with the nearest ones for another name."""
    ids = [resource.id for resource in resources]
    if name in ids:
        return ResourceId(name)
    near = get_close_matches(name, ids, 3, 0.5) or [one for one in ids if name.rstrip("s") in one][:3]
    raise UsageError(
        f"there is no resource {name} in this stack",
        cause=f"the nearest are {', '.join(near)}" if near else f"there are {', '.join(ids)}",
        fix="`mcig status` lists all of them; give one id exactly",
    )


def restrict(plan: Plan, name: ResourceId, *, stack: str) -> Plan:
    """The plan with this one step; raises ``Conflict`` when something that it needs is not as wanted.

    Raises ``UsageError`` for a plan to destroy: without the rest nobody could tell what of the stack still stands.
    """
    if plan.verb is not Verb.APPLY:
        raise UsageError(
            f"{name} cannot be destroyed alone",
            cause="--only is for what is set up; a stack is taken away as a whole",
            fix=f"mcig destroy {stack}",
        )
    if waiting := [step.resource for step in needs(plan, name) if step.action is not Action.NO_OP]:
        raise Conflict(
            f"{name} needs {', '.join(waiting)}, which {'is' if len(waiting) == 1 else 'are'} not as wanted yet",
            cause="--only carries out one step, and never what comes before it",
            fix=f"`mcig apply {stack}` does all of it; or begin with `mcig apply {stack} --only {waiting[0]}`",
        )
    return replace(plan, steps=tuple(step if step.resource == name else left_out(step) for step in plan.steps))


def needs(plan: Plan, name: ResourceId) -> tuple[PlannedStep, ...]:
    """The steps before a resource's, in the plan's order."""
    by_id = {step.resource: step for step in plan.steps}
    found: set[ResourceId] = set()
    ahead = list(by_id[name].after)
    while ahead:
        before = ahead.pop()
        if before not in found:
            found.add(before)
            ahead += by_id[before].after
    return tuple(step for step in plan.steps if step.resource in found)


def left_out(step: PlannedStep) -> PlannedStep:
    """The step as it stands in a plan that does not carry it out."""
    if step.action is Action.NO_OP:
        return step
    return replace(step, step=Step(step.resource, Action.NO_OP, reason=LEFT_OUT))
