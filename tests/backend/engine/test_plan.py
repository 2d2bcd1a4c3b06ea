"""The plan: one step per resource, ordered, and nothing changed by making it."""

import pytest

from backend.engine.events import Action, Verb
from backend.engine.plan import plan
from backend.engine.resource import Step
from tests.backend.engine.toys import Check, Silent, Toy, ToyWorld


async def actions(resources: list[Toy], verb: Verb = Verb.APPLY) -> dict[str, Action]:
    made = await plan(resources, verb)
    return {step.resource: step.action for step in made.steps}


async def test_absent_is_created_equal_is_left_different_is_updated() -> None:
    world = ToyWorld(values={"b": "new", "c": "old"})
    assert await actions([Toy(world, "a"), Toy(world, "b"), Toy(world, "c")]) == {
        "a": Action.CREATE,
        "b": Action.NO_OP,
        "c": Action.UPDATE,
    }


async def test_update_tells_what_differs() -> None:
    made = await plan([Toy(ToyWorld(values={"a": "old"}), "a")], Verb.APPLY)
    change = made.steps[0].step.changes[0]
    assert (change.field, change.before, change.after) == ("value", "old", "new")
    assert made.steps[0].drifted


async def test_planning_changes_nothing() -> None:
    world = ToyWorld(values={"a": "old"})
    await plan([Toy(world, "a"), Toy(world, "b", "a")], Verb.APPLY)
    assert world.values == {"a": "old"}
    assert all(entry.startswith("observe") for entry in world.log)


@pytest.mark.parametrize(("seen", "action"), [({"a": "new"}, Action.NO_OP), ({}, Action.CREATE)])
async def test_a_final_check_runs_only_when_something_before_it_changes(seen: dict[str, str], action: Action) -> None:
    world = ToyWorld(values=seen)
    chain = [Toy(world, "a"), Toy(world, "b", "a", value="kept"), Check(world, "check", "b")]
    world.values["b"] = "kept"
    assert (await actions(chain))["check"] is action


async def test_removal_can_leave_alone_what_is_not_ours() -> None:
    class Foreign(Toy):
        def removal(self, observed: str | None) -> Step:
            return self.no_op("not made by us")

    made = await plan([Foreign(ToyWorld(values={"a": "x"}), "a")], Verb.DESTROY)
    assert (made.steps[0].action, made.steps[0].step.reason) == (Action.NO_OP, "not made by us")


async def test_the_estimate_is_the_critical_path_of_what_changes() -> None:
    world = ToyWorld(values={"b": "new"})
    made = await plan([Toy(world, "a"), Toy(world, "b", "a"), Toy(world, "c", "b"), Toy(world, "d")], Verb.APPLY)
    assert made.estimate_s == 2.0
    assert made.usd_per_hour == 2.0


class Left(Toy):
    """A toy that a destroy leaves."""

    def removal(self, observed: str | None) -> Step:
        return self.no_op("left")


async def test_what_says_nothing_goes_with_what_it_lives_in() -> None:
    world = ToyWorld(values={"cluster": "new", "kept": "new"})
    gateway = Silent(world, "gateway", within="cluster")
    gateway.outside = "its load balancer"
    resources = [
        Toy(world, "cluster"),
        Left(world, "kept"),
        Silent(world, "pods", within="cluster"),
        gateway,
        Silent(world, "pods in kept", within="kept"),
    ]

    made = await plan(resources, Verb.DESTROY, passing=(ConnectionError,))

    steps = {str(step.resource): (step.action, step.step.reason, step.forgiven) for step in made.steps}
    assert steps["pods"] == (Action.NO_OP, "goes with cluster, which does not answer", (ConnectionError,))
    told = "cluster does not answer; if it stays so, its load balancer may remain"
    assert steps["gateway"] == (Action.DELETE, told, (ConnectionError,))
    assert steps["pods in kept"] == (Action.DELETE, "kept does not answer", ())


async def test_a_destroy_needs_to_see_what_lives_in_nothing() -> None:
    world = ToyWorld()
    cluster, pods = Silent(world, "cluster"), Silent(world, "pods", within="cluster")
    with pytest.raises(ConnectionError, match="cluster says nothing"):
        await plan([cluster, pods], Verb.DESTROY, passing=(ConnectionError,))


async def test_a_destroy_costs_what_it_leaves_standing() -> None:
    class Foreign(Toy):
        def removal(self, observed: str | None) -> Step:
            return self.no_op("not made by us")

    world = ToyWorld(values={"a": "new", "b": "new"})
    made = await plan([Toy(world, "a"), Foreign(world, "b"), Toy(world, "absent")], Verb.DESTROY)
    assert made.usd_per_hour == 0.5


async def test_json_has_the_contract_keys() -> None:
    document = (await plan([Toy(ToyWorld(), "a")], Verb.APPLY)).to_json(stack="s", target="emulator")
    assert {"stack", "target", "steps", "summary", "estimate_s", "usd_per_hour"} <= document.keys()
    assert document["summary"] == {"no_op": 0, "create": 1, "update": 0, "replace": 0, "delete": 0}
    expected = "resource action depends_on drift estimate_s usd_per_hour permissions command departures"
    assert set(expected.split()) <= document["steps"][0].keys()
