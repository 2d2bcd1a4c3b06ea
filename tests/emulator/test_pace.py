from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.emulator.pace import DURATIONS, Pace

NAMES = sorted(DURATIONS)


@given(seed=st.integers(), what=st.sampled_from(NAMES), key=st.text(max_size=20))
def test_the_same_seed_gives_the_same_duration_whatever_was_asked_before(seed: int, what: str, key: str) -> None:
    first, second = Pace(seed, 1), Pace(seed, 1)
    for other in NAMES:
        second.seconds(other, "something else")
    assert first.seconds(what, key) == second.seconds(what, key)


@given(what=st.sampled_from(NAMES), key=st.text(max_size=20), speed=st.floats(0.5, 1e6))
def test_speed_divides(what: str, key: str, speed: float) -> None:
    assert Pace(7, speed).seconds(what, key) == pytest.approx(Pace(7, 1).seconds(what, key) / speed)


@pytest.mark.parametrize("what", NAMES)
def test_without_jitter_the_median_always(what: str) -> None:
    assert Pace(7, 1, 0).seconds(what, "a") == pytest.approx(DURATIONS[what][0])


@pytest.mark.parametrize("what", ["cluster.create", "gatewayclass"])
def test_the_spread_is_that_of_the_table(what: str) -> None:
    samples = sorted(Pace(7, 1).seconds(what, str(number)) for number in range(1000))
    median, p90 = DURATIONS[what]
    assert samples[500] == pytest.approx(median, rel=0.2)
    assert samples[900] == pytest.approx(p90, rel=0.25)


def test_at_infinite_speed_nothing_takes_time() -> None:
    assert Pace(7, math.inf).seconds("cluster.create", "a") == 0


def test_what_is_not_in_the_table_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        Pace(7, math.inf).seconds("clutser.create", "a")


@pytest.mark.parametrize(("speed", "jitter"), [(0, 1), (-1, 1), (math.nan, 1), (1, -1), (1, math.inf), (1, math.nan)])
def test_impossible_settings_are_refused(speed: float, jitter: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        Pace(7, speed, jitter)
