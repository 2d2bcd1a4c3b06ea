"""What was agreed to, and a cloud that has moved on since."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backend.agreed import confirmed
from backend.engine.events import Action, Verb
from backend.engine.plan import LEFT_OUT, Plan, PlannedStep
from backend.engine.resource import STATUS, About, Change, ResourceId, Step
from backend.errors import Conflict, Unavailable
from backend.only import restrict

VERIFY = ResourceId("verify")


def step(name: str, action: Action, *fields: str) -> PlannedStep:
    changes = tuple(Change(field, 1, 2) for field in fields)
    return PlannedStep(Step(ResourceId(name), action, changes), frozenset(), About(""), drifted=bool(fields))


def plan(*steps: PlannedStep, verb: Verb = Verb.APPLY) -> Plan:
    return Plan(verb, steps)


def carried_out(agreed: Plan, now: Plan) -> list[tuple[str, Action]]:
    made = confirmed(agreed, now, following={VERIFY}, stack="demo")
    return [(one.resource, one.action) for one in made.steps]


@pytest.mark.parametrize(
    ("agreed", "now"),
    [
        pytest.param(step("a", Action.CREATE), step("a", Action.NO_OP), id="done meanwhile"),
        pytest.param(step("a", Action.NO_OP), step("a", Action.UPDATE, STATUS), id="to be waited for"),
        pytest.param(
            step("a", Action.UPDATE, "size"), step("a", Action.UPDATE, "size", STATUS), id="the same and a wait"
        ),
        pytest.param(step("a", Action.UPDATE, "size", "image"), step("a", Action.UPDATE, "size"), id="less"),
        pytest.param(step("verify", Action.NO_OP), step("verify", Action.CREATE), id="follows others"),
        pytest.param(
            replace(step("a", Action.NO_OP), unseen=Unavailable("gke-east does not answer")),
            step("a", Action.DELETE),
            id="could not be seen",
        ),
    ],
)
def test_what_was_agreed_to_is_carried_out_as_it_is_now(agreed: PlannedStep, now: PlannedStep) -> None:
    assert carried_out(plan(agreed), plan(now)) == [(now.resource, now.action)]


@pytest.mark.parametrize(
    ("agreed", "now"),
    [
        pytest.param(step("a", Action.NO_OP), step("a", Action.CREATE), id="gone"),
        pytest.param(step("a", Action.UPDATE, "size"), step("a", Action.CREATE), id="gone before its change"),
        pytest.param(step("a", Action.CREATE), step("a", Action.REPLACE, "size"), id="made otherwise"),
        pytest.param(step("a", Action.UPDATE, "size"), step("a", Action.UPDATE, "image"), id="another field"),
        pytest.param(step("b", Action.NO_OP), step("a", Action.DELETE), id="nobody spoke of it"),
    ],
)
def test_more_than_was_agreed_to_is_refused(agreed: PlannedStep, now: PlannedStep) -> None:
    with pytest.raises(Conflict, match=f"now it would also {now.action} a$") as refused:
        carried_out(plan(agreed, verb=Verb.DESTROY), plan(now, verb=Verb.DESTROY))
    assert refused.value.fix == "`mcig destroy demo` makes a new plan"


def test_much_more_is_counted() -> None:
    now = plan(*(step(name, Action.CREATE) for name in "abcde"))
    with pytest.raises(Conflict, match="also create a, create b, create c and 2 more"):
        carried_out(plan(), now)


def test_what_was_left_out_stays_left_out() -> None:
    whole = plan(step("a", Action.CREATE), step("b", Action.CREATE), step("c", Action.NO_OP))
    made = confirmed(restrict(whole, ResourceId("a"), stack="demo"), whole, following=(), stack="demo")
    assert [(one.action, one.step.reason) for one in made.steps] == [
        (Action.CREATE, ""),
        (Action.NO_OP, LEFT_OUT),
        (Action.NO_OP, ""),
    ]
