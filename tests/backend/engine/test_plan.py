"""The plan: one step per resource, ordered, and nothing changed by making it."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.engine.events import Action, Verb
from backend.engine.plan import GraphError, Late, plan
from backend.engine.resource import Step
from tests.backend.engine.toys import Check, Toy, ToyWorld


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


async def test_what_lives_inside_something_absent_is_not_asked_for() -> None:
    world = ToyWorld()
    made = await actions([Toy(world, "cluster"), Toy(world, "inside", within="cluster")])
    assert made == {"cluster": Action.CREATE, "inside": Action.CREATE}
    assert world.log == ["observe cluster"]


class Silent(Toy):
    """A toy that cannot be looked at."""

    async def observe(self) -> str | None:
        raise ConnectionError(f"{self.id} says nothing")


async def test_what_says_nothing_is_unseen_where_that_is_passed_over_and_an_error_elsewhere() -> None:
    world = ToyWorld(values={"inside": "old", "after": "old"})
    resources = [
        Silent(world, "cluster"),
        Toy(world, "inside", within="cluster"),
        Toy(world, "after", "cluster"),
        Check(world, "check", "inside"),
    ]
    with pytest.raises(ConnectionError, match="cluster says nothing"):
        await plan(resources, Verb.APPLY)
    made = await plan(resources, Verb.APPLY, passing=(ConnectionError,))
    unseen = {step.resource: str(step.unseen) for step in made.steps if step.unseen is not None}
    assert unseen == dict.fromkeys(("cluster", "inside", "check"), "cluster says nothing")
    assert {step.resource: step.action for step in made.changes} == {"after": Action.UPDATE}


class Hanging(Toy):
    """A toy that never answers."""

    async def observe(self) -> str | None:
        await asyncio.Event().wait()
        return None


async def test_what_hangs_inside_something_is_late_and_holds_nothing_else_up() -> None:
    world = ToyWorld(values={"cluster": "new", "other": "old"})
    resources = [Toy(world, "cluster"), Hanging(world, "inside", within="cluster"), Toy(world, "other")]
    made = await plan(resources, Verb.APPLY, limit_s=0.01)
    late = next(step.unseen for step in made.steps if step.resource == "inside")
    assert isinstance(late, Late)
    assert (late.resource, str(late)) == ("inside", "no answer within 0.01 s")
    assert [step.resource for step in made.changes] == ["other"]


class Timed(Toy):
    """A toy whose own patience ends."""

    async def observe(self) -> str | None:
        raise TimeoutError("its own")


async def test_a_time_out_of_the_resource_itself_is_an_error() -> None:
    world = ToyWorld(values={"cluster": "new"})
    with pytest.raises(TimeoutError, match="its own"):
        await plan([Toy(world, "cluster"), Timed(world, "inside", within="cluster")], Verb.APPLY, limit_s=5)


async def test_what_lives_inside_comes_after_it() -> None:
    world = ToyWorld()
    made = await plan([Toy(world, "inside", within="cluster"), Toy(world, "cluster")], Verb.APPLY)
    assert [step.resource for step in made.steps] == ["cluster", "inside"]


async def test_destroy_turns_the_order_around_and_leaves_out_what_is_absent() -> None:
    world = ToyWorld(values={"a": "new", "b": "new"})
    made = await plan([Toy(world, "a"), Toy(world, "b", "a"), Toy(world, "c", "b")], Verb.DESTROY)
    assert [(step.resource, step.action) for step in made.steps] == [
        ("c", Action.NO_OP),
        ("b", Action.DELETE),
        ("a", Action.DELETE),
    ]


async def test_delete_after_orders_what_does_not_depend() -> None:
    world = ToyWorld(values={"server": "new", "gateway": "new"})
    made = await plan([Toy(world, "server", delete_after=("gateway",)), Toy(world, "gateway")], Verb.DESTROY)
    assert [step.resource for step in made.steps] == ["gateway", "server"]


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


async def test_an_error_while_looking_is_raised_as_it_is() -> None:
    class Blind(Toy):
        async def observe(self) -> str | None:
            raise LookupError("cannot see")

    with pytest.raises(LookupError, match="cannot see"):
        await plan([Blind(ToyWorld(), "a"), Toy(ToyWorld(), "b")], Verb.APPLY)


@pytest.mark.parametrize(
    ("needs", "words"),
    [({"a": ["b"], "b": ["a"]}, "cycle"), ({"a": ["ghost"]}, "a -> ghost")],
)
async def test_impossible_graphs_are_refused(needs: dict[str, list[str]], words: str) -> None:
    world = ToyWorld()
    with pytest.raises(GraphError, match=words):
        await plan([Toy(world, name, *before) for name, before in needs.items()], Verb.APPLY)


async def test_two_resources_of_one_name_are_refused() -> None:
    with pytest.raises(GraphError, match="same id"):
        await plan([Toy(ToyWorld(), "a"), Toy(ToyWorld(), "a")], Verb.APPLY)


async def test_the_estimate_is_the_critical_path_of_what_changes() -> None:
    world = ToyWorld(values={"b": "new"})
    made = await plan([Toy(world, "a"), Toy(world, "b", "a"), Toy(world, "c", "b"), Toy(world, "d")], Verb.APPLY)
    assert made.estimate_s == 2.0
    assert made.usd_per_hour == 2.0


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


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """Acyclic graphs: each node needs some of the earlier ones."""
    names = [f"r{index}" for index in range(draw(st.integers(1, 12)))]
    return {
        name: draw(st.lists(st.sampled_from(names[:index]), unique=True)) if index else []
        for index, name in enumerate(names)
    }


@given(graphs(), st.sampled_from(list(Verb)))
async def test_every_step_stands_after_what_it_needs(needs: dict[str, list[str]], verb: Verb) -> None:
    world = ToyWorld(values=dict.fromkeys(needs, "new"))
    made = await plan([Toy(world, name, *before) for name, before in needs.items()], verb)
    position = {step.resource: index for index, step in enumerate(made.steps)}
    assert position.keys() == needs.keys()
    for step in made.steps:
        assert all(position[before] < position[step.resource] for before in step.after)
