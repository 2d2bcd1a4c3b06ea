"""Estimates come from the catalogue and move towards what happened on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend import eta
from backend.engine.durations import Duration
from backend.engine.events import Action, Event, Outcome, Payload, RunStarted, StepFinished, Verb
from backend.engine.journal import Journal
from backend.engine.plan import Plan, PlannedStep
from backend.engine.resource import About, ResourceId, Step

KNOWN = Duration(480, 1200)
AT = datetime(2026, 1, 1, tzinfo=UTC)


def run(target: str, *took: tuple[str, float], speed: float | None = 1.0) -> Iterator[Event]:
    payloads: list[Payload] = [RunStarted("r", "demo", target, Verb.APPLY, (), speed=speed)]
    payloads += [StepFinished(name, Action.CREATE, Outcome.SUCCEEDED, seconds) for name, seconds in took]
    return (Event(number, AT, payload) for number, payload in enumerate(payloads, start=1))


def cluster(history: eta.History) -> About:
    step = PlannedStep(
        Step(ResourceId("cluster/gke-west"), Action.CREATE), frozenset(), About("", estimate_s=480), drifted=False
    )
    (found,) = eta.estimated(Plan(Verb.APPLY, (step,)), history).steps
    return found.about


@pytest.mark.parametrize(
    ("resource", "kind"),
    [("node-pool/gke-west/h100", "node-pool"), ("crd/x@gke-west", "crd"), ("pool@c", "pool"), ("gateway", "gateway")],
)
def test_kinds(resource: str, kind: str) -> None:
    assert eta.kind_of(resource) == kind


def test_without_a_history_the_catalogue_speaks() -> None:
    about = cluster(eta.History())
    assert (about.estimate_s, about.estimate_p90_s) == (480, 1200)


def test_three_runs_of_ones_own_begin_to_count() -> None:
    two = eta.History.of([run("gke", ("cluster/a", 900), ("cluster/b", 900))], "gke")
    assert cluster(two).estimate_s == 480
    six = eta.History.of([run("gke", ("cluster/a", 900), ("cluster/b", 900)) for _ in range(3)], "gke")
    assert 480 < cluster(six).estimate_s < 900


def test_a_rehearsal_says_nothing_of_the_real_cloud_and_the_other_way_round() -> None:
    rehearsed = [run("emulator", ("cluster/a", 20), speed=60) for _ in range(5)]
    assert eta.History.of(rehearsed, "gke").samples == {}
    rehearsed = [run("emulator", ("cluster/a", 20), speed=60) for _ in range(5)]
    assert eta.History.of(rehearsed, "emulator").samples == {("cluster", Action.CREATE): [1200] * 5}
    left_out = [run("emulator", ("cluster/a", 20), speed=None), run("emulator", ("cluster/a", 0.4), speed=60)]
    assert eta.History.of(left_out, "emulator").samples == {}


@given(st.lists(st.floats(0, 1e5), max_size=30))
def test_a_blend_lies_between_the_catalogue_and_the_samples(samples: list[float]) -> None:
    found = eta.blend(KNOWN, samples)
    own = [seconds for seconds in samples if seconds > 0]
    if len(own) < eta.FEWEST:
        assert found == KNOWN
    else:
        assert min(KNOWN.p50_s, *own) * 0.999 <= found.p50_s <= max(KNOWN.p50_s, *own) * 1.001


def test_more_samples_weigh_more() -> None:
    medians = [eta.blend(KNOWN, [900.0] * count).p50_s for count in (3, 6, 12)]
    assert medians == sorted(medians)
    assert medians[0] > KNOWN.p50_s


def test_journals_are_read_and_broken_ones_passed_over(tmp_path: Path) -> None:
    for number in range(3):
        with Journal(tmp_path / "demo" / f"2026010{number}.jsonl") as journal:
            for event in run("gke", ("cluster/a", 900)):
                journal(event)
    (tmp_path / "demo" / "20260109.jsonl").write_text('{"type": "run_started"}\n')
    found = eta.History.read(tmp_path, "gke")
    assert found.samples == {("cluster", Action.CREATE): [900, 900, 900]}
    assert eta.History.read(tmp_path / "nowhere", "gke").samples == {}
