"""The run screen: what it shows at both sizes, and what its keys do."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input

from backend.engine import journal
from backend.engine.events import Emit, Event, Outcome, RunFinished
from backend.errors import LockHeld
from tests.tui.screens import same_as_kept, until, until_said
from tui.interrupts import INTERRUPTED
from tui.replay_app import ReplayApp
from tui.runs import RecordedRun
from tui.screens.question import Question
from tui.screens.run import RunScreen
from tui.screens.step import StepScreen
from tui.widgets.run_end import RunEnd

JOURNALS = Path(__file__).parent / "journals"
SIZES = {"80x24": (80, 24), "120x36": (120, 36)}
pytestmark = pytest.mark.usefixtures("utc")


def recorded(name: str) -> list[Event]:
    return list(journal.read(JOURNALS / f"{name}.jsonl"))


def played(name: str) -> RecordedRun:
    return RecordedRun(recorded(name), pace=math.inf)


class Halted(RecordedRun):
    """A run that goes on for ever after so many events, and is told of its end when it is stopped."""

    def __init__(self, name: str, count: int) -> None:
        events = recorded(name)
        super().__init__(events[:count], pace=math.inf)
        self._end = events[-1]
        self.halted = asyncio.Event()

    async def play(self, emit: Emit, note: Callable[[str], None]) -> None:
        await super().play(emit, note)
        self.halted.set()
        await asyncio.Event().wait()


class Live:
    """The same, but not as a recording: what an engine at work looks like to the screen."""

    def __init__(self, name: str, count: int, *, error: Exception | None = None) -> None:
        self._run = Halted(name, count)
        self._error = error
        self.stack_name, self.verb, self.speed = self._run.stack_name, self._run.verb, 60.0
        self.where, self.facts, self.halted = "the emulated cloud", self._run.facts, self._run.halted
        self.spent = self.guard_at = None
        self.guard = ""
        self.now, self.left = self._run.now, self._run.left

    async def play(self, emit: Emit, note: Callable[[str], None]) -> None:
        if self._error is not None:
            raise self._error
        try:
            await self._run.play(emit, note)
        finally:
            last = self._run.events[-1]
            emit(Event(last.seq + 1, last.at, RunFinished(Outcome.CANCELLED, 12.0, {"succeeded": 4, "cancelled": 29})))


class Stubborn(Live):
    """One that takes its time to stop."""

    def __init__(self, name: str, count: int) -> None:
        super().__init__(name, count)
        self.asked_to_stop, self.give_up = asyncio.Event(), asyncio.Event()

    async def play(self, emit: Emit, note: Callable[[str], None]) -> None:
        try:
            await super().play(emit, note)
        except asyncio.CancelledError:
            self.asked_to_stop.set()
            await self.give_up.wait()
            raise


def screen_of(app: ReplayApp) -> RunScreen:
    return next(screen for screen in app.screen_stack if isinstance(screen, RunScreen))


async def over(pilot: Pilot[int]) -> None:
    """Wait until the run is over and its end is told."""
    await until(pilot, lambda: pilot.app.screen.query_one(RunEnd).display)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["succeeded", "failed"])
async def test_a_finished_run_at_both_sizes(name: str, size: str) -> None:
    app = ReplayApp(played(name))
    async with app.run_test(size=SIZES[size]) as pilot:
        await same_as_kept(pilot, f"run-{name}")


@pytest.mark.parametrize("size", SIZES)
async def test_a_run_that_goes_on_at_both_sizes(size: str) -> None:
    run = Halted("succeeded", 45)
    app = ReplayApp(run)
    async with app.run_test(size=SIZES[size]) as pilot:
        await until(pilot, run.halted.is_set)
        await same_as_kept(pilot, "run-going-on")


async def test_states_are_told_without_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = ReplayApp(played("failed"))
    async with app.run_test(size=(80, 24)) as pilot:
        await same_as_kept(pilot, "run-failed")
        strips = app.screen._compositor.render_strips()
        colours = {
            segment.style.color.triplet
            for strip in strips
            for segment in strip
            if segment.style and segment.style.color
        }
        assert all(triplet is None or len(set(triplet)) == 1 for triplet in colours), "shades of grey at most"


async def test_every_key_of_the_footer_says_what_it_does() -> None:
    for binding in RunScreen.BINDINGS:
        assert getattr(binding, "tooltip", ""), binding


async def test_a_failure_is_selected_and_copied_with_cause_and_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []
    app = ReplayApp(played("failed"))
    async with app.run_test(size=(120, 36)) as pilot:
        monkeypatch.setattr(app, "copy_to_clipboard", copied.append)
        await over(pilot)
        selected = screen_of(app).picture.lanes.selected
        assert selected is not None
        assert selected.facts.resource == "node-pool/gke-east/h100"
        await pilot.press("y")
    assert "PREEMPTIBLE_NVIDIA_H100_GPUS" in copied[0]
    assert "\ncause: " in copied[0]
    assert "\nfix: " in copied[0]


async def test_steps_are_reached_by_key_and_by_mouse_and_open() -> None:
    app = ReplayApp(played("succeeded"))
    async with app.run_test(size=(120, 36)) as pilot:
        await over(pilot)
        screen = screen_of(app)
        await pilot.press("home", "left", "left", "right", "down")
        assert screen.picture.lanes.selected is not None
        assert screen.picture.lanes.selected.facts.resource == "cluster/gke-west"
        await pilot.click(screen.picture.lanes, offset=(5, 1))
        assert screen.picture.lanes.selected.facts.resource == "services"
        await pilot.press("enter")
        await until_said(pilot, "✓ created")
        assert isinstance(app.screen, StepScreen)
        await pilot.press("escape")
        assert isinstance(app.screen, RunScreen)


async def test_the_log_is_filtered_and_shown_whole_again() -> None:
    app = ReplayApp(played("failed"))
    async with app.run_test(size=(120, 36)) as pilot:
        await over(pilot)
        pane = screen_of(app).picture.log_pane
        whole = pane.log_view.line_count
        await pilot.press("l", "slash", *"FAILED")
        assert isinstance(app.focused, Input)
        await pilot.press("enter")
        assert 0 < pane.log_view.line_count < 5 < whole
        assert all("failed" in line.casefold() for line in pane.log_view.lines)
        await pilot.press("escape")
        assert pane.log_view.line_count == whole


async def test_a_recording_pauses_and_changes_its_pace_and_plays_again() -> None:
    run = RecordedRun(recorded("succeeded"), pace=1.0)
    app = ReplayApp(run)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("space")
        assert run.paused
        assert "paused" in run.where
        await pilot.press("plus", "space")
        assert (run.pace, run.paused) == (2.0, False)
        for _ in range(8):
            await pilot.press("plus")
        await over(pilot)
        first = screen_of(app).progress
        assert first.finished is not None
        await pilot.press("r")
        assert screen_of(app).progress is not first


async def test_leaving_a_run_that_goes_on_asks_and_staying_changes_nothing() -> None:
    run = Live("succeeded", 30)
    app = ReplayApp(run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, run.halted.is_set)
        await pilot.press("escape")
        await until_said(pilot, "mcig apply rehearsal")
        assert isinstance(app.screen, Question)
        await pilot.press("escape")
        assert screen_of(app).going_on


@pytest.mark.parametrize(("key", "code"), [("ctrl+q", None), ("ctrl+c", INTERRUPTED)])
async def test_the_app_ends_in_the_middle_of_a_run_only_after_a_question(key: str, code: int | None) -> None:
    run = Live("succeeded", 30)
    app = ReplayApp(run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, run.halted.is_set)
        screen = screen_of(app)
        await pilot.press(key)
        await until_said(pilot, "Stop the run?")
        assert screen.going_on
        await pilot.press("right", "enter")
        await until(pilot, lambda: app._exit)
    assert screen.progress.finished is not None, "it was stopped cleanly"
    assert app.return_value == code


@pytest.mark.parametrize("first", ["ctrl+c", "c", "escape"])
async def test_ctrl_c_at_the_question_stops_the_run_cleanly_and_ends_the_app(first: str) -> None:
    run = Live("succeeded", 30)
    app = ReplayApp(run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, run.halted.is_set)
        screen = screen_of(app)
        await pilot.press(first)
        await until_said(pilot, "Stop the run?")
        await pilot.press("ctrl+c")
        await until(pilot, lambda: app._exit)
    assert screen.progress.finished is not None
    assert screen.progress.finished.outcome is Outcome.CANCELLED
    assert app.return_value == INTERRUPTED


async def test_a_run_that_does_not_stop_is_left_by_ctrl_c() -> None:
    run = Stubborn("succeeded", 30)
    app = ReplayApp(run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, run.halted.is_set)
        await pilot.press("ctrl+c")
        await until_said(pilot, "Stop the run?")
        await pilot.press("ctrl+c")
        await until(pilot, run.asked_to_stop.is_set)
        assert not app._exit
        await pilot.press("ctrl+c")
        await until(pilot, lambda: app._exit)
        run.give_up.set()
    assert app.return_value == INTERRUPTED


async def test_stopping_is_clean_and_says_how_to_go_on() -> None:
    run = Live("succeeded", 30)
    app = ReplayApp(run)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, run.halted.is_set)
        await pilot.press("c")
        await until_said(pilot, "Stop cleanly")
        await pilot.click("#stop")
        await until_said(pilot, "`mcig apply rehearsal` goes on where this stopped")
        screen = screen_of(app)
        assert not screen.going_on
        assert app.screen is screen
        offered = {button.id for button in screen.query(Button) if button.display}
        assert offered == {"retry", "change", "destroy", "leave"}


async def test_a_run_that_cannot_begin_says_why_and_offers_another_try() -> None:
    error = LockHeld("another run works on the stack", cause="one run a stack", fix="wait until it is done")
    app = ReplayApp(Live("succeeded", 1, error=error))
    async with app.run_test(size=(80, 24)) as pilot:
        await until_said(pilot, "✗ another run works on the stack", "cause: one run a stack")
        assert app.screen.query_one(RunEnd).display
        await pilot.press("y")


@pytest.mark.parametrize("size", [(40, 10), (26, 6), (200, 60)])
async def test_any_size_is_survived(size: tuple[int, int]) -> None:
    app = ReplayApp(played("failed"))
    async with app.run_test(size=(80, 24)) as pilot:
        await over(pilot)
        await pilot.resize_terminal(*size)
        await pilot.press("down", "right", "l")
        await pilot.resize_terminal(80, 24)
        await until_said(pilot, "Apply rehearsal")
