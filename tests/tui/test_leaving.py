"""Screens are left while something is awaited, and left twice: nothing breaks, and nothing else goes."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual import events, messages, work
from textual.app import App, ComposeResult
from textual.screen import Screen
from textual.widgets import Static

from backend import presets
from backend.draft import Draft
from backend.kept import Kept
from backend.places import Places
from tests.tui.screens import until
from tui import screens
from tui.app import McigApp
from tui.leaving import Leavable, LeavableModal
from tui.screens import wizard
from tui.screens.home import HomeScreen
from tui.screens.wizard import WizardScreen
from tui.session import Session


class LastWord(Static):
    """Lets go what its screen waits for at the worst moment: when it has gone and its screen has not."""

    def __init__(self, said: asyncio.Event) -> None:
        super().__init__("waiting", id="word")
        self._said = said

    def on_unmount(self) -> None:
        self._said.set()


class Waiting(Leavable[None]):
    """Waits for something and writes it down."""

    def __init__(self) -> None:
        super().__init__()
        self.said = asyncio.Event()
        self.cleaned = False

    def compose(self) -> ComposeResult:
        yield LastWord(self.said)

    def on_mount(self) -> None:
        self.listen()

    @work
    async def listen(self) -> None:
        try:
            await self.said.wait()
            await asyncio.sleep(0)
            self.query_one("#word", Static).update("heard")
        finally:
            self.cleaned = True


class Hasty(Waiting):
    """Begins to wait again with its last message."""

    async def on_prune(self, event: messages.Prune) -> None:
        await super().on_prune(event)
        self.call_later(self.listen)


class Modal(LeavableModal[str]):
    """Stands in front."""


@pytest.mark.parametrize("kind", [Waiting, Hasty])
async def test_what_was_awaited_comes_too_late_for_a_screen_that_goes(kind: type[Waiting]) -> None:
    app, screen = App[None](), kind()
    async with app.run_test() as pilot:
        await app.push_screen(screen)
        await app.pop_screen()
        await pilot.pause()
        assert (screen.going, screen.cleaned) == (True, True)


async def test_what_was_awaited_comes_too_late_for_an_app_that_ends() -> None:
    app, screen = App[None](), Waiting()

    async def later() -> None:
        await screen.said.wait()
        app.query_one("#word", Static).update("heard")

    async with app.run_test():
        await app.push_screen(screen)
        app.run_worker(later())
    assert screen.cleaned


async def test_leaving_twice_is_leaving_once_and_takes_what_is_in_front_along() -> None:
    app, screen, told = App[None](), Waiting(), list[str | None]()
    async with app.run_test() as pilot:
        below = app.screen
        await app.push_screen(screen)
        modal = Modal()
        await app.push_screen(modal, told.append)
        modal.dismiss("yes")
        modal.dismiss("no")
        await pilot.pause()
        assert (app.screen, told) == (screen, ["yes"])
        await app.push_screen(Modal(), told.append)
        screen.dismiss()
        await screen.dismiss()
        await pilot.pause()
        assert (app.screen, told) == (below, ["yes", None])


def every_screen() -> Iterator[type[Screen[object]]]:
    for module in pkgutil.walk_packages(screens.__path__, f"{screens.__name__}."):
        for _, found in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(found, Screen) and found.__module__ == module.name:
                yield found


def test_every_screen_of_the_app_can_be_left_at_any_moment() -> None:
    found = list(every_screen())
    assert HomeScreen in found
    assert [one.__name__ for one in found if not issubclass(one, Leavable)] == []


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> McigApp:
    monkeypatch.setattr(wizard, "LOOK_AFTER_S", 3600.0)
    return McigApp(Session(Places.of({"MCIG_HOME": str(tmp_path / "mcig")}), {"HOME": str(tmp_path)}))


async def test_keys_that_are_pressed_twice_open_once_and_leave_once(app: McigApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        for _ in range(2):
            app.post_message(events.Key("r", "r"))
        await until(pilot, lambda: isinstance(app.screen, WizardScreen))
        assert len(app.screen_stack) == 2
        for _ in range(2):
            app.post_message(events.Key("escape", None))
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        assert len(app.screen_stack) == 1


async def test_a_wizard_is_left_while_it_reads_the_answers(app: McigApp) -> None:
    kept = Kept(Draft.of(presets.load(presets.find("rehearsal", app.session.places))), "project", ())
    async with app.run_test(size=(80, 24)) as pilot:
        for _ in range(3):
            screen = WizardScreen(app.session, kept)
            await app.push_screen(screen)
            screen._check()
            screen.dismiss()
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        await pilot.pause()
