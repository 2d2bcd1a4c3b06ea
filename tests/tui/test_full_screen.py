"""What every full-screen app has: the menu, sizes, and an end that tells a fault without anybody's secrets."""

from __future__ import annotations

from typing import ClassVar

import pytest
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from tests.tui.screens import Stage, text_of, until
from tui.interrupts import INTERRUPTED
from tui.leaving import Leavable
from tui.screens.help import HelpScreen
from tui.screens.small import TooSmall


class Asking(Leavable[None]):
    """One field and two keys, one of which cannot be used."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f3", "fall", "Fall", tooltip="Fall over"),
        Binding("f4", "rest", "Rest", tooltip="Do nothing"),
    ]

    def compose(self) -> ComposeResult:
        yield Input("half an ans", select_on_focus=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        del parameters
        return action != "rest"

    def action_fall(self) -> None:
        token = "hf_secret"
        raise ZeroDivisionError(len(token))


async def test_a_fault_ends_the_app_and_shows_no_variable() -> None:
    app = Stage(Asking())
    with pytest.raises(ZeroDivisionError):
        async with app.run_test() as pilot:
            await pilot.press("f3")
            await pilot.pause()
    assert isinstance(app.fault, ZeroDivisionError)
    assert app._exit_renderables == []
    assert app.return_code == 1


@pytest.mark.parametrize(("key", "code"), [("ctrl+c", INTERRUPTED), ("ctrl+q", None)])
async def test_the_app_is_left_from_in_front_of_a_dialogue(key: str, code: int | None) -> None:
    app = Stage(Asking())
    async with app.run_test() as pilot:
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await pilot.press(key)
        await until(pilot, lambda: app._exit)
    assert app.return_value == code


async def test_the_menu_has_every_key_that_can_be_used_and_help_tells_of_them() -> None:
    app = Stage(Asking())
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.screen is app.alone)
        titles = {command.title: command.help for command in app.get_system_commands(app.screen)}
        assert titles["Fall"] == "Fall over"
        assert "Rest" not in titles
        await pilot.press("f1")
        await until(pilot, lambda: "Fall over" in text_of(app))
        assert "Do nothing" not in text_of(app)
        assert "Cursor" not in text_of(app), "keys of a text field are what people expect of one"
        await pilot.press("f1")
        await until(pilot, lambda: not isinstance(app.screen, HelpScreen))


async def test_a_terminal_that_shrinks_and_grows_again_keeps_answer_and_focus() -> None:
    app = Stage(Asking())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.resize_terminal(40, 10)
        await until(pilot, lambda: isinstance(app.screen, TooSmall))
        assert "mcig needs 70x20" in text_of(app)
        await pilot.resize_terminal(120, 36)
        await until(pilot, lambda: app.screen is app.alone)
        await pilot.press(*"wer")
        assert app.alone.query_one(Input).value == "half an answer"
