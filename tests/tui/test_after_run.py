"""What comes after a run on the screen: GPUs to be had elsewhere, what a destroy left, a guard that is passed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backend.clients import Clients
from backend.clients.connect import Connection
from backend.emulator import faults
from backend.emulator.server import Emulator
from backend.engine.events import Action, Event, Failure, Outcome, StepFinished, StepNote, StepStarted, Verb
from backend.resources.leftovers import Leftover
from backend.spec import GatewaySpec, Guard
from tests.tui.bench import POOL, Bench, Running
from tests.tui.screens import text_of, until, until_said
from tui.progress import Progress
from tui.runs import LiveRun
from tui.screens.stockout import StockOutScreen
from tui.screens.telling import TellingScreen
from tui.step_facts import StepFacts
from tui.step_text import original, step_lines, step_sections


@pytest.fixture
def bench(connection: Connection, clients: Clients, tmp_path: Path) -> Bench:
    return Bench(connection, clients, tmp_path)


async def test_gpus_are_taken_elsewhere_by_number_and_the_run_goes_on(
    bench: Bench, spec: GatewaySpec, emulator: Emulator
) -> None:
    faults.add(emulator.world, "stockout zone=us-east4-c", emulator.world.pace)
    stack = await bench.open(spec)
    first = LiveRun(stack, await stack.plan())
    app = Running(first, bench)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, StockOutScreen) and "1. zone" in text_of(app))
        await pilot.press("escape")
        await until(pilot, lambda: "others" in app.offered)
        await pilot.press("o")
        await until_said(pilot, "1. zone")
        await pilot.press("1")
        await until(pilot, lambda: app.run_screen.source is not first and app.ended)
        assert app.run_screen.progress.finished is not None
        assert app.run_screen.progress.finished.outcome is Outcome.SUCCEEDED
        assert app.run_screen.progress.steps[POOL].facts.action is Action.REPLACE
    assert bench.opened[1].spec.clusters[1].serving_pool.zones != stack.spec.clusters[1].serving_pool.zones


async def test_a_destroy_lists_what_remains_with_the_commands_that_undo_it(bench: Bench, spec: GatewaySpec) -> None:
    stack = await bench.open(spec)

    async def leftovers() -> tuple[Leftover, ...]:
        return (Leftover("addresses", "gkemcg1-x", "gcloud compute addresses delete gkemcg1-x"),)

    stack.leftovers = leftovers  # type: ignore[method-assign]
    app = Running(LiveRun(stack, await stack.plan(Verb.DESTROY)), bench)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, TellingScreen) and "addresses gkemcg1-x" in text_of(app))
        await pilot.press("y", "escape")
        await until(pilot, lambda: app.offered == {"remains", "leave"})
    assert app.copied[0].splitlines()[-1] == "gcloud compute addresses delete gkemcg1-x"


async def test_a_guard_that_is_passed_is_told_and_a_destroy_offered(
    bench: Bench, spec: GatewaySpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = await bench.open(spec.model_copy(update={"guard": Guard(hours=1)}))
    at = datetime.now(UTC)

    from backend import money

    async def spent() -> money.Spent:
        return money.spent(stack.spec, [money.Standing("gke-east", at - timedelta(hours=2), made=True, gpus=False)])

    monkeypatch.setattr(stack.money, "spent", spent)
    app = Running(LiveRun(stack, await stack.plan()), bench)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: "destroy" in app.offered and app.ended)
        await until_said(pilot, "guard passed", "it has stood for 2.0 h, and the guard is 1 h")
        assert app.run_screen.check_action("destroy", ())
        assert app.run_screen.progress.finished is not None
        assert app.run_screen.progress.finished.outcome is Outcome.SUCCEEDED


def events(*payloads: StepStarted | StepNote | StepFinished) -> Progress:
    facts = StepFacts(
        POOL, Action.CREATE, command="gcloud container node-pools create", estimate_s=480, estimate_p90_s=720
    )
    progress = Progress([facts])
    for number, payload in enumerate(payloads, 1):
        progress(Event(number, datetime(2026, 1, 1, tzinfo=UTC), payload))
    return progress


def test_a_step_that_is_late_says_why() -> None:
    step = events(StepStarted(POOL, Action.CREATE), StepNote(POOL, "2 of 3 nodes are ready")).steps[POOL]
    soon, late = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes) for minutes in (10, 14))
    assert "late" not in dict(step_lines(step, now=soon, speed=None))
    told = dict(step_lines(step, now=late, speed=None))["late"]
    assert told.startswith("nine of ten are done in 12 min.")
    assert "It reports: 2 of 3 nodes are ready" in told
    assert "free machines" in told


def test_a_rehearsed_step_is_told_on_one_clock_and_is_not_late_by_a_busy_machines_seconds() -> None:
    step = events(StepStarted(POOL, Action.CREATE)).steps[POOL]
    began = datetime(2026, 1, 1, tzinfo=UTC)
    soon = dict(step_lines(step, now=began + timedelta(seconds=4), speed=200))
    assert soon[""].endswith("for 4 s, for real 13 min of usually 8-12 min")
    assert "late" not in soon
    assert "late" in dict(step_lines(step, now=began + timedelta(seconds=6), speed=200))


def test_request_response_and_error_stand_apart_and_the_original_is_kept() -> None:
    failure = Failure("the pool failed", "no machines", "another zone", original="ZONE_RESOURCE_POOL_EXHAUSTED (429)")
    ended = StepFinished(POOL, Action.CREATE, Outcome.FAILED, 12.0, error=failure, detail={"zones": ["us-east4-c"]})
    progress = events(StepStarted(POOL, Action.CREATE), StepNote(POOL, "asked", operation="operation-1"), ended)
    step = progress.steps[POOL]
    found = {name: dict(lines) for name, lines in step_sections(step, now=datetime.now(UTC), speed=None)}
    assert found["Error"]["said"] == original(step) == "ZONE_RESOURCE_POOL_EXHAUSTED (429)"
    assert found["Request"]["command"] == "gcloud container node-pools create"
    assert found["Response"]["operation"] == "operation-1"
