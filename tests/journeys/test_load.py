"""Somebody who must trust the gateway before launch: loads it, sees where requests go, and stops a test half-way."""

import json
import signal
from collections.abc import Iterator

import pytest

from tests.journeys.terminal import Terminal, kill
from tests.warm.client import Warm

CLUSTERS = ["gke-west", "gke-east"]


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory, warm: Warm) -> Iterator[Terminal]:
    """A stack that stands, where few requests at once are much."""
    made = Terminal(tmp_path_factory.mktemp("standing"), warm)
    few = ("--set", "balancing.mode=IN_FLIGHT", "--set", "balancing.max_in_flight_requests_per_endpoint=5")
    try:
        made.mcig("apply", "rehearsal", "--yes", "--json", "--speed", "max", *few)
        yield made
    finally:
        made.close()


@pytest.mark.long
def test_a_light_load_stays_in_the_near_region_and_an_overload_spills_over(standing: Terminal) -> None:
    light = standing.mcig("load", "rehearsal", "--rate", "2", "--seconds", "3", "--max-tokens", "5", "--json").document
    assert (light["requests"], light["lost"], light["report"]["successful"]) == (6, 0, 6)
    assert (light["cluster"], light["region"], light["prompt_tokens"]) == ("gke-west", "europe-west3", 4000)
    assert [each["name"] for each in light["clusters"]] == CLUSTERS
    assert light["clusters"][0]["share"] == 1
    assert light["report"]["ttft"]["p50_s"] > 0

    full = standing.mcig("load", "--rate", "20", "--seconds", "4", "--from", "us-east4", "--json").document
    assert (full["cluster"], full["region"], full["lost"]) == ("gke-east", "us-east4", 0)
    shares = {each["name"]: each["share"] for each in full["clusters"]}
    assert shares["gke-east"] > 0.2 and shares["gke-west"] > 0.2
    assert abs(sum(shares.values()) - 1) < 1e-9
    first = next(point for point in full["timeline"] if any(each["requests"] for each in point["clusters"]))
    assert first["clusters"][1]["share"] > first["clusters"][0]["share"], "the near region fills first"
    came = sum(each["requests"] for each in full["clusters"])
    assert 80 <= came <= 81, "the client asks once before it begins"


@pytest.mark.long
def test_a_test_that_is_stopped_leaves_no_job_and_the_next_one_runs(standing: Terminal) -> None:
    run = standing.start("load", "rehearsal", "--rate", "5", "--seconds", "60")
    assert run.stdout is not None
    for line in run.stdout:
        if "requests/s" in line:
            break
    printed = kill(run, signal.SIGINT)
    assert printed.code == 130
    assert "stopped: Job mcig-load on gke-west is deleted" in printed.out
    shown = standing.mcig(
        "load", "rehearsal", "--rate", "4", "--seconds", "2", "--prompt-tokens", "50", "--max-tokens", "5"
    ).out
    assert "8 of 8 answered" in shown
    assert "gke-west        100 % of the requests" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_what_cannot_be_loaded_says_so(terminal: Terminal) -> None:
    refused = terminal.mcig("load", "rehearsal", "--rate", "0", "--seconds", "5", code=2)
    assert "--rate 0 cannot be" in refused.err
    assert "fix:" in refused.err
    nowhere = terminal.mcig("load", "rehearsal", "--rate", "1", "--seconds", "5", "--speed", "max", code=1)
    assert "no address" in nowhere.err
    assert "requests from" not in nowhere.out, "nothing is announced that cannot be"
    assert "mcig apply rehearsal" in nowhere.err
    elsewhere = terminal.mcig("load", "rehearsal", "--rate", "1", "--seconds", "5", "--from", "asia-east1", code=2)
    assert "no cluster in asia-east1" in elsewhere.err
    assert json.loads(terminal.mcig("emulator", "status", "--json").out)["resources"] == []
