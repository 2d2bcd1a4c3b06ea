"""A survey of an emulated cloud in this process, whose world the test sets."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from backend import presets
from backend.clients import Clients
from backend.clients.connect import emulated
from backend.places import Places
from backend.preflight import Finding, Survey, Topic, Verdict
from backend.resources.services import ON_BY_DEFAULT, WANTED
from backend.spec import GatewaySpec

if TYPE_CHECKING:
    from backend.emulator.server import Emulator

TOKEN = SecretStr("hf_rehearsal")


def spec_of(places: Places, name: str = "two-region-h100", *settings: str) -> GatewaySpec:
    """A packaged preset for the emulated cloud, with settings."""
    return presets.load(presets.find(name, places), ("target=emulator", "project=demo-project", *settings))


@dataclass
class Surveyed:
    """One emulated world, and the survey of it."""

    emulator: Emulator
    survey: Survey
    places: Places

    def set(self, *assignments: str) -> None:
        """Set what is in the world, as ``mcig emulator set`` does."""
        from backend.emulator import settings

        for assignment in assignments:
            settings.put(self.emulator.world, assignment)
        self.survey.refresh()

    async def found(
        self,
        *settings: str,
        preset: str = "two-region-h100",
        token: SecretStr | None = TOKEN,
        topics: tuple[Topic, ...] | None = None,
    ) -> dict[str, Finding]:
        """The findings for a preset, by id."""
        spec = spec_of(self.places, preset, *settings)
        return {one.id: one for one in await self.survey.findings(spec, token=token, topics=topics)}

    async def failing(self, *settings: str, **more: object) -> list[str]:
        """Ids of the failures."""
        found = await self.found(*settings, **more)  # type: ignore[arg-type]
        return [one.id for one in found.values() if one.status is Verdict.FAIL]


@pytest.fixture
async def fresh(tmp_path: Path) -> AsyncIterator[Surveyed]:
    """A project in which nobody has done anything: no API is on that has to be turned on."""
    from backend.emulator.server import Emulator

    places = Places.of({"MCIG_HOME": str(tmp_path / "home")})
    async with Emulator(tmp_path / "emulator", speed=math.inf) as running:
        connection = emulated(running.url, running.world.token, project="demo-project")
        clients = Clients(connection)
        for name in (*WANTED - ON_BY_DEFAULT, "cloudbilling.googleapis.com"):
            running.world.tables["services"][name] = {"state": "DISABLED"}
        survey = Survey(clients, places=places, environ={"PATH": "", "HOME": str(tmp_path)})
        yield Surveyed(running, survey, places)
        await survey.close()
        await clients.close()


@pytest.fixture
async def healthy(fresh: Surveyed) -> Surveyed:
    """A project in which all that is wanted is on."""
    for name in (*WANTED, "cloudbilling.googleapis.com"):
        fresh.emulator.world.tables["services"][name] = {"state": "ENABLED"}
    return fresh
