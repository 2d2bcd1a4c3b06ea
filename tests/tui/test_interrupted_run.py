"""Ctrl-C in the middle of a run on the screen: what is said, what is given back, and how it goes on."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from backend.clients import Clients
from backend.clients.connect import emulated
from backend.emulator import faults
from backend.emulator.server import Emulator
from backend.engine.events import Action, Event, Outcome
from backend.lock import StackLock
from backend.places import Places
from backend.spec import GatewaySpec
from tests.tui.bench import Bench, Running
from tests.tui.screens import until, until_said
from tui.interrupts import INTERRUPTED
from tui.progress import State
from tui.runs import LiveRun

CLUSTER = "cluster/gke-east"
YEAR_S = 365 * 86400.0


class Clock:
    """The time in a cloud, which may be put forward."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def slow_cloud(tmp_path: Path, forked: None, clock: Clock) -> AsyncIterator[Emulator]:
    """A cloud that is quick with everything but clusters."""
    async with Emulator(tmp_path / "emulator", speed=3600.0, clock=clock) as running:
        faults.add(running.world, "slow step=cluster limit=100000", running.world.pace)
        yield running


@pytest.fixture
async def bench(slow_cloud: Emulator, spec: GatewaySpec, tmp_path: Path) -> AsyncIterator[Bench]:
    way = emulated(slow_cloud.url, slow_cloud.token, project=slow_cloud.world.project)
    clients = Clients(way, spec)
    yield Bench(way, clients, tmp_path)
    await clients.close()


async def test_it_stops_cleanly_gives_the_lock_back_and_goes_on_where_it_stopped(
    bench: Bench, clock: Clock, spec: GatewaySpec, tmp_path: Path
) -> None:
    app = await interrupted(bench, spec)
    assert app.return_value == INTERRUPTED
    finished = app.run_screen.progress.finished
    assert finished is not None
    assert finished.outcome is Outcome.CANCELLED
    assert app.run_screen.progress.steps[CLUSTER].state is State.STOPPED
    with StackLock(Places.of({"MCIG_HOME": str(tmp_path / "home")}).lock(spec.name), spec.name):
        """Nobody holds it any more."""

    clock.ahead_s += YEAR_S
    stack = await bench.open(spec)
    left = await stack.plan()
    done = {step.resource for step in left.steps if step.action is Action.NO_OP}
    assert "subnet/us-east4" in done
    assert CLUSTER in done, "what was under way in the cloud went on there"
    result = await stack.apply(left, emit=list[Event]().append)
    assert result.outcome is Outcome.SUCCEEDED
    assert not (await stack.plan()).changes


async def test_the_question_goes_when_the_run_ends_by_itself(bench: Bench, clock: Clock, spec: GatewaySpec) -> None:
    async with asked_to_stop(bench, spec) as (app, pilot):
        await until_said(pilot, "Stop the run?")
        clock.ahead_s += YEAR_S
        await until(pilot, lambda: app.screen is app.run_screen)
        finished = app.run_screen.progress.finished
        assert finished is not None
        assert finished.outcome is Outcome.SUCCEEDED


@asynccontextmanager
async def asked_to_stop(bench: Bench, spec: GatewaySpec) -> AsyncIterator[tuple[Running, Pilot[int]]]:
    """The app in a run, Ctrl-C pressed while a cluster is made."""
    stack = await bench.open(spec)
    app = Running(LiveRun(stack, await stack.plan()), bench)
    async with app.run_test(size=(80, 24)) as pilot:
        step = app.run_screen.progress.steps[CLUSTER]
        await until(pilot, lambda: bool(step.operation))
        await pilot.press("ctrl+c")
        yield app, pilot


async def interrupted(bench: Bench, spec: GatewaySpec) -> Running:
    """Read the question, and press Ctrl-C again."""
    async with asked_to_stop(bench, spec) as (app, pilot):
        await until_said(pilot, "Stop the run?", "what was made stays", f"`mcig apply {spec.name}` goes on")
        assert app.run_screen.going_on
        await pilot.press("ctrl+c")
        await until(pilot, lambda: app._exit)
    return app
