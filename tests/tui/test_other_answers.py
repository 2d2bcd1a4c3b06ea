"""Answers that were changed while a run was on the screen, as by GPUs taken elsewhere, are those that are asked for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend import presets
from backend.draft import Draft
from backend.kept import Kept
from backend.places import Places
from backend.spec import GatewaySpec
from tests.tui.screens import until
from tui.app import McigApp
from tui.screens import wizard
from tui.screens.choosing import ChoosingScreen
from tui.screens.run import RunScreen
from tui.screens.wizard import WizardScreen
from tui.session import Session


async def test_the_pages_below_a_run_go_on_with_what_was_taken_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wizard, "LOOK_AFTER_S", 3600.0)
    places = Places.of({"MCIG_HOME": str(tmp_path)})
    session = Session(places, {"HOME": str(tmp_path)})
    before = presets.load(presets.find("rehearsal", places))
    elsewhere = presets.load(presets.find("rehearsal", places), ["clusters.gke-east.gpu_pool.zones=[us-east4-a]"])

    async def opened(spec: GatewaySpec, **_: bool) -> Any:
        return SimpleNamespace(spec=spec)

    monkeypatch.setattr(session, "open", opened)
    app = McigApp(session)
    async with app.run_test(size=(120, 36)) as pilot:
        pages = WizardScreen(session, Kept(Draft.of(before), "gpu", ()))
        await app.push_screen(pages)
        await app.push_screen(ChoosingScreen("a run", []))
        await app._reopen(elsewhere)
        app.screen.post_message(RunScreen.ChangeAnswers())
        await until(pilot, lambda: app.screen is pages and pages.settled)
        assert pages.draft.all("clusters[].gpu_pool.zones") == [["europe-west3-c"], ["us-east4-a"]]
