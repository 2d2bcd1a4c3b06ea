"""Carrying out a plan: side by side, bounded, never throwing away what was won, and always telling how it ended."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.engine.apply import Result, Run, apply
from backend.engine.events import Action, Event, Outcome, RunFinished, RunStarted, StepFinished, StepNote, Verb
from backend.engine.plan import plan
from backend.engine.resource import Note, Step
from tests.backend.engine.toys import Broken, Silent, Toy, ToyWorld, graphs

RUN = Run("run-1", "toys", "nowhere")


async def carry_out(resources: list[Toy], verb: Verb = Verb.APPLY, parallel: int = 8) -> tuple[Result, list[Event]]:
    events: list[Event] = []
    made = await plan(resources, verb)
    return await apply(made, resources, run=RUN, emit=events.append, parallel=parallel), events


def finished(events: list[Event]) -> dict[str, StepFinished]:
    return {e.payload.resource: e.payload for e in events if isinstance(e.payload, StepFinished)}


async def test_everything_is_made_in_order_and_a_second_run_changes_nothing() -> None:
    world = ToyWorld()
    toys = [Toy(world, "a"), Toy(world, "b", "a"), Toy(world, "c", "b")]
    result, _ = await carry_out(toys)
    assert result.outcome is Outcome.SUCCEEDED
    assert [entry for entry in world.log if entry.startswith("apply")] == ["apply a", "apply b", "apply c"]
    again, events = await carry_out(toys)
    assert again.outcome is Outcome.SUCCEEDED
    assert {step.action for step in again.finished} == {Action.NO_OP}
    last = events[-1].payload
    assert isinstance(last, RunFinished)
    assert last.counts == {"succeeded": 0, "unchanged": 3, "failed": 0, "skipped": 0, "cancelled": 0}


async def test_a_failure_skips_its_dependents_and_the_rest_is_finished() -> None:
    world = ToyWorld(broken={"b"})
    result, events = await carry_out(
        [Toy(world, "a"), Toy(world, "b", "a"), Toy(world, "c", "b"), Toy(world, "d", "a")]
    )
    ends = finished(events)
    assert {name: end.outcome for name, end in ends.items()} == {
        "a": Outcome.SUCCEEDED,
        "b": Outcome.FAILED,
        "c": Outcome.SKIPPED,
        "d": Outcome.SUCCEEDED,
    }
    assert ends["c"].reason == "needs b, which did not succeed"
    assert result.outcome is Outcome.FAILED
    assert [failure.resource for failure in result.failures] == ["b"]


async def test_a_failure_carries_message_cause_fix_and_the_original() -> None:
    _, events = await carry_out([Toy(ToyWorld(broken={"a"}), "a")])
    error = finished(events)["a"].error
    assert error is not None
    assert (error.message, error.cause, error.fix) == ("a is broken", "it is a broken toy", "mend the toy")
    assert error.original == "OSError: wire cut"


async def test_what_still_says_nothing_goes_with_what_it_lives_in() -> None:
    world = ToyWorld(values={"cluster": "new"})
    gateway = Silent(world, "gateway", within="cluster")
    gateway.outside = "its load balancer"
    toys = [Toy(world, "cluster"), gateway]

    made = await plan(toys, Verb.DESTROY, passing=(ConnectionError,))
    result = await apply(made, toys, run=RUN, emit=lambda event: None)

    assert result.outcome is Outcome.SUCCEEDED
    assert world.values == {}
    assert result.finished[0].reason == (
        "cluster does not answer; if it stays so, its load balancer may remain: gateway still says nothing"
    )


async def test_mending_and_running_again_continues() -> None:
    world = ToyWorld(broken={"b"})
    toys = [Toy(world, "a"), Toy(world, "b", "a"), Toy(world, "c", "b")]
    await carry_out(toys)
    world.broken.clear()
    world.log.clear()
    result, _ = await carry_out(toys)
    assert result.outcome is Outcome.SUCCEEDED
    assert "apply a" not in world.log
    assert world.values == {"a": "new", "b": "new", "c": "new"}


async def test_independent_steps_run_side_by_side_within_the_bound() -> None:
    for parallel in (1, 3):
        world = ToyWorld()
        await carry_out([Toy(world, f"r{index}") for index in range(9)], parallel=parallel)
        assert world.most_running == parallel


async def test_destroy_takes_everything_away_dependents_first() -> None:
    world = ToyWorld(values={"a": "new", "b": "new"})
    result, events = await carry_out([Toy(world, "a"), Toy(world, "b", "a")], Verb.DESTROY)
    assert result.outcome is Outcome.SUCCEEDED
    assert world.values == {}
    assert list(finished(events)) == ["b", "a"]


async def test_a_cancelled_run_says_so_for_every_step_and_at_the_end() -> None:
    world = ToyWorld(hanging={"b"})
    toys = [Toy(world, "a"), Toy(world, "b", "a"), Toy(world, "c", "b")]
    events: list[Event] = []
    made = await plan(toys, Verb.APPLY)
    started = asyncio.Event()

    def listen(event: Event) -> None:
        events.append(event)
        if isinstance(event.payload, StepNote) and event.payload.resource == "b":
            started.set()

    task = asyncio.create_task(apply(made, toys, run=RUN, emit=listen))
    await started.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
    ends = finished(events)
    assert {name: end.outcome for name, end in ends.items()} == {
        "a": Outcome.SUCCEEDED,
        "b": Outcome.CANCELLED,
        "c": Outcome.CANCELLED,
    }
    last = events[-1].payload
    assert isinstance(last, RunFinished)
    assert last.outcome is Outcome.CANCELLED


class Hindered(Exception):
    """What passes within a minute."""

    cause = "the wire was cut"
    patience_s = 60.0


class Cut(Toy):
    """A toy whose wire is cut for some requests, each of which takes time."""

    def __init__(self, world: ToyWorld, cuts: int, *, at: Callable[[float], None], each_s: float = 0.0) -> None:
        super().__init__(world, "a")
        self.cuts, self._at, self._each_s = cuts, at, each_s

    async def _ask(self) -> None:
        self._at(self._each_s)
        self.cuts -= 1
        if self.cuts >= 0:
            raise Hindered("no answer")

    async def apply(self, step: Step, note: Note) -> None:
        await self._ask()
        await super().apply(step, note)

    async def delete(self, note: Note) -> None:
        await self._ask()
        await super().delete(note)


@pytest.mark.parametrize("verb", list(Verb))
@pytest.mark.parametrize(
    ("cuts", "each_s", "ends"),
    [(50, 1.0, True), (70, 1.0, False), (2, 60.0, False), (3, 1000.0, True)],
    ids=["for less than a minute", "for longer", "patiently itself", "now and then"],
)
async def test_a_hindered_step_is_tried_again_for_as_long_as_that_may_last(
    monkeypatch: pytest.MonkeyPatch, verb: Verb, cuts: int, each_s: float, ends: bool
) -> None:
    now = 0.0

    def passes(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr("backend.engine.apply.pause_after", lambda elapsed_s: 0.0)
    world = ToyWorld(values={} if verb is Verb.APPLY else {"a": "new"})
    toys = [Cut(world, cuts, at=passes, each_s=each_s)]
    events: list[Event] = []

    result = await apply(await plan(toys, verb), toys, run=RUN, emit=events.append, clock=lambda: now)

    assert (result.outcome is Outcome.SUCCEEDED) is ends
    notes = [event.payload.text for event in events if isinstance(event.payload, StepNote)]
    assert notes.count("no answer: the wire was cut") == 1


class Talkative(Toy):
    """A toy that fails and goes on talking."""

    async def wait(self, note: Note) -> str:
        async def talk() -> None:
            while True:
                await asyncio.sleep(0)
                note("and another thing")

        self.talking = asyncio.create_task(talk())
        await asyncio.sleep(0.01)
        raise Broken("it is over")


async def test_nothing_is_told_of_a_step_that_has_ended() -> None:
    toy = Talkative(ToyWorld(), "a")

    _, events = await carry_out([toy])
    await asyncio.sleep(0.01)

    toy.talking.cancel()
    assert StepNote("a", "and another thing") in [event.payload for event in events]
    assert [event.payload.type for event in events[-2:]] == ["step_finished", "run_finished"]


async def test_a_listener_with_a_fault_ends_no_run() -> None:
    world = ToyWorld()
    toys = [Toy(world, "a"), Toy(world, "b", "a")]
    heard: list[Event] = []
    full = OSError(28, "No space left on device")

    def listen(event: Event) -> None:
        heard.append(event)
        if isinstance(event.payload, StepFinished):
            raise full

    result = await apply(await plan(toys, Verb.APPLY), toys, run=RUN, emit=listen)

    assert result.outcome is Outcome.SUCCEEDED
    assert world.values == {"a": "new", "b": "new"}
    assert result.unheard is full
    assert isinstance(heard[-1].payload, StepFinished)


class Faulty(Toy):
    """A toy with a fault of the program."""

    async def wait(self, note: Note) -> str:
        return {"name": self.id}["done"]


async def test_a_fault_of_the_program_says_so_and_where_it_is() -> None:
    toys = [Faulty(ToyWorld(), "a")]
    run = replace(RUN, report="tell us")

    result = await apply(await plan(toys, Verb.APPLY), toys, run=run, emit=lambda event: None)

    error = result.finished[0].error
    assert error is not None
    assert (error.message, error.cause, error.fix) == ("KeyError: 'done'", "a fault of mcig itself", "tell us")
    assert error.original.startswith("KeyError: 'done', in wait (test_apply.py:")


async def test_what_the_machine_refuses_is_no_fault_of_the_program() -> None:
    class Refused(Toy):
        async def wait(self, note: Note) -> str:
            raise PermissionError(13, "Permission denied", "kubeconfig")

    result, _ = await carry_out([Refused(ToyWorld(), "a")])

    error = result.finished[0].error
    assert error is not None
    assert (error.message, error.cause) == ("[Errno 13] Permission denied: 'kubeconfig'", "")


async def test_notes_carry_operation_names() -> None:
    _, events = await carry_out([Toy(ToyWorld(), "a")])
    notes = [event.payload for event in events if isinstance(event.payload, StepNote)]
    assert [(note.text, note.operation) for note in notes] == [("making a", "op-a")]


async def test_detail_reaches_the_listeners() -> None:
    _, events = await carry_out([Toy(ToyWorld(), "a", value="x")])
    assert finished(events)["a"].detail == {"value": "x"}


@given(graphs(), st.data())
async def test_any_graph_ends_with_every_step_told_once(needs: dict[str, list[str]], data: st.DataObject) -> None:
    broken = data.draw(st.sets(st.sampled_from(sorted(needs))))
    world = ToyWorld(broken=broken)
    result, events = await carry_out([Toy(world, name, *before) for name, before in needs.items()])
    assert isinstance(events[0].payload, RunStarted)
    assert isinstance(events[-1].payload, RunFinished)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    told = Counter(e.payload.resource for e in events if isinstance(e.payload, StepFinished))
    assert told == Counter(needs.keys())

    def doomed(name: str) -> bool:
        return name in broken or any(doomed(before) for before in needs[name])

    assert set(world.values) == {name for name in needs if not doomed(name)}
    assert (result.outcome is Outcome.SUCCEEDED) == (not broken)


@pytest.mark.parametrize("verb", list(Verb))
async def test_an_empty_plan_succeeds(verb: Verb) -> None:
    result, events = await carry_out([], verb)
    assert result.outcome is Outcome.SUCCEEDED
    assert [event.payload.type for event in events] == ["run_started", "run_finished"]
