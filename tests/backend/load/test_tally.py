"""Requests are counted where they came, whatever happens to Pods and their pages."""

from __future__ import annotations

from backend.load.drill import slower
from backend.load.tally import Tally
from backend.monitor.pages import FINISHED, GENERATED, RUNNING, TTFT, WAITING, Page


def page(finished: float = 0, *, running: float = 0, waiting: float = 0, tokens: float = 0, slow: float = 0) -> Page:
    buckets = {0.25: finished - slow, 0.5: finished, float("inf"): finished}
    counters = {FINISHED: finished, GENERATED: tokens}
    return Page({RUNNING: running, WAITING: waiting}, counters, {TTFT: buckets})


def test_what_was_done_before_the_beginning_does_not_count() -> None:
    tally = Tally()
    tally.take("west", "a", page(100, running=3))
    tally.begin()
    tally.take("west", "a", page(104, running=5, waiting=1, tokens=400))
    assert tally.counts["west"].arrived == 4 + 3
    assert tally.counts["west"].tokens == 400


def test_a_request_counts_once_on_its_way_through() -> None:
    tally = Tally()
    tally.take("west", "a", page())
    tally.begin()
    for each in (page(waiting=1), page(running=1), page(running=1), page(1), page(1)):
        tally.take("west", "a", each)
    assert tally.counts["west"].arrived == 1


def test_a_pod_that_starts_anew_or_comes_later_loses_nothing() -> None:
    tally = Tally()
    tally.take("west", "a", page(50))
    tally.begin()
    tally.take("west", "a", page(60))
    tally.take("west", "a", page(2))
    tally.take("west", "b", page(3))
    assert tally.counts["west"].arrived == 10 + 2 + 3
    assert tally.counts["west"].ttft[0.5] == 10 + 2 + 3


def test_a_page_without_the_counters_adds_nothing() -> None:
    tally = Tally()
    tally.begin()
    tally.take("west", "a", Page())
    assert tally.counts["west"].arrived == 0


def test_slowed_is_what_took_longer_than_everything_before() -> None:
    before = {0.25: 9.0, 0.5: 10.0, 1.0: 10.0, float("inf"): 10.0}
    whole = {0.25: 12.0, 0.5: 15.0, 1.0: 17.0, float("inf"): 18.0}
    assert slower(before, whole) == (0.5, 3.0)
    assert slower(before, before) == (0.5, 0.0)


def test_without_anything_before_nothing_is_called_slow() -> None:
    assert slower({}, {0.25: 4.0, float("inf"): 4.0}) == (None, None)
    assert slower({0.25: 0.0, float("inf"): 2.0}, {0.25: 0.0, float("inf"): 3.0}) == (None, None)
