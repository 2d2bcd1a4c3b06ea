"""Spreads add up along a path, and waiting never makes them negative."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.engine.durations import NOTHING, Duration, last_end, log_normal
from backend.engine.events import Action, Event, Outcome, StepFinished, StepNote, StepStarted, Verb
from backend.engine.forecast import Forecast, Late
from backend.engine.plan import Plan, PlannedStep
from backend.engine.resource import About, ResourceId, Step

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
spreads = st.builds(lambda p50, ratio: Duration(p50, p50 * ratio), st.floats(0, 4000), st.floats(1, 10))


def in_a_row(names: Sequence[str]) -> dict[str, set[str]]:
    return {name: {before} for before, name in pairwise(names)}


@given(st.lists(spreads, max_size=8))
def test_one_after_the_other_lies_between_the_medians_and_everything_going_badly(own: list[Duration]) -> None:
    names = [str(number) for number in range(len(own))]
    found = last_end(dict(zip(names, own, strict=True)), in_a_row(names))
    assert found.p50_s == pytest.approx(sum(one.p50_s for one in own))
    assert found.p50_s <= found.p90_s <= sum(one.p90_s for one in own) * (1 + 1e-9) + 1e-6


@given(st.lists(spreads, min_size=1, max_size=8))
def test_side_by_side_the_longest_counts(own: list[Duration]) -> None:
    found = last_end({str(number): one for number, one in enumerate(own)}, {})
    assert found.p50_s == max(one.p50_s for one in own)
    assert found.p90_s == pytest.approx(max(one.p90_s for one in own), rel=1e-6)


@given(spreads, st.floats(0, 1e5), st.floats(0, 1e5))
def test_what_is_left_is_never_negative_and_the_end_never_comes_nearer(one: Duration, gone: float, more: float) -> None:
    left, later = one.left(gone), one.left(gone + more)
    assert 0 <= left.p50_s <= left.p90_s
    assert gone + more + later.p50_s >= gone + left.p50_s - 1e-3 * (gone + more + 1)


def test_a_path_of_long_tails_ends_as_a_simulation_says() -> None:
    own = [Duration(25, 90), Duration(480, 1200), Duration(70, 480), Duration(60, 360), Duration(420, 900)]
    names = "abcde"
    chance = random.Random(7)
    ends = sorted(sum(one.p50_s * math.exp(chance.gauss(0, one.sigma)) for one in own) for _ in range(20_000))
    found = last_end(dict(zip(names, own, strict=True)), in_a_row(names))
    assert found.p90_s == pytest.approx(ends[18_000], rel=0.12)


def test_what_cannot_be_a_duration_is_refused() -> None:
    for p50, p90 in ((-1, 2), (2, 1), (math.nan, 1), (1, math.inf)):
        with pytest.raises(ValueError, match="not a duration"):
            Duration(p50, p90)
    assert log_normal(60, 0).p90_s == 60
    assert NOTHING.left(5) == NOTHING


# --- a run on its way -------------------------------------------------------------------------------------------------


def plan(*steps: tuple[str, float, float, str]) -> Plan:
    return Plan(
        Verb.APPLY,
        tuple(
            PlannedStep(
                Step(ResourceId(name), Action.CREATE),
                frozenset(map(ResourceId, after.split())),
                About("", estimate_s=p50, estimate_p90_s=p90),
                drifted=False,
            )
            for name, p50, p90, after in steps
        ),
    )


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def test_a_forecast_counts_what_is_not_done_and_what_has_lasted() -> None:
    made = plan(("a", 100, 200, ""), ("b", 60, 60, "a"), ("c", 500, 500, ""))
    forecast = Forecast(made, speed=None)
    assert forecast.left(at(0)) == made.duration
    forecast(Event(1, at(0), StepStarted("a", Action.CREATE)))
    forecast(Event(2, at(0), StepStarted("c", Action.CREATE)))
    assert forecast.left(at(300)).p50_s == pytest.approx(200)
    forecast(Event(3, at(400), StepFinished("c", Action.CREATE, Outcome.SUCCEEDED, 400)))
    late = forecast.left(at(400))
    assert late.p50_s > 60, "a is late, and is still given some time"
    forecast(Event(4, at(450), StepFinished("a", Action.CREATE, Outcome.SUCCEEDED, 450)))
    assert forecast.left(at(450)) == Duration(60, 60)
    forecast(Event(5, at(500), StepFinished("b", Action.CREATE, Outcome.FAILED, 50)))
    assert forecast.left(at(500)) == NOTHING


def test_a_step_is_late_when_nine_of_ten_are_over_and_says_what_it_said_last() -> None:
    forecast = Forecast(plan(("a", 100, 200, ""), ("b", 60, 60, "a")), speed=10.0)
    forecast(Event(1, at(0), StepStarted("a", Action.CREATE)))
    forecast(Event(2, at(4), StepNote("a", "no machines since 0:40")))
    assert forecast.late(at(20)) == ()
    assert forecast.late(at(21)) == (Late("a", Duration(100, 200), 210.0, "no machines since 0:40"),)
    forecast(Event(3, at(30), StepFinished("a", Action.CREATE, Outcome.SUCCEEDED, 30)))
    assert forecast.late(at(31)) == ()
    never = Forecast(plan(("a", 1, 2, "")), speed=math.inf)
    never(Event(1, at(0), StepStarted("a", Action.CREATE)))
    assert never.late(at(99)) == ()


@pytest.mark.parametrize(("speed", "left"), [(60.0, 10.0), (math.inf, 0.0)])
def test_a_rehearsal_is_told_in_the_time_that_it_takes_here(speed: float, left: float) -> None:
    assert Forecast(plan(("a", 600, 600, "")), speed=speed).left(at(0)).p50_s == left
