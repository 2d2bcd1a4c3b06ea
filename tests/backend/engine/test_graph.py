"""The order of a run, for either verb."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.engine.events import Action, Verb
from backend.engine.graph import GraphError
from backend.engine.plan import plan
from tests.backend.engine.toys import Toy, ToyWorld, graphs


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


@given(graphs(), st.sampled_from(list(Verb)))
async def test_every_step_stands_after_what_it_needs(needs: dict[str, list[str]], verb: Verb) -> None:
    world = ToyWorld(values=dict.fromkeys(needs, "new"))
    made = await plan([Toy(world, name, *before) for name, before in needs.items()], verb)
    position = {step.resource: index for index, step in enumerate(made.steps)}
    assert position.keys() == needs.keys()
    for step in made.steps:
        assert all(position[before] < position[step.resource] for before in step.after)
