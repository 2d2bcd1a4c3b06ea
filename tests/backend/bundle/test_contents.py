"""What a report holds of a machine, whatever state it is in; nothing is started for it."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from backend.bundle import Missing, Piece, Subject, contents, gather
from backend.bundle.contents import CRASHES, MOST_BYTES, RUNS
from backend.emulator import control
from backend.errors import CloudError
from backend.places import Places
from backend.presets import Source
from backend.spec import GatewaySpec, Target


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places.of({"MCIG_HOME": str(tmp_path / "mcig")})


def written(path: Path, text: str, *, at: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (at, at))


def texts(found: list[Piece | Missing]) -> dict[str, str]:
    return {one.name: one.text for one in found if isinstance(one, Piece)}


def whys(found: list[Piece | Missing]) -> dict[str, str]:
    return {one.name: one.why for one in found if isinstance(one, Missing)}


async def test_an_empty_home_gives_a_report_all_the_same(places: Places) -> None:
    found = await gather(Subject(None, None), environ={"HF_TOKEN": "hf_of_mine", "TERM": "dumb"}, places=places)
    told = texts(found)
    assert set(told) == {"versions.json"}
    machine = json.loads(told["versions.json"])
    assert machine["terminal"]["type"] == "dumb"
    assert machine["variables_set"] == ["HF_TOKEN"]
    installed = machine["mcig"] is not None
    assert ("textual" in machine["libraries"]) is installed
    assert "hf_of_mine" not in told["versions.json"]
    assert set(whys(found)) == {"spec.yaml", "plan.json", "status.json", "doctor.json"}
    assert not places.state.exists()


async def test_a_rehearsals_cloud_that_sleeps_is_left_asleep(places: Places, spec: GatewaySpec) -> None:
    found = await gather(Subject(None, spec), environ={}, places=places)
    assert GatewaySpec.model_validate(spec.model_dump()) == spec
    assert "config_cluster: gke-west" in texts(found)["spec.yaml"]
    assert "starts none" in whys(found)["plan.json"]
    assert control.find(places.emulator) is None
    assert not places.emulator.exists()


async def test_a_specification_with_problems_is_reported_as_it_is_written(places: Places) -> None:
    source = Source("file", "mine", "mine.yaml", "clusters: []\n")
    found = await gather(Subject(source, None, "mine.yaml:1 clusters: too few"), environ={}, places=places)
    assert texts(found)["spec.yaml"] == "clusters: []\n"
    assert texts(found)["problems.txt"] == "mine.yaml:1 clusters: too few\n"


async def test_the_latest_runs_and_crashes_are_in_it_and_long_logs_end_in_it(places: Places, spec: GatewaySpec) -> None:
    for number in range(RUNS + 2):
        written(places.journal(spec.name, f"run-{number}"), f"{number}\n", at=1000 - number)
    written(places.journal("another", "run"), "no\n", at=5000)
    for number in range(CRASHES + 1):
        written(places.state / "crashes" / f"{number}.txt", "Traceback\n", at=number)
    written(places.emulator / "emulator.log", "first\n" + "another line\n" * (MOST_BYTES // 13 + 1), at=1)
    told = texts(await gather(Subject(None, spec), environ={}, places=places, offline=True))
    journals = [name for name in told if name.startswith("journals/")]
    assert journals == [f"journals/{spec.name}/run-{number}.jsonl" for number in reversed(range(RUNS))]
    assert [name for name in told if name.startswith("crashes/")] == [f"crashes/{n}.txt" for n in range(1, CRASHES + 1)]
    assert set(told["emulator/emulator.log"].splitlines()) == {"another line"}
    assert MOST_BYTES - 13 <= len(told["emulator/emulator.log"]) <= MOST_BYTES


async def test_without_credentials_the_rest_is_there(
    places: Places, spec: GatewaySpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    real = spec.model_copy(update={"target": Target.GKE, "project": "my-project"})
    found = await gather(Subject(None, real), environ={"HOME": str(tmp_path)}, places=places)
    assert set(whys(found)) == {"plan.json", "status.json", "doctor.json"}
    assert "credentials" in whys(found)["plan.json"]
    assert "spec.yaml" in texts(found)


async def test_a_reading_that_fails_or_hangs_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs() -> object:
        return await asyncio.Event().wait()

    async def refuses() -> object:
        raise CloudError("no", cause="because")

    async def breaks() -> object:
        raise KeyError("selfLink")

    monkeypatch.setattr(contents, "LIMIT_S", 0.01)
    assert await contents.reading("a.json", "", hangs()) == [Missing("a.json", "no answer within 0.01 s")]
    assert await contents.reading("b.json", "", refuses()) == [Missing("b.json", "no (because)")]
    missing, kept = await contents.reading("c.json", "", breaks())
    assert missing == Missing("c.json", "KeyError: 'selfLink'")
    assert isinstance(kept, Piece)
    assert "in breaks" in kept.text
