"""A stack keeps its lock, journal and specification; what it takes from the machine comes in the right order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import pytest

from backend import presets
from backend.clients import Clients
from backend.clients.connect import Connection
from backend.engine import journal
from backend.engine.events import Action, Event, Outcome, RunFinished, Verb
from backend.engine.resource import About, Change, Note, Resource, ResourceId, Step
from backend.errors import (
    CloudError,
    Conflict,
    LockHeld,
    OperationFailed,
    PermissionDenied,
    PromptError,
    ServiceDisabled,
    UsageError,
)
from backend.lock import Owner, StackLock
from backend.places import Places, write_private
from backend.retire import Declare
from backend.spec import GatewaySpec, Target
from backend.stack import Stack
from backend.surroundings import gcloud_project, hugging_face_token, project_of


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places.of({"MCIG_HOME": str(tmp_path / "home")})


@pytest.fixture
def rehearsal(places: Places) -> GatewaySpec:
    return presets.load(presets.find("rehearsal", places))


class Toy(Resource[int]):
    """A resource whose whole state is a number in a dictionary; wants the number 1."""

    def __init__(self, name: str, world: dict[str, int], *, after: str | None = None, fails: bool = False) -> None:
        self.id = ResourceId(name)
        self.depends_on = frozenset() if after is None else frozenset({ResourceId(after)})
        self._world = world
        self._fails = fails
        self.reached = asyncio.Event()
        self.hold: asyncio.Event | None = None

    @property
    def about(self) -> About:
        return About(f"Make {self.id}", estimate_s=10, usd_per_hour=0.5)

    async def observe(self) -> int | None:
        return self._world.get(self.id)

    def diff(self, observed: int | None) -> Step:
        if observed is None:
            return self.create()
        return self.no_op() if observed == 1 else self.update(Change("number", observed, 1))

    async def apply(self, step: Step, note: Note) -> None:
        note("asked", operation="operation-1")
        self.reached.set()
        if self.hold is not None:
            await self.hold.wait()
        if self._fails:
            raise OperationFailed("it broke", cause="it was made to", fix="mend it")
        self._world[self.id] = 1

    async def wait(self, note: Note) -> int:
        return self._world[self.id]

    async def delete(self, note: Note) -> None:
        self._world.pop(self.id, None)

    def detail(self, observed: int) -> Mapping[str, Any]:
        return {"addresses": [{"region": "us-east4", "address": "10.0.0.9"}]} if self.id == "gateway" else {}


class Closed:
    """Clients of nothing."""

    closed = False

    async def close(self) -> None:
        self.closed = True


def open_with(spec: GatewaySpec, places: Places, declare: Declare) -> Stack:
    connection = Connection(Target.EMULATOR, "demo-project", None, "a toy cloud", "", "")
    return Stack(spec, connection=connection, clients=cast("Clients", Closed()), declare=declare, places=places)


def open_toy(spec: GatewaySpec, places: Places, *resources: Toy) -> Stack:
    return open_with(spec, places, lambda _: resources)


def journals(places: Places, stack: str) -> list[list[Event]]:
    return [list(journal.read(path)) for path in sorted(places.journal(stack, "x").parent.glob("*.jsonl"))]


async def test_apply_tells_keeps_and_gives_the_lock_back(rehearsal: GatewaySpec, places: Places) -> None:
    world: dict[str, int] = {"b": 7}
    stack = open_toy(rehearsal, places, Toy("a", world), Toy("b", world, after="a"))
    told: list[Event] = []
    result = await stack.apply(await stack.plan(), emit=told.append)
    assert result.outcome is Outcome.SUCCEEDED
    assert world == {"a": 1, "b": 1}
    assert isinstance(told[-1].payload, RunFinished)
    assert journals(places, "rehearsal") == [told]
    assert presets.load(presets.last_stack(places)) == rehearsal
    with StackLock(places.lock("rehearsal"), "rehearsal") as lock:
        assert lock.taken_from is None
    assert not (await stack.plan()).changes


async def test_a_journal_that_cannot_be_written_is_told_once_and_ends_no_run(
    rehearsal: GatewaySpec, places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = tmp_path / "journals" / "full"
    full.parent.mkdir()
    full.symlink_to("/dev/full")
    monkeypatch.setattr(Places, "journal", lambda self, stack, run: full)
    world: dict[str, int] = {}
    stack = open_toy(rehearsal, places, Toy("a", world), Toy("b", world, after="a"))
    told: list[Event] = []
    notes: list[str] = []

    result = await stack.apply(await stack.plan(), emit=told.append, note=notes.append)

    assert result.outcome is Outcome.SUCCEEDED
    assert world == {"a": 1, "b": 1}
    assert isinstance(told[-1].payload, RunFinished)
    assert [note.partition(":")[0] for note in notes] == ["the journal cannot be written any more, the run goes on"]


async def test_a_listeners_fault_is_raised_once_the_run_is_over(rehearsal: GatewaySpec, places: Places) -> None:
    world: dict[str, int] = {"a": 1}
    stack = open_toy(rehearsal, places, Toy("a", world))

    def listen(event: Event) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        await stack.apply(await stack.plan(Verb.DESTROY), emit=listen)
    assert world == {}
    assert [len(events) for events in journals(places, "rehearsal")] == [4]


async def test_what_is_kept_is_the_owners_only(rehearsal: GatewaySpec, places: Places) -> None:
    stack = open_toy(rehearsal, places, Toy("a", {}))
    await stack.apply(await stack.plan(), emit=lambda _: None)
    kept = [path for path in places.state.rglob("*") if path.is_file()]
    assert len(kept) == 3
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in places.state.rglob("*") if path.is_dir()} == {0o700}


async def test_a_second_run_is_refused_while_the_first_works(rehearsal: GatewaySpec, places: Places) -> None:
    toy = Toy("a", {})
    toy.hold = asyncio.Event()
    stack = open_toy(rehearsal, places, toy)
    plan = await stack.plan()
    first = asyncio.create_task(stack.apply(plan, emit=lambda _: None))
    await toy.reached.wait()
    with pytest.raises(LockHeld, match="rehearsal"):
        await stack.apply(plan, emit=lambda _: None)
    toy.hold.set()
    assert (await first).outcome is Outcome.SUCCEEDED
    assert len(journals(places, "rehearsal")) == 1


async def test_a_stopped_run_tells_so_and_gives_the_lock_back(rehearsal: GatewaySpec, places: Places) -> None:
    toy = Toy("a", {})
    toy.hold = asyncio.Event()
    stack = open_toy(rehearsal, places, toy)
    told: list[Event] = []
    run = asyncio.create_task(stack.apply(await stack.plan(), emit=told.append))
    await toy.reached.wait()
    run.cancel()
    with suppress(asyncio.CancelledError):
        await run
    last = told[-1].payload
    assert isinstance(last, RunFinished)
    assert last.outcome is Outcome.CANCELLED
    toy.hold.set()
    assert (await stack.apply(await stack.plan(), emit=told.append)).outcome is Outcome.SUCCEEDED


async def test_an_operation_that_a_stopped_run_left_behind_is_taken_over(
    rehearsal: GatewaySpec, places: Places
) -> None:
    world: dict[str, int] = {}
    first = Toy("a", world)
    first.hold = asyncio.Event()
    stack = open_toy(rehearsal, places, first)
    run = asyncio.create_task(stack.apply(await stack.plan(), emit=lambda _: None))
    await first.reached.wait()
    run.cancel()
    with suppress(asyncio.CancelledError):
        await run
    taken: list[str | None] = []
    for _ in range(2):
        second = Toy("a", world)
        stack = open_toy(rehearsal, places, second)
        await stack.apply(await stack.plan(), emit=lambda _: None)
        taken.append(second._operation)
        world.clear()
    assert taken == ["operation-1", None], "once it has ended, nobody waits for it again"


async def test_a_plan_with_nothing_to_do_leaves_no_journal(rehearsal: GatewaySpec, places: Places) -> None:
    stack = open_toy(rehearsal, places, Toy("a", {"a": 1}))
    told: list[Event] = []
    result = await stack.apply(await stack.plan(), emit=told.append)
    assert (result.outcome, [event.payload.type for event in told]) == (
        Outcome.SUCCEEDED,
        ["run_started", "step_finished", "run_finished"],
    )
    assert not places.journals.exists()
    assert places.stack("rehearsal").exists()


async def test_a_dead_run_is_taken_over_with_a_note(rehearsal: GatewaySpec, places: Places) -> None:
    stack = open_toy(rehearsal, places, Toy("a", {}))
    plan = await stack.plan()
    await stack.apply(plan, emit=lambda _: None)
    notes: list[str] = []
    with StackLock(places.lock("rehearsal"), "rehearsal"):
        left_behind = places.lock("rehearsal").read_text().replace('"started": "', '"started": "0')
    places.lock("rehearsal").write_text(left_behind)
    await stack.apply(plan, emit=lambda _: None, note=notes.append)
    assert [note.startswith("taking over from a run that died") for note in notes] == [True]


async def test_a_run_on_another_host_is_taken_over_when_asked_for_and_named(
    rehearsal: GatewaySpec, places: Places
) -> None:
    stack = open_toy(rehearsal, places, Toy("a", {}))
    plan = await stack.plan()
    owner = replace(Owner.me(), host="elsewhere", user="somebody")
    write_private(places.lock("rehearsal"), json.dumps(asdict(owner)))
    with pytest.raises(LockHeld, match="somebody@elsewhere"):
        await stack.apply(plan, emit=lambda _: None)
    notes: list[str] = []
    result = await stack.apply(plan, emit=lambda _: None, note=notes.append, take_over=True)
    assert result.outcome is Outcome.SUCCEEDED
    assert notes == [f"taking over from a run on another host: {owner}"]


async def test_what_changed_since_the_plan_is_not_done_unasked(rehearsal: GatewaySpec, places: Places) -> None:
    world = {"a": 7, "b": 1}
    stack = open_toy(rehearsal, places, Toy("a", world), Toy("b", world))
    plan = await stack.plan()
    world.clear()
    told: list[Event] = []
    with pytest.raises(Conflict, match="also create a, create b") as caught:
        await stack.apply(plan, emit=told.append)
    assert caught.value.fix == "`mcig apply rehearsal` makes a new plan"
    assert (world, told) == ({}, [])
    assert not places.stack("rehearsal").exists(), "a stack that was destroyed meanwhile stays forgotten"
    with StackLock(places.lock("rehearsal"), "rehearsal") as lock:
        assert lock.taken_from is None


async def test_what_is_done_already_is_not_done_again(rehearsal: GatewaySpec, places: Places) -> None:
    world: dict[str, int] = {}
    first = Toy("a", world)
    stack = open_toy(rehearsal, places, first, Toy("b", world))
    plan = await stack.plan()
    world["a"] = 1
    result = await stack.apply(plan, emit=lambda _: None)
    assert [(step.resource, step.action) for step in result.finished] == [("a", Action.NO_OP), ("b", Action.CREATE)]
    assert not first.reached.is_set()


class Spoilt(Toy):
    """A resource that keeps what a run left in it: once failed, it is not tried again."""

    async def apply(self, step: Step, note: Note) -> None:
        self._fails = self._fails or "breaks" in self._world
        await super().apply(step, note)


async def test_a_retry_finds_nothing_of_the_failed_run_in_its_rows(rehearsal: GatewaySpec, places: Places) -> None:
    world = {"breaks": 1}
    stack = open_with(rehearsal, places, lambda _: [Spoilt("a", world)])
    outcomes = []
    for _ in range(2):
        outcomes.append((await stack.apply(await stack.plan(), emit=lambda _: None)).outcome)
        world.pop("breaks", None)
    assert outcomes == [Outcome.FAILED, Outcome.SUCCEEDED]


async def test_destroy_forgets_the_stack_once_all_is_gone(rehearsal: GatewaySpec, places: Places) -> None:
    world: dict[str, int] = {}
    stack = open_toy(rehearsal, places, Toy("a", world))
    await stack.apply(await stack.plan(), emit=lambda _: None)
    assert places.stack("rehearsal").exists()
    result = await stack.apply(await stack.plan(Verb.DESTROY), emit=lambda _: None)
    assert (result.outcome, world) == (Outcome.SUCCEEDED, {})
    assert not places.stack("rehearsal").exists()


async def test_a_failed_run_keeps_the_stack(rehearsal: GatewaySpec, places: Places) -> None:
    stack = open_toy(rehearsal, places, Toy("a", {}, fails=True))
    result = await stack.apply(await stack.plan(), emit=lambda _: None)
    assert [step.error.fix for step in result.failures if step.error] == ["mend it"]
    assert places.stack("rehearsal").exists()


async def test_status_says_what_the_plan_says(rehearsal: GatewaySpec, places: Places) -> None:
    world = {"gateway": 1, "b": 7}
    stack = open_toy(rehearsal, places, Toy("gateway", world), Toy("b", world), Toy("c", world))
    status = await stack.status()
    assert {item.resource: item.state for item in status.resources} == {
        "gateway": "ready",
        "b": "drifted",
        "c": "absent",
    }
    assert status.usd_per_hour == 1.0
    assert status.unread == ""
    document = json.loads(json.dumps(status.to_json()))
    assert document["addresses"] == [
        {"region": "us-east4", "address": "10.0.0.9", "base_url": "http://10.0.0.9/v1"},
    ]
    assert document["resources"][1]["drift"] == [{"field": "number", "before": 7, "after": 1}]


class Refused(Toy):
    """A toy that may not be looked at."""

    error: CloudError = PermissionDenied("listing memberships: denied", cause="the credentials lack it")

    async def observe(self) -> int | None:
        raise self.error


class Off(Toy):
    """A toy whose API is off: it is taken for absent."""

    async def observe(self) -> int | None:
        self.unread = ServiceDisabled("GKE Hub API is off")
        return None


async def test_status_tells_what_it_may_not_read_and_refuses_where_nobody_can_tell_what_stands(
    rehearsal: GatewaySpec, places: Places
) -> None:
    refused = Refused("membership/a", {})
    stack = open_toy(rehearsal, places, Toy("gateway", {"gateway": 1}), refused, Off("membership/b", {}))
    status = await stack.status()
    assert [item.state for item in status.resources] == ["ready", "unknown", "unknown"]
    assert status.unread == "listing memberships: denied (the credentials lack it); GKE Hub API is off"
    refused.error = ServiceDisabled("Kubernetes Engine API is off")
    with pytest.raises(ServiceDisabled, match="Kubernetes Engine API is off"):
        await stack.status()


async def test_a_prompt_needs_an_address(rehearsal: GatewaySpec, places: Places) -> None:
    stack = open_toy(rehearsal, places, Toy("gateway", {}))
    with pytest.raises(PromptError, match="has no address") as caught:
        await stack.prompt("hello")
    assert caught.value.fix == "mcig apply rehearsal"


async def test_a_prompt_through_an_unknown_region_names_the_known(rehearsal: GatewaySpec, places: Places) -> None:
    stack = open_toy(rehearsal, places, Toy("gateway", {"gateway": 1}))
    with pytest.raises(UsageError, match="no address in mars") as caught:
        await stack.prompt("hello", region="mars")
    assert "us-east4" in caught.value.cause


# --- project and token ------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / ".config" / "gcloud" / "configurations"
    folder.mkdir(parents=True)
    (folder / "config_default").write_text("[core]\nproject = from-default\naccount = me@example.com\n")
    (folder / "config_work").write_text("[core]\nproject = from-work\n")
    (folder.parent / "active_config").write_text("work\n")
    return tmp_path


@pytest.mark.parametrize(
    ("settings", "environ", "project"),
    [
        (["target=gke", "project=from-spec"], {"GOOGLE_CLOUD_PROJECT": "from-env"}, "from-spec"),
        (["target=gke", "project="], {"GOOGLE_CLOUD_PROJECT": "from-env"}, "from-env"),
        (["target=gke", "project="], {}, "from-work"),
        (["target=gke", "project="], {"CLOUDSDK_ACTIVE_CONFIG_NAME": "default"}, "from-default"),
        (["project="], {"GOOGLE_CLOUD_PROJECT": "from-env"}, "demo-project"),
    ],
)
def test_the_project_comes_from_the_nearest_place(
    places: Places, home: Path, settings: list[str], environ: dict[str, str], project: str
) -> None:
    spec = presets.load(presets.find("rehearsal", places), settings)
    assert project_of(spec, {"HOME": str(home), **environ}) == project


def test_without_a_project_the_way_to_one_is_told(places: Places, tmp_path: Path) -> None:
    spec = presets.load(presets.find("rehearsal", places), ["target=gke", "project="])
    with pytest.raises(UsageError, match="no Google Cloud project") as caught:
        project_of(spec, {"HOME": str(tmp_path)})
    assert "--set project=" in caught.value.fix


def test_a_broken_gcloud_configuration_counts_as_none(home: Path) -> None:
    (home / ".config" / "gcloud" / "configurations" / "config_work").write_text("project = without a section")
    assert gcloud_project({"HOME": str(home)}) is None


def test_the_token_comes_from_the_nearest_place_and_hides_itself(tmp_path: Path) -> None:
    cache = tmp_path / ".cache" / "huggingface"
    environ = {"HOME": str(tmp_path)}
    assert hugging_face_token(Target.GKE, environ) is None
    rehearsed = hugging_face_token(Target.EMULATOR, environ)
    assert rehearsed is not None
    assert rehearsed.get_secret_value() == "hf_rehearsal"
    cache.mkdir(parents=True)
    (cache / "token").write_text("hf_cached\n")
    for target in Target:
        cached = hugging_face_token(target, environ)
        assert cached is not None
        assert cached.get_secret_value() == "hf_cached"
    given = hugging_face_token(Target.GKE, {**environ, "HF_TOKEN": " hf_given "})
    assert given is not None
    assert given.get_secret_value() == "hf_given"
    assert "hf_given" not in f"{given!r} {given}"
