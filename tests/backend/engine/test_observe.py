"""Looking: side by side, once, and nothing asked where the answer is known."""

import pytest

from backend.engine.events import Action, Verb
from backend.engine.observe import Unanswered
from backend.engine.plan import plan
from tests.backend.engine.toys import Check, Hanging, Silent, Toy, ToyWorld


async def actions(resources: list[Toy], verb: Verb = Verb.APPLY) -> dict[str, Action]:
    made = await plan(resources, verb)
    return {step.resource: step.action for step in made.steps}


async def test_what_lives_inside_something_absent_is_not_asked_for() -> None:
    world = ToyWorld()
    made = await actions([Toy(world, "cluster"), Toy(world, "inside", within="cluster")])
    assert made == {"cluster": Action.CREATE, "inside": Action.CREATE}
    assert world.log == ["observe cluster"]


class Timed(Toy):
    """A toy whose own patience ends."""

    async def observe(self) -> str | None:
        raise TimeoutError("its own")


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


class Off(Toy):
    """A toy whose API is off: it is taken for absent."""

    async def observe(self) -> str | None:
        self.unread = ConnectionError("its API is off")
        return None


async def test_what_is_only_taken_for_absent_is_made_by_a_run_and_unseen_by_a_look() -> None:
    toys: list[Toy] = [Off(ToyWorld(), "membership")]
    assert await actions(toys) == {"membership": Action.CREATE}
    (step,) = (await plan(toys, Verb.APPLY, passing=(ConnectionError,))).steps
    assert str(step.unseen) == "its API is off"


async def test_what_hangs_inside_something_is_late_and_holds_nothing_else_up() -> None:
    world = ToyWorld(values={"cluster": "new", "other": "old"})
    resources = [Toy(world, "cluster"), Hanging(world, "inside", within="cluster"), Toy(world, "other")]
    made = await plan(resources, Verb.APPLY, limit_s=0.01)
    late = next(step.unseen for step in made.steps if step.resource == "inside")
    assert isinstance(late, Unanswered)
    assert (late.resource, str(late)) == ("inside", "no answer within 0.01 s")
    assert [step.resource for step in made.changes] == ["other"]


async def test_a_time_out_of_the_resource_itself_is_an_error() -> None:
    world = ToyWorld(values={"cluster": "new"})
    with pytest.raises(TimeoutError, match="its own"):
        await plan([Toy(world, "cluster"), Timed(world, "inside", within="cluster")], Verb.APPLY, limit_s=5)


async def test_an_error_while_looking_is_raised_as_it_is() -> None:
    class Blind(Toy):
        async def observe(self) -> str | None:
            raise LookupError("cannot see")

    with pytest.raises(LookupError, match="cannot see"):
        await plan([Blind(ToyWorld(), "a"), Toy(ToyWorld(), "b")], Verb.APPLY)
