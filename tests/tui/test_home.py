"""Home, and the ways on from it: by keyboard alone, with nothing on the machine and with something."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from backend import kept, presets
from backend.draft import Draft
from backend.kept import Kept
from backend.presets import Places
from tests.tui.screens import same_as_kept, until, until_said
from tui.app import McigApp
from tui.screens import wizard
from tui.screens.choosing import ChoosingScreen
from tui.screens.home import HomeScreen
from tui.screens.wizard import WizardScreen
from tui.session import Session


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits so long that a cloud would be asked."""
    monkeypatch.setattr(wizard, "LOOK_AFTER_S", 3600.0)


@pytest.fixture
def home(tmp_path: Path) -> Places:
    return Places.of({"MCIG_HOME": str(tmp_path / "mcig")})


def app_in(home: Places, **environ: str) -> McigApp:
    return McigApp(Session(home, {"HOME": str(home.config.parent), **environ}))


async def looked(pilot: Pilot[int]) -> None:
    """Wait until the machine was looked at."""
    await until_said(pilot, "Emulated cloud", "Menu")


async def arrived(pilot: Pilot[int], screen: type[object]) -> None:
    """Wait for a screen."""
    await until(pilot, lambda: isinstance(pilot.app.screen, screen))


@pytest.mark.parametrize("size", [(80, 24), (120, 36)], ids=["narrow", "wide"])
async def test_a_bare_machine(home: Places, size: tuple[int, int]) -> None:
    app = app_in(home)
    async with app.run_test(size=size) as pilot:
        await same_as_kept(pilot, "home")


async def test_without_colour_nothing_is_lost(home: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = app_in(home)
    async with app.run_test(size=(80, 24)) as pilot:
        assert app.no_color
        await same_as_kept(pilot, "home")
        await pilot.press("r")
        await until_said(pilot, "● rehearsal here")


async def test_what_is_there_is_told_and_a_token_is_not_shown(home: Places) -> None:
    app = app_in(home, GOOGLE_CLOUD_PROJECT="my-project", HF_TOKEN="hf_secret")
    async with app.run_test(size=(120, 36)) as pilot:
        await until_said(pilot, "my-project", "token in HF_TOKEN")
        assert "hf_secret" not in app.export_screenshot()


async def test_enter_takes_the_first_way(home: Places) -> None:
    app = app_in(home)
    async with app.run_test(size=(80, 24)) as pilot:
        await looked(pilot)
        await pilot.press("enter")
        await arrived(pilot, WizardScreen)
        assert isinstance(app.screen, WizardScreen)
        assert app.screen.draft.get("target") == "emulator"


async def test_a_preset_is_chosen_by_name(home: Places) -> None:
    app = app_in(home)
    async with app.run_test(size=(80, 24)) as pilot:
        await looked(pilot)
        await pilot.press("p")
        await until_said(pilot, "Begin with which answers?", "two-region-h100")
        await pilot.press("enter")
        await arrived(pilot, WizardScreen)
        assert isinstance(app.screen, WizardScreen)
        assert app.screen.draft.get("name") == "in-flight"


async def test_the_draft_of_last_time_comes_first(home: Places) -> None:
    draft = Draft.of(presets.load(presets.find("l4-budget", home)))
    draft.set("name", "unfinished")
    kept.keep(home, Kept(draft, "network", ("project", "network")))
    app = app_in(home)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_said(pilot, "Go on with unfinished")
        app.screen.query_one(OptionList).highlighted = 0
        await pilot.press("enter")
        await arrived(pilot, WizardScreen)
        assert isinstance(app.screen, WizardScreen)
        assert app.screen.at == "network"


async def test_a_stack_can_be_changed(home: Places) -> None:
    home.stacks.mkdir(parents=True)
    home.stack("mine").write_text(presets.dump(presets.load(presets.find("rehearsal", home), ["name=mine"])))
    app = app_in(home)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_said(pilot, "Stack, rehearsal, last apply just now")
        options = app.screen.query_one(OptionList)
        options.highlighted = options.get_option_index("stack/mine")
        await pilot.press("enter")
        await arrived(pilot, ChoosingScreen)
        ways = app.screen.query_one(OptionList)
        ways.highlighted = ways.get_option_index("change")
        await pilot.press("enter")
        await arrived(pilot, WizardScreen)
        assert isinstance(app.screen, WizardScreen)
        assert app.screen.draft.get("name") == "mine"


async def test_a_stack_whose_file_is_broken_is_told(home: Places) -> None:
    home.stacks.mkdir(parents=True)
    home.stack("mine").write_text("name: mine\ntarget: nowhere\n")
    app = app_in(home)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await looked(pilot)
        app.screen.post_message(HomeScreen.Chosen("stack", "mine"))
        await arrived(pilot, ChoosingScreen)
        await pilot.press("enter")
        await until_said(pilot, "That did not work")
        assert isinstance(app.screen, HomeScreen)


async def test_ctrl_c_leaves_as_an_interrupted_command(home: Places) -> None:
    app = app_in(home)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+c")
    assert app.return_value == 130


async def test_a_picture_is_kept_in_private(home: Places) -> None:
    app = app_in(home)
    async with app.run_test(size=(80, 24)) as pilot:
        await looked(pilot)
        await pilot.press("f12")
        await until(pilot, lambda: any((home.state / "pictures").glob("*.svg")))
    (picture,) = (home.state / "pictures").glob("*.svg")
    assert "Rehearse" in picture.read_text()


async def test_the_palette_has_every_action(home: Places) -> None:
    app = app_in(home)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("r")
        await arrived(pilot, WizardScreen)
        titles = {command.title for command in app.get_system_commands(app.screen)}
        assert {"Help", "Quit", "Keep a picture", "Change the theme", "Next", "Review"} <= titles
