"""Drift: what a plan says of it, and how it is looked for beside the traffic."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from backend.engine.events import Verb
from backend.engine.plan import plan
from backend.engine.resource import Change, Step
from backend.errors import Unavailable
from backend.monitor import drift
from backend.monitor.drift import EVERY_S, DriftLook, drift_of
from backend.monitor.snapshot import DriftedSnapshot, DriftSnapshot, Snapshot
from tests.backend.drills import Drilled
from tests.backend.engine.toys import Check, Toy, ToyWorld
from tests.backend.monitor import snapshots

SOME = DriftSnapshot((DriftedSnapshot("backend-policy", "drifted", ({"field": "f", "before": 1, "after": 2},)),))


class Unready(Toy):
    """A toy that is as specified and not ready yet."""

    def diff(self, observed: str | None) -> Step:
        return self.update(Change("status", "no Pod is ready", "ready"))


class Silent(Toy):
    """A toy that cannot be looked at."""

    async def observe(self) -> str | None:
        raise Unavailable("gke-east says nothing")


async def test_only_what_differs_from_the_specification_is_drift() -> None:
    world = ToyWorld(values={"same": "new", "other": "old", "unready": "new"})
    rows = [
        Toy(world, "same"),
        Toy(world, "other"),
        Toy(world, "gone"),
        Unready(world, "unready"),
        Check(world, "verify", "other"),
    ]
    found = drift_of(await plan(rows, Verb.APPLY), {"verify"})
    assert found == DriftSnapshot(
        (
            DriftedSnapshot("other", "drifted", ({"field": "value", "before": "old", "after": "new"},)),
            DriftedSnapshot("gone", "absent"),
        )
    )


async def test_what_a_drill_does_is_told_apart_from_what_somebody_else_did() -> None:
    row = Drilled(ToyWorld(values={"policy": "new"}), "policy")
    (found,) = drift_of(await plan([row], Verb.APPLY), ()).resources
    assert (found.state, found.changes) == ("drained", ())
    assert found.said.startswith("us-east4 is drained by a drill until ")
    row.others = (Change("GCPBackendPolicy/p: spec.default.timeoutSec", 55, 100),)
    both = drift_of(await plan([row], Verb.APPLY), ()).resources
    assert [one.state for one in both] == ["drained", "drifted"]
    assert (
        both[1].said
        == "policy is not as specified: GCPBackendPolicy/p: spec.default.timeoutSec is 55 and should be 100"
    )


async def test_what_cannot_be_read_is_no_drift_and_told() -> None:
    world = ToyWorld(values={"same": "new"})
    made = await plan([Toy(world, "same"), Silent(world, "silent")], Verb.APPLY, passing=(Unavailable,))
    assert drift_of(made, ()) == DriftSnapshot((), "1 of 2 resources cannot be read: gke-east says nothing")


def test_a_snapshot_with_drift_is_read_as_it_was() -> None:
    seen = snapshots.snapshot(0)
    seen = Snapshot(seen.at, seen.stack, seen.clusters, seen.gateway, seen.cost, seen.where, SOME)
    assert Snapshot.from_json(seen.to_json()) == seen


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def looking(read: Callable[[], Awaitable[DriftSnapshot]]) -> tuple[DriftLook, Clock]:
    clock = Clock()
    return DriftLook(read, clock), clock


async def test_it_is_looked_for_now_and_then() -> None:
    looks = 0

    async def read() -> DriftSnapshot:
        nonlocal looks
        looks += 1
        return SOME if looks == 1 else DriftSnapshot()

    look, clock = looking(read)
    assert [await look(), await look()] == [SOME, SOME]
    clock.now += EVERY_S
    assert await look() == DriftSnapshot()
    assert looks == 2


async def test_a_look_that_hangs_is_waited_for_shortly_and_given_up_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drift, "WAIT_S", 0.01)
    given_up = asyncio.Event()

    async def read() -> DriftSnapshot:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()
        return SOME

    look, _ = looking(read)
    assert await asyncio.wait_for(look(), 10) is None
    await look.close()
    assert given_up.is_set()


async def test_a_refusal_is_the_reason_and_what_was_known_before_is_gone() -> None:
    async def read() -> DriftSnapshot:
        raise Unavailable("the cloud is gone")

    look, _ = looking(read)
    assert await look() == DriftSnapshot(reason="the cloud is gone")
