"""The wizard by keyboard and mouse: answers are kept, mistakes told where they are, the cloud asked while one types."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
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
from tests.tui.screens import Stage, same_as_kept, text_of, until, until_said
from tui.app import McigApp
from tui.screens import wizard
from tui.screens.help import HelpScreen
from tui.screens.home import HomeScreen
from tui.screens.small import TooSmall
from tui.screens.wizard import WizardScreen
from tui.session import Session
from tui.widgets.answer import Answer
from tui.widgets.rail import Rail

SIZES = [(80, 24), (120, 36)]
JUNK = "🦙\x00\x1b[31m[bold][/]" * 20
Opened = AbstractAsyncContextManager[Pilot[int]]
Open = Callable[..., Opened]


@pytest.fixture
def home(tmp_path: Path) -> Places:
    return Places.of({"MCIG_HOME": str(tmp_path / "mcig")})


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers are read, and the cloud is asked, without a pause after the last key."""
    monkeypatch.setattr(wizard, "CHECK_AFTER_S", 0.001)
    monkeypatch.setattr(wizard, "LOOK_AFTER_S", 0.0)


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
        draft = Draft.of(presets.load(presets.find(preset, home)))
        kept = Kept(draft, page, tuple(one.name for one in PAGES))
        app = Stage(WizardScreen(Session(home, {"HOME": str(tmp_path)}), kept))
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: isinstance(app.screen, WizardScreen))
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


def only(pilot: Pilot[int], path: str) -> Answer:
    """The row of a field."""
    return next(row for row in pilot.app.screen.query(Answer) if row.field.path == path)


def answer(pilot: Pilot[int], path: str) -> Input:
    """The input of a field."""
    return only(pilot, path).query_one(Input)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("size", SIZES, ids=["narrow", "wide"])
async def test_every_page_fits(opened: Open, size: tuple[int, int]) -> None:
    async with opened(size=size) as pilot:
        for page in PAGES:
            await at(pilot).jump(page.name)
            await same_as_kept(pilot, f"wizard-{page.name}")
            for button in at(pilot).query("#ways Button"):
                assert pilot.app.screen.region.contains_region(button.region)


@pytest.mark.usefixtures("offline")
async def test_keys_lead_to_the_next_page_and_back_home(home: Places, tmp_path: Path) -> None:
    app = McigApp(Session(home, {"HOME": str(tmp_path)}))
    draft = Draft.of(presets.load(presets.find("rehearsal", home)))
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(WizardScreen(app.session, Kept(draft, "regions", ())))
        await pilot.press("ctrl+n")
        await until(pilot, lambda: at(pilot).at == "gpu")
        await pilot.press("escape", "escape", "escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))


@pytest.mark.usefixtures("offline")
async def test_the_mouse_does_the_same(opened: Open) -> None:
    async with opened() as pilot:
        await pilot.click("#next")
        await until(pilot, lambda: at(pilot).at == "regions")
        await pilot.click(Rail, offset=(5, 4))
        await until(pilot, lambda: at(pilot).at == "model")
        await pilot.click("#back")
        await until(pilot, lambda: at(pilot).at == "gpu")


@pytest.mark.usefixtures("offline")
async def test_an_answer_stays_when_going_back_and_when_closed(opened: Open, home: Places) -> None:
    async with opened("timeouts") as pilot:
        field = answer(pilot, "timeout_s")
        field.focus()
        field.value = ""
        await pilot.press(*"300")
        await until(pilot, lambda: at(pilot).draft.get("timeout_s") == 300)
        await pilot.press("escape")
        await until(pilot, lambda: at(pilot).at == "balancing")
        await pilot.press("ctrl+n")
        await until(pilot, lambda: at(pilot).at == "timeouts" and answer(pilot, "timeout_s").value == "300")
    found = kept.read(home)
    assert found is not None
    assert (found.draft.get("timeout_s"), found.page) == (300, "timeouts")


@pytest.mark.usefixtures("offline")
async def test_a_mistake_is_told_at_its_field_and_on_the_rail(opened: Open) -> None:
    async with opened("timeouts") as pilot:
        field = answer(pilot, "timeout_s")
        field.focus()
        field.value = "99999"
        await until_said(pilot, "must be at most 3600", "1 to mend here")
        await pilot.press("escape")
        await until_said(pilot, "✗ Timeouts", "Next: Timeouts")
        await pilot.press("ctrl+r")
        await until(pilot, lambda: at(pilot).at == "timeouts" and answer(pilot, "timeout_s").has_focus)


@pytest.mark.usefixtures("offline")
async def test_nonsense_in_every_field_breaks_nothing(opened: Open) -> None:
    async with opened() as pilot:
        for page, junk in (("regions", JUNK), ("network", JUNK), ("timeouts", ""), ("timeouts", JUNK)):
            await at(pilot).jump(page)
            for more in at(pilot).query(Collapsible):
                more.collapsed = page == "timeouts"
            await pilot.pause()
            for field in at(pilot).query(Input):
                field.value = junk
            await settled(pilot)
            assert at(pilot).at == page


@pytest.mark.usefixtures("offline")
async def test_regions_are_chosen_with_space_and_c(opened: Open) -> None:
    async with opened("regions") as pilot:
        table = at(pilot).query_one(DataTable)
        assert table.has_focus
        await pilot.press("slash", *"us-central1", "enter")
        await pilot.press("space")
        await until(pilot, lambda: at(pilot).draft.regions == ["europe-west3", "us-east4", "us-central1"])
        await pilot.press("c")
        await until(pilot, lambda: at(pilot).draft.config_region == "us-central1")
        await until(pilot, lambda: at(pilot).settled and at(pilot).checked.spec is not None)


@pytest.mark.usefixtures("offline")
async def test_one_region_is_too_few_and_said_so(opened: Open) -> None:
    async with opened("regions") as pilot:
        await pilot.press("space")
        await until_said(pilot, "two or more")


@pytest.mark.usefixtures("offline")
async def test_one_region_can_have_machines_of_its_own(opened: Open) -> None:
    async with opened("gpu") as pilot:
        from textual.widgets import Select

        at(pilot).query_one("#for", Select).value = 1
        await until(pilot, lambda: only(pilot, "clusters[].gpu_pool.nodes").clusters == [1])
        answer(pilot, "clusters[].gpu_pool.nodes").value = "3"
        await until_said(pilot, "6 GPUs")
        assert at(pilot).draft.all("clusters[].gpu_pool.nodes") == [1, 3]


@pytest.mark.usefixtures("offline")
async def test_idle_gpus_are_said_aloud_with_their_cost(opened: Open) -> None:
    async with opened("gpu", preset="two-region-h100") as pilot:
        answer(pilot, "model.replicas").value = "3"
        await until_said(pilot, "6 GPUs stay idle and cost $40.93/h")


@pytest.mark.usefixtures("offline")
async def test_the_timeout_is_twice_the_p99(opened: Open) -> None:
    async with opened("timeouts") as pilot:
        at(pilot).query_one("#p99", Input).value = "40"
        await until(pilot, lambda: at(pilot).draft.get("timeout_s") == 80)


@pytest.mark.usefixtures("offline")
async def test_answers_are_saved_as_a_preset_without_the_token(opened: Open, home: Places) -> None:
    async with opened("model") as pilot:
        at(pilot).query_one("#token", Input).value = "hf_topsecret"
        await until(pilot, lambda: at(pilot).session.token is not None and at(pilot).settled)
        assert "hf_topsecret" not in text_of(pilot.app)
        assert "hf_topsecret" not in pilot.app.export_screenshot()
        await at(pilot)._open("name")
        await until(pilot, lambda: bool(pilot.app.screen.query("#save")))
        await pilot.click("#save")
        await until(pilot, (home.presets / "rehearsal.yaml").exists)
    written = [path for path in home.config.parent.rglob("*") if path.is_file()]
    assert home.presets / "rehearsal.yaml" in written
    assert not any("hf_topsecret" in path.read_text() for path in written)


@pytest.mark.usefixtures("offline")
async def test_help_names_the_questions_and_the_keys(opened: Open) -> None:
    async with opened("balancing") as pilot:
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
        await pilot.press("end")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, WizardScreen))


@pytest.mark.usefixtures("offline")
async def test_a_small_terminal_is_told_and_nothing_is_lost(opened: Open) -> None:
    async with opened("gpu") as pilot:
        await pilot.resize_terminal(40, 10)
        await until_said(pilot, "70x20")
        assert isinstance(pilot.app.screen, TooSmall)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: isinstance(pilot.app.screen, WizardScreen))
        assert at(pilot).at == "gpu"


@pytest.mark.usefixtures("offline")
async def test_every_theme_can_be_used(opened: Open) -> None:
    async with opened("regions") as pilot:
        for theme in ("mcig-light", "mcig-contrast", "textual-light"):
            pilot.app.theme = theme
            await pilot.pause()
            await until_said(pilot, "europe-west3")


async def test_a_cloud_that_is_gone_is_told_and_the_answers_are_kept(home: Places, tmp_path: Path) -> None:
    draft = Draft.of(presets.load(presets.find("two-region-h100", home)))
    session = Session(home, {"HOME": str(tmp_path), "GOOGLE_CLOUD_PROJECT": "my-project"})
    app = Stage(WizardScreen(session, Kept(draft, "network", ())))
    async with app.run_test(size=(120, 36)) as pilot:
        await until_said(pilot, "could not ask the cloud", "f5 asks again")
        assert at(pilot).query_one("#next", Button).focusable


async def test_a_project_that_is_missing_is_asked_for_at_its_field(home: Places, tmp_path: Path) -> None:
    draft = Draft.of(presets.load(presets.find("two-region-h100", home)))
    app = Stage(WizardScreen(Session(home, {"HOME": str(tmp_path)}), Kept(draft, "project", ())))
    async with app.run_test(size=(120, 36)) as pilot:
        await until_said(pilot, "no Google Cloud project was named.", "Type its id above. f5 asks again")
        assert "--set" not in text_of(app)


def stop_cloud(home: Places) -> None:
    """End the emulated cloud of a home."""
    running = control.find(home.emulator)
    assert running is not None
    control.stop(running)


async def test_the_cloud_is_asked_while_one_types_and_again_when_it_has_died(home: Places, tmp_path: Path) -> None:
    draft = Draft.of(presets.load(presets.find("rehearsal", home)))
    session = Session(home, {"HOME": str(tmp_path), "MCIG_HOME": str(home.config.parent)}, speed=math.inf)
    app = Stage(WizardScreen(session, Kept(draft, "model", ())))
    async with app.run_test(size=(120, 36)) as pilot:
        await until_said(pilot, "the rehearsal brings a token of its own", "4 checks are fine")
        answer(pilot, "model.adapters").value = ""
        await until_said(pilot, "3 checks are fine")
        stop_cloud(home)
        answer(pilot, "model.adapters").value = "another=Kawon/another"
        await until_said(pilot, "f5 asks again")
        await pilot.press("f5")
        await until_said(pilot, "is no adapter")
        assert at(pilot).draft.get("model.adapters") == [{"name": "another", "source": "Kawon/another"}]
        stop_cloud(home)


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
