"""A run's events become lanes, words, shares and a log, the same for a live run and for a journal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backend.engine import journal
from backend.engine.events import (
    Action,
    Event,
    Failure,
    Outcome,
    Payload,
    RunStarted,
    StepFinished,
    StepNote,
    StepStarted,
    Verb,
)
from tui.progress import LINES_KEPT, Progress, State
from tui.step_facts import StepFacts, facts_of_events

JOURNALS = Path(__file__).parent / "journals"
START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def recorded(name: str) -> list[Event]:
    return list(journal.read(JOURNALS / f"{name}.jsonl"))


def at(seconds: float, payload: Payload) -> Event:
    return Event(1, START + timedelta(seconds=seconds), payload)


def played(events: list[Event]) -> Progress:
    progress = Progress(facts_of_events(events), speed=60.0)
    for event in events:
        progress(event)
    return progress


def test_lanes_are_what_is_shared_and_then_the_regions() -> None:
    lanes = played(recorded("succeeded")).lanes
    assert [(lane.name, lane.cluster, len(lane.steps)) for lane in lanes] == [
        ("shared", "", 9),
        ("europe-west3", "gke-west", 12),
        ("us-east4", "gke-east", 12),
    ]


def test_names_in_a_lane_leave_out_what_its_heading_says() -> None:
    shared, west, _ = played(recorded("succeeded")).lanes
    short = {west.short(step.facts.resource) for step in west.steps}
    assert {"cluster", "subnet", "node-pool/h100", "secret/hf-token", "pool", "model-server"} <= short
    assert shared.short("relay@gke-west") == "relay@gke-west"


def test_a_killed_run_keeps_steps_that_never_began_in_their_lane() -> None:
    whole = recorded("succeeded")
    begun = [getattr(event.payload, "resource", "") for event in whole]
    cut = max(begun.index("cluster/gke-west"), begun.index("cluster/gke-east")) + 1
    regions = {facts.resource: facts.region for facts in facts_of_events(whole[:cut])}
    assert regions["node-pool/gke-east/h100"] == "us-east4"
    assert {regions["cluster/gke-west"], regions["model-server@gke-west"]} == {"europe-west3"}
    assert regions["relay@gke-west"] is None


@pytest.mark.parametrize("name", ["succeeded", "failed"])
def test_the_share_that_is_done_never_shrinks_and_ends_at_one_only_for_a_whole_run(name: str) -> None:
    events = recorded(name)
    progress = Progress(facts_of_events(events), speed=60.0)
    shares = [0.0]
    for event in events:
        progress(event)
        shares.append(progress.share(event.at))
    assert shares == sorted(shares)
    assert (shares[-1] == 1.0) is (name == "succeeded")


def test_a_failed_step_and_what_needed_it_are_told_apart() -> None:
    progress = played(recorded("failed"))
    assert [step.facts.resource for step in progress.failed] == ["node-pool/gke-east/h100"]
    states = {name: step.state for name, step in progress.steps.items()}
    assert (states["model-server@gke-east"], states["verify"]) == (State.SKIPPED, State.SKIPPED)
    assert progress.steps["node-pool/gke-east/h100"].word == "FAILED"
    assert any("node-pool/gke-east/h100  FAILED: " in line for line in progress.lines)


def test_a_note_that_says_nothing_new_is_no_line_of_the_log() -> None:
    progress = Progress([StepFacts("gateway", Action.CREATE)])
    progress(at(0, StepStarted("gateway", Action.CREATE)))
    for second in range(5):
        progress(at(second, StepNote("gateway", "waiting")))
    progress(at(6, StepNote("gateway", "programmed", operation="op-1")))
    assert [line.split("  ")[-1] for line in progress.lines] == ["creating", "waiting", "programmed"]
    assert progress.steps["gateway"].operation == "op-1"


def test_a_step_that_no_plan_foresaw_is_shown_all_the_same() -> None:
    progress = Progress([])
    progress(at(0, StepFinished("odd", Action.DELETE, Outcome.FAILED, 1.0, error=Failure("no"))))
    assert [step.facts.resource for step in progress.lanes[0].steps] == ["odd"]


def test_what_is_spent_counts_from_when_a_thing_was_begun_in_seconds_of_life() -> None:
    progress = Progress([StepFacts("cluster/a", Action.CREATE, usd_per_hour=6.0)], speed=60.0)
    progress(at(0, RunStarted("r", "s", "emulator", Verb.APPLY, ())))
    progress(at(30, StepStarted("cluster/a", Action.CREATE)))
    assert progress.spent_usd(START + timedelta(seconds=30)) == 0
    assert progress.spent_usd(START + timedelta(seconds=60)) == pytest.approx(3.0)
    assert Progress([], speed=float("inf")).spent_usd(START) is None


def test_the_log_forgets_its_oldest_lines_and_still_counts_them() -> None:
    progress = Progress([StepFacts("gateway", Action.CREATE)])
    for number in range(LINES_KEPT + 10):
        progress(at(number, StepNote("gateway", f"note {number}")))
    assert (len(progress.lines), progress.told) == (LINES_KEPT, LINES_KEPT + 10)
