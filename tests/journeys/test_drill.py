"""A region is drained on purpose: what that does to requests, and what a killed drill leaves for the next command."""

from collections.abc import Iterator

import pytest

from tests.journeys.terminal import Terminal, kill
from tests.warm.client import Warm

REGION = "us-east4"


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory, warm: Warm) -> Iterator[Terminal]:
    """A stack that stands."""
    made = Terminal(tmp_path_factory.mktemp("standing"), warm)
    try:
        made.mcig("apply", "rehearsal", "--yes", "--json", "--speed", "max")
        yield made
    finally:
        made.close()


@pytest.mark.long
def test_traffic_moves_and_comes_back_and_nothing_is_lost(standing: Terminal) -> None:
    told = standing.mcig("drill", "rehearsal", "--region", REGION, "--seconds", "12", "--rate", "8", "--json").document
    assert (told["sent"], told["lost"], told["restored"]) == (96, 0, True)
    assert told["share_before"] == 1
    assert told["moved_s"] is not None and told["moved_s"] < 4
    assert told["back_s"] is not None
    assert told["slowed"] is not None
    west = next(each for each in told["load"]["clusters"] if each["name"] == "gke-west")
    assert 0.2 < west["share"] < 0.8, "half of the time everything went there"
    planned = standing.mcig("plan", "rehearsal", "--detailed-exitcode", "--json").document
    assert {step["action"] for step in planned["steps"]} == {"no-op"}


def test_a_killed_drill_is_seen_and_restored(standing: Terminal) -> None:
    other = "europe-west3"
    run = standing.start("drill", "rehearsal", "--region", other, "--seconds", "8")
    assert run.stdout is not None
    for line in run.stdout:
        if "is drained" in line:
            break
    assert kill(run).code == -9

    status = standing.mcig("status", "rehearsal").out
    assert f"{other} is drained by a drill until" in " ".join(status.split())
    assert "--only backend-policy" in status
    assert "drifted" not in status
    again = standing.mcig("drill", "rehearsal", "--region", other, code=1)
    assert "drained already" in again.err
    planned = standing.mcig("plan", "rehearsal", "--detailed-exitcode", "--json", code=3).document
    (step,) = [step for step in planned["steps"] if step["resource"] == "backend-policy"]
    assert step["action"] == "update"
    assert any("mcig-drill-until" in change["field"] for change in step["drift"])

    standing.mcig("apply", "rehearsal", "--yes", "--json", "--only", "backend-policy")
    standing.mcig("plan", "rehearsal", "--detailed-exitcode", "--json")
    assert "drill" not in standing.mcig("status", "rehearsal").out


def test_a_region_that_cannot_be_drained_is_refused(terminal: Terminal) -> None:
    refused = terminal.mcig("drill", "rehearsal", "--region", "asia-east1", code=2)
    assert "no model servers in asia-east1" in refused.err
    short = terminal.mcig("drill", "rehearsal", "--region", REGION, "--seconds", "2", code=2)
    assert "too short" in short.err
