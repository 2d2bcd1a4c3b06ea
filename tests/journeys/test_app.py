"""The whole journey in the app, by keyboard and then by mouse: home, pages, review, run, an answered prompt."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from backend.emulator import control
from backend.fields import PAGES
from backend.places import Places
from tests.tui.screens import text_of, until
from tui.app import McigApp
from tui.screens.prompt import PromptScreen
from tui.screens.review import ReviewScreen
from tui.screens.run import RunScreen
from tui.screens.wizard import WizardScreen
from tui.session import Session
from tui.widgets.one_of import OneOf

PATIENCE_S = 60.0


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home folder whose emulated cloud is stopped at the end."""
    yield tmp_path
    if (running := control.find(Places.of({"MCIG_HOME": str(tmp_path)}).emulator)) is not None:
        control.stop(running)


def app_in(home: Path) -> McigApp:
    """The app as somebody without any account begins it."""
    environ = {"MCIG_HOME": str(home), "HOME": str(home)}
    return McigApp(Session(Places.of(environ), environ, speed=math.inf))


async def arrived(pilot: Pilot[int], screen: type[object]) -> None:
    """Wait for a screen."""
    await until(pilot, lambda: isinstance(pilot.app.screen, screen), within_s=PATIENCE_S)


async def said(pilot: Pilot[int], words: str, times: int = 1) -> None:
    """Wait for words on the screen."""
    await until(pilot, lambda: text_of(pilot.app).count(words) >= times, within_s=PATIENCE_S)


async def opened(pilot: Pilot[int], page: str) -> None:
    """Wait for a page of the wizard."""
    await until(pilot, lambda: getattr(pilot.app.screen, "at", "") == page, within_s=PATIENCE_S)


async def test_from_home_to_an_answered_prompt(home: Path) -> None:
    await _by_keyboard(app_in(home))
    await _by_mouse(app_in(home))


async def _by_keyboard(app: McigApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("r")
        await arrived(pilot, WizardScreen)
        await pilot.press("ctrl+r")
        await arrived(pilot, ReviewScreen)
        review = app.screen
        await said(pilot, "to create")
        assert "Nothing has been changed yet." in text_of(app)
        await pilot.press("s")
        await arrived(pilot, RunScreen)
        await said(pilot, "✓ Applied rehearsal")
        await pilot.press("p")
        await said(pilot, "Enter asks")
        await pilot.press("enter")
        await said(pilot, "✓ 200", 2)
        assert isinstance(app.screen, PromptScreen)
        await pilot.press("escape", "escape")
        await until(pilot, lambda: review.is_current, within_s=PATIENCE_S)
        await said(pilot, "Nothing to do: all is as wanted")
    assert app.session.unfinished == ""


async def _by_mouse(app: McigApp) -> None:
    """Change what was set up: every page is seen, and one answer is another one."""
    async with app.run_test(size=(120, 36)) as pilot:
        await said(pilot, "Stack, rehearsal, last apply")
        await pilot.click(OptionList, offset=(4, 0))
        for page in PAGES:
            await opened(pilot, page.name)
            if page.name == "balancing":
                await pilot.click(OneOf, offset=(3, 1))
                await said(pilot, "● in flight")
            await pilot.click("#next")
        await arrived(pilot, ReviewScreen)
        await said(pilot, "~ update  backend-policy")
        await pilot.click("#start")
        await arrived(pilot, RunScreen)
        await said(pilot, "✓ Applied rehearsal")
        await pilot.click("#ask_model")
        await said(pilot, "Enter asks")
        await pilot.click("#send")
        await said(pilot, "✓ 200", 2)
        await pilot.press("ctrl+c")
    assert app.return_value == 130
