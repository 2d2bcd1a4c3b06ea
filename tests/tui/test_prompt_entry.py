"""Ctrl-C where a prompt is written: it copies what somebody selected, and leaves where nobody did."""

from __future__ import annotations

from textual.app import ComposeResult

from tests.tui.screens import Stage, until
from tui.leaving import Leavable
from tui.widgets.prompt_entry import PromptEntry


class Writing(Leavable[None]):
    """An entry alone, with all of its text selected."""

    def compose(self) -> ComposeResult:
        yield PromptEntry("What is the best pizza?")

    def on_mount(self) -> None:
        self.query_one(PromptEntry).focus()
        self.query_one(PromptEntry).select_all()


async def test_a_prompt_that_nobody_touched_is_not_in_the_way_of_leaving() -> None:
    app = Stage(Writing())
    async with app.run_test() as pilot:
        await pilot.press("ctrl+c")
    assert app.return_value == 130
    assert app.copied == []


async def test_what_is_selected_is_copied_first() -> None:
    app = Stage(Writing())
    async with app.run_test() as pilot:
        await pilot.press(*"ciao")
        app.alone.query_one(PromptEntry).select_all()
        await pilot.press("ctrl+c")
        await until(pilot, lambda: app.copied == ["ciao"])
        await pilot.press("ctrl+c")
    assert app.return_value == 130
