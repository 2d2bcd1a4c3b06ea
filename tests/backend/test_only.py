"""One step alone, and never on sand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backend.engine.events import Action, Verb
from backend.engine.plan import LEFT_OUT, Plan, PlannedStep
from backend.engine.resource import About, ResourceId, Step
from backend.errors import Conflict, UsageError
from backend.only import known, restrict
from tests.backend.engine.toys import Toy, ToyWorld


def step(name: str, action: Action, *after: str) -> PlannedStep:
    return PlannedStep(Step(ResourceId(name), action), frozenset(map(ResourceId, after)), About(""), drifted=False)


PLAN = Plan(
    Verb.APPLY,
    (
        step("services", Action.NO_OP),
        step("cluster/west", Action.UPDATE, "services"),
        step("pool@west", Action.CREATE, "cluster/west"),
        step("subnet/west", Action.CREATE, "services"),
    ),
)


def test_one_step_is_kept_and_the_rest_is_left_out() -> None:
    restricted = restrict(PLAN, ResourceId("subnet/west"), stack="demo")
    assert [found.resource for found in restricted.changes] == ["subnet/west"]
    assert {found.resource: found.step.reason for found in restricted.left_out} == {
        "cluster/west": LEFT_OUT,
        "pool@west": LEFT_OUT,
    }
    assert [found.resource for found in restricted.steps] == [found.resource for found in PLAN.steps]


def test_what_it_needs_must_be_as_wanted() -> None:
    with pytest.raises(Conflict, match="pool@west needs cluster/west, which is not as wanted yet") as refused:
        restrict(PLAN, ResourceId("pool@west"), stack="demo")
    assert "`mcig apply demo`" in refused.value.fix
    assert "--only cluster/west" in refused.value.fix


def test_a_destroy_is_never_one_step() -> None:
    with pytest.raises(UsageError, match="services cannot be destroyed alone") as refused:
        restrict(replace(PLAN, verb=Verb.DESTROY), ResourceId("services"), stack="demo")
    assert refused.value.fix == "mcig destroy demo"


@pytest.mark.parametrize(("name", "near"), [("cluster/wst", "cluster/west"), ("pool", "pool@west"), ("???", "subnet/")])
def test_an_unknown_name_gets_the_nearest(name: str, near: str) -> None:
    toys = [Toy(ToyWorld(), one.resource) for one in PLAN.steps]
    with pytest.raises(UsageError, match="there is no resource") as refused:
        known(name, toys)
    assert near in refused.value.cause
    assert known("services", toys) == "services"
