"""The whole journey in the app, by keyboard: home, pages, review, run, an answered prompt, and what is left to do."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot

from backend.emulator import control
from backend.places import Places
from tests.tui.screens import text_of
from tui.app import McigApp
from tui.screens.prompt import PromptScreen
from tui.screens.review import ReviewScreen
from tui.screens.run import RunScreen
from tui.screens.wizard import WizardScreen
from tui.session import Session

PATIENCE_S = 60.0


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    environ = {"MCIG_HOME": str(tmp_path), "HOME": str(tmp_path)}
    places = Places.of(environ)
    yield Session(places, environ, speed=math.inf)
    if (running := control.find(places.emulator)) is not None:
        control.stop(running)


async def until(pilot: Pilot[int], true: Callable[[], bool]) -> None:
    """Let the app go on until something holds."""
    late = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < late, text_of(pilot.app)
        await pilot.pause(0.05)


async def test_from_home_to_an_answered_prompt_by_keyboard(session: Session) -> None:
    app = McigApp(session)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, WizardScreen))
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(app.screen, ReviewScreen) and app.screen.plan is not None)
        review = app.screen
        assert isinstance(review, ReviewScreen)
        assert "Nothing has been changed yet." in text_of(app)
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        run = app.screen
        assert isinstance(run, RunScreen)
        await until(pilot, lambda: run.progress.finished is not None and not run.going_on)
        await pilot.pause(0.3)
        assert "✓ Applied rehearsal" in text_of(app)
        await pilot.press("p")
        await until(pilot, lambda: "Enter asks" in text_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: text_of(app).count("✓ 200") == 2)
        assert isinstance(app.screen, PromptScreen)
        await pilot.press("escape", "escape")
        await until(pilot, lambda: review.is_current and review.plan is not None)
        await until(pilot, lambda: "Nothing to do: all is as wanted" in text_of(app))
