"""What somebody agreed to, held against the cloud as it is when the run begins.

Any time may pass between a plan and the yes to it, and another run may end in between. Invariant: a run changes nothing
that its plan did not name; what is done already, only has to be waited for, or could not be seen when the plan was
made, is no reason to ask again.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from backend.engine.events import Action
from backend.engine.plan import Plan, PlannedStep
from backend.engine.resource import STATUS, ResourceId
from backend.errors import Conflict
from backend.only import left_out

MOST_NAMED = 3
"""Steps that are named in an error."""


def confirmed(agreed: Plan, now: Plan, *, following: Collection[ResourceId], stack: str) -> Plan:
    """Give the plan as it is ``now``, as far as it was agreed to.

    ``following`` are the rows that follow the changes of others. Raises ``Conflict`` when there is more to do.
    """
    before = {step.resource: step for step in agreed.steps}
    aside = {step.resource for step in agreed.left_out}
    steps = tuple(left_out(step) if step.resource in aside else step for step in now.steps)
    more = [
        f"{step.action} {step.resource}"
        for step in steps
        if step.resource not in following and _adds(step, before.get(step.resource))
    ]
    if more:
        others = f" and {len(more) - MOST_NAMED} more" if len(more) > MOST_NAMED else ""
        raise Conflict(
            f"the cloud has changed since the plan was made; now it would also {', '.join(more[:MOST_NAMED])}{others}",
            cause=f"another run of {stack}, or somebody by other means; nothing was changed by this one",
            fix=f"`mcig {agreed.verb} {stack}` makes a new plan",
        )
    return replace(now, steps=steps)


def _adds(step: PlannedStep, agreed: PlannedStep | None) -> bool:
    """Whether a step changes what the agreed one does not."""
    fields = {change.field for change in step.step.changes}
    if step.action is Action.NO_OP or (step.action is Action.UPDATE and fields == {STATUS}):
        return False
    if agreed is not None and agreed.unseen is not None:
        return False
    if agreed is None or agreed.action is not step.action:
        return True
    return not fields <= {STATUS, *(change.field for change in agreed.step.changes)}
