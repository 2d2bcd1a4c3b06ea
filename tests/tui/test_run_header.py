"""What the head of a run says of money: whose clock it is by, and nothing where nothing is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from textual.app import App

from backend.engine.events import Action, Event, RunStarted, StepStarted, Verb
from tui.progress import Progress
from tui.step_facts import StepFacts
from tui.widgets.run_header import RunHeader

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


async def facts(action: Action, *, speed: float | None, after_s: float) -> str:
    """The line of figures so many seconds after a cluster was begun."""
    step = StepFacts("cluster/gke-west", action, usd_per_hour=36.0)
    progress = Progress([step], speed=speed)
    progress(Event(1, START, RunStarted("r", "two-regions", "emulator", Verb.APPLY, (("cluster/gke-west", action),))))
    progress(Event(1, START, StepStarted("cluster/gke-west", action)))
    now = START + timedelta(seconds=after_s)
    source = SimpleNamespace(
        now=lambda: now, left=lambda: None, speed=speed, spent=None, guard="", guard_at=None, verb=Verb.APPLY,
        stack_name="two-regions", where="here",
    )  # fmt: skip
    async with App[None]().run_test(size=(120, 10)) as pilot:
        header = RunHeader(cast("Any", source), progress)
        await pilot.app.mount(header)
        await pilot.pause()
        return header.render().plain.splitlines()[-1]


@pytest.mark.parametrize(
    ("action", "speed", "words", "absent"),
    [
        (Action.CREATE, 60.0, "set-up for real about $36.00", "spent"),
        (Action.CREATE, None, "spent about $0.60", "for real"),
        (Action.UPDATE, 60.0, "costs for real $36.00/h", "about"),
    ],
)
async def test_money_of_a_rehearsal_is_that_of_the_real_set_up_and_named_so(
    action: Action, speed: float | None, words: str, absent: str
) -> None:
    said = await facts(action, speed=speed, after_s=60)
    assert words in said
    assert absent not in said
