"""The wizard by keyboard and mouse: answers are kept, mistakes told where they are, the cloud asked while one types."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Button, Collapsible, DataTable, Input

from backend import kept, presets
from backend.draft import Draft
from backend.emulator import control
from backend.fields import PAGES
from backend.kept import Kept
from backend.presets import Places
from tests.tui.screens import same_as_kept, text_of, until
from tui.app import McigApp
from tui.screens import wizard
from tui.screens.help import HelpScreen
from tui.screens.home import HomeScreen
from tui.screens.small import TooSmall
from tui.screens.wizard import WizardScreen
from tui.session import Session
from tui.widgets.answer import Answer
from tui.widgets.findings import Findings
from tui.widgets.rail import Rail

SIZES = [(80, 24), (120, 36)]
Opened = AbstractAsyncContextManager[Pilot[int]]
Open = Callable[..., Opened]


@pytest.fixture
def home(tmp_path: Path) -> Places:
    return Places.of({"MCIG_HOME": str(tmp_path / "mcig")})


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits so long that the cloud would be asked."""
    monkeypatch.setattr(wizard, "LOOK_AFTER_S", 3600.0)


@pytest.fixture
def opened(home: Places, tmp_path: Path) -> Open:
    """Opens the wizard on a preset's answers."""

    @asynccontextmanager
    async def opening(
        page: str = "project", size: tuple[int, int] = (120, 36), preset: str = "rehearsal"
    ) -> AsyncIterator[Pilot[int]]:
        app = McigApp(Session(home, {"HOME": str(tmp_path)}))
        draft = Draft.of(presets.load(presets.find(preset, home)))
        async with app.run_test(size=size) as pilot:
            await app.push_screen(WizardScreen(app.session, Kept(draft, page, tuple(one.name for one in PAGES))))
            await settled(pilot)
            yield pilot

    return opening


async def settled(pilot: Pilot[int]) -> None:
    """Wait until the answers were read."""
    await pilot.pause()
    screen = pilot.app.screen
    assert isinstance(screen, WizardScreen)
    await until(pilot, lambda: screen.settled)


def at(pilot: Pilot[int]) -> WizardScreen:
    """The wizard in front."""
    screen = pilot.app.screen
    assert isinstance(screen, WizardScreen)
    return screen


def answer(pilot: Pilot[int], path: str) -> Input:
    """The input of a field."""
    row = next(row for row in pilot.app.screen.query(Answer) if row.field.path == path)
    return row.query_one(Input)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("size", SIZES, ids=["narrow", "wide"])
async def test_every_page_fits(opened: Open, size: tuple[int, int]) -> None:
    async with opened(size=size) as pilot:
        for page in PAGES:
            await at(pilot).jump(page.name)
            await settled(pilot)
            same_as_kept(f"wizard-{page.name}", pilot.app)
            for button in at(pilot).query("#ways Button"):
                assert pilot.app.screen.region.contains_region(button.region)


@pytest.mark.usefixtures("offline")
async def test_keys_lead_to_the_next_page_and_back_home(opened: Open) -> None:
    async with opened() as pilot:
        await pilot.press("ctrl+n", "ctrl+n")
        assert at(pilot).at == "gpu"
        await pilot.press("escape", "escape", "escape")
        await pilot.pause()
        assert isinstance(pilot.app.screen, HomeScreen)


@pytest.mark.usefixtures("offline")
async def test_the_mouse_does_the_same(opened: Open) -> None:
    async with opened() as pilot:
        await pilot.click("#next")
        assert at(pilot).at == "regions"
        await pilot.click(Rail, offset=(5, 4))
        assert at(pilot).at == "model"
        await pilot.click("#back")
        assert at(pilot).at == "gpu"


@pytest.mark.usefixtures("offline")
async def test_an_answer_stays_when_going_back_and_when_closed(opened: Open, home: Places) -> None:
    async with opened("timeouts") as pilot:
        field = answer(pilot, "timeout_s")
        field.focus()
        field.value = ""
        await pilot.press(*"300")
        await settled(pilot)
        await pilot.press("escape", "ctrl+n")
        await settled(pilot)
        assert answer(pilot, "timeout_s").value == "300"
    found = kept.read(home)
    assert found is not None
    assert (found.draft.get("timeout_s"), found.page) == (300, "timeouts")


@pytest.mark.usefixtures("offline")
async def test_a_mistake_is_told_at_its_field_and_on_the_rail(opened: Open) -> None:
    async with opened("timeouts") as pilot:
        field = answer(pilot, "timeout_s")
        field.focus()
        field.value = "99999"
        await settled(pilot)
        text = text_of(pilot.app)
        assert "must be at most 3600" in text
        assert "1 to mend here" in text
        await pilot.press("escape")
        await settled(pilot)
        assert "✗ Timeouts" in text_of(pilot.app)
        await pilot.press("ctrl+r")
        await settled(pilot)
        assert at(pilot).at == "timeouts"
        assert answer(pilot, "timeout_s").has_focus


@pytest.mark.usefixtures("offline")
async def test_nonsense_in_every_field_breaks_nothing(opened: Open) -> None:
    async with opened() as pilot:
        for page in (page for page in PAGES if page.name in {"regions", "network", "timeouts"}):
            await at(pilot).jump(page.name)
            for more in at(pilot).query(Collapsible):
                more.collapsed = page.name not in {"regions", "network"}
            await pilot.pause()
            for junk in ("", "🦙\x00\x1b[31m[bold][/]" * 20):
                for field in at(pilot).query(Input):
                    field.value = junk
                await settled(pilot)
            assert at(pilot).at == page.name


@pytest.mark.usefixtures("offline")
async def test_regions_are_chosen_with_space_and_c(opened: Open) -> None:
    async with opened("regions") as pilot:
        table = at(pilot).query_one(DataTable)
        assert table.has_focus
        await pilot.press("slash", *"us-central1", "enter")
        await pilot.press("space")
        await settled(pilot)
        assert at(pilot).draft.regions == ["europe-west3", "us-east4", "us-central1"]
        await pilot.press("c")
        await settled(pilot)
        assert at(pilot).draft.config_region == "us-central1"
        assert at(pilot).checked.spec is not None


@pytest.mark.usefixtures("offline")
async def test_one_region_is_too_few_and_said_so(opened: Open) -> None:
    async with opened("regions") as pilot:
        await pilot.press("space")
        await settled(pilot)
        assert "two or more" in text_of(pilot.app)


@pytest.mark.usefixtures("offline")
async def test_one_region_can_have_machines_of_its_own(opened: Open) -> None:
    async with opened("gpu") as pilot:
        from textual.widgets import Select

        at(pilot).query_one("#for", Select).value = 1
        await pilot.pause()
        answer(pilot, "clusters[].gpu_pool.nodes").value = "3"
        await settled(pilot)
        assert at(pilot).draft.all("clusters[].gpu_pool.nodes") == [1, 3]
        assert "6 GPUs" in text_of(pilot.app)


@pytest.mark.usefixtures("offline")
async def test_idle_gpus_are_said_aloud_with_their_cost(opened: Open) -> None:
    async with opened("gpu", preset="two-region-h100") as pilot:
        answer(pilot, "model.replicas").value = "3"
        await settled(pilot)
        assert "6 GPUs stay idle and cost $40.93/h" in text_of(pilot.app)


@pytest.mark.usefixtures("offline")
async def test_the_timeout_is_twice_the_p99(opened: Open) -> None:
    async with opened("timeouts") as pilot:
        at(pilot).query_one("#p99", Input).value = "40"
        await settled(pilot)
        assert at(pilot).draft.get("timeout_s") == 80


@pytest.mark.usefixtures("offline")
async def test_answers_are_saved_as_a_preset_without_the_token(opened: Open, home: Places) -> None:
    async with opened("model") as pilot:
        at(pilot).query_one("#token", Input).value = "hf_topsecret"
        await settled(pilot)
        assert "hf_topsecret" not in text_of(pilot.app)
        assert "hf_topsecret" not in pilot.app.export_screenshot()
        await at(pilot)._open("name")
        await settled(pilot)
        await pilot.click("#save")
        await pilot.pause()
    written = [path for path in home.config.parent.rglob("*") if path.is_file()]
    assert home.presets / "rehearsal.yaml" in written
    assert not any("hf_topsecret" in path.read_text() for path in written)


@pytest.mark.usefixtures("offline")
async def test_help_names_the_questions_and_the_keys(opened: Open) -> None:
    async with opened("balancing") as pilot:
        await pilot.press("f1")
        await pilot.pause()
        assert isinstance(pilot.app.screen, HelpScreen)
        await pilot.press("end")
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, WizardScreen)


@pytest.mark.usefixtures("offline")
async def test_a_small_terminal_is_told_and_nothing_is_lost(opened: Open) -> None:
    async with opened("gpu") as pilot:
        await pilot.resize_terminal(40, 10)
        await pilot.pause()
        assert isinstance(pilot.app.screen, TooSmall)
        assert "70x20" in text_of(pilot.app)
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert at(pilot).at == "gpu"


@pytest.mark.usefixtures("offline")
async def test_every_theme_can_be_used(opened: Open) -> None:
    async with opened("regions") as pilot:
        for theme in ("mcig-light", "mcig-contrast", "textual-light", "nord"):
            pilot.app.theme = theme
            await pilot.pause()
            assert "europe-west3" in text_of(pilot.app)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An emulated cloud that the tests of this file share."""
    home = tmp_path_factory.mktemp("cloud") / "mcig"
    instance = control.start(home / "emulator", speed=math.inf)
    yield home
    control.stop(instance)


async def found(pilot: Pilot[int], words: str) -> str:
    """Wait until the page says something; gives the whole screen."""
    for _ in range(600):
        if words in (text := text_of(pilot.app)):
            return text
        await asyncio.sleep(0.05)
    pytest.fail(f"{words!r} never came:\n{text_of(pilot.app)}")


async def test_the_cloud_is_asked_while_one_types(cloud: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wizard, "LOOK_AFTER_S", 0.0)
    home = Places.of({"MCIG_HOME": str(cloud)})
    app = McigApp(Session(home, {"HOME": str(cloud), "MCIG_HOME": str(cloud)}))
    draft = Draft.of(presets.load(presets.find("rehearsal", home)))
    async with app.run_test(size=(120, 36)) as pilot:
        await app.push_screen(WizardScreen(app.session, Kept(draft, "model", ())))
        await found(pilot, "the rehearsal brings a token of its own")
        await found(pilot, "4 checks are fine")
        before = {finding.id for finding in at(pilot).query_one(Findings).found}
        answer(pilot, "model.adapters").value = ""
        await found(pilot, f"{len(before) - 1} checks are fine")


async def test_a_cloud_that_is_gone_is_told_and_the_answers_are_kept(
    home: Places, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(wizard, "LOOK_AFTER_S", 0.0)
    app = McigApp(Session(home, {"HOME": str(tmp_path), "GOOGLE_CLOUD_PROJECT": "my-project"}))
    draft = Draft.of(presets.load(presets.find("two-region-h100", home)))
    async with app.run_test(size=(120, 36)) as pilot:
        await app.push_screen(WizardScreen(app.session, Kept(draft, "network", ())))
        await found(pilot, "could not ask the cloud")
        await found(pilot, "f5 asks again")
        assert at(pilot).query_one("#next", Button).focusable


def stopped(home: Places) -> None:
    """End the emulated cloud of a home."""
    running = control.find(home.emulator)
    assert running is not None
    control.stop(running)


async def test_a_cloud_that_dies_in_the_middle_is_told_and_asked_again(
    home: Places, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(wizard, "LOOK_AFTER_S", 0.0)
    app = McigApp(Session(home, {"HOME": str(tmp_path), "MCIG_HOME": str(home.config.parent)}, speed=math.inf))
    draft = Draft.of(presets.load(presets.find("rehearsal", home)))
    async with app.run_test(size=(120, 36)) as pilot:
        await app.push_screen(WizardScreen(app.session, Kept(draft, "model", ())))
        await found(pilot, "4 checks are fine")
        running = control.find(home.emulator)
        assert running is not None
        control.stop(running)
        field = answer(pilot, "model.adapters")
        field.value = "another=Kawon/another"
        await found(pilot, "f5 asks again")
        await pilot.press("f5")
        await found(pilot, "is no adapter")
        assert at(pilot).draft.get("model.adapters") == [{"name": "another", "source": "Kawon/another"}]
        started = control.find(home.emulator)
        assert started is not None
        control.stop(started)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("page", ["project", "model", "timeouts"])
async def test_a_huge_paste_is_taken_as_a_wrong_answer(opened: Open, page: str) -> None:
    async with opened(page, size=(80, 24)) as pilot:
        fields = [field for field in at(pilot).query(Input) if field.id != "search"]
        for field in fields[:1]:
            field.focus()
            app_paste = "ü🦙 nonsense\n" * 20_000
            field.post_message(events.Paste(app_paste))
            await settled(pilot)
        assert at(pilot).at == page
        for button in at(pilot).query("#ways Button"):
            assert pilot.app.screen.region.contains_region(button.region)
