"""Rates from two readings of a Pod."""

from __future__ import annotations

import pytest

from backend.monitor.pages import FINISHED, GENERATED, RUNNING, TTFT, WAITING, Page
from backend.monitor.rates import Meter, Reading


def page(tokens: float, finished: float = 0.0, first: float = 0.0) -> Page:
    return Page(counters={GENERATED: tokens, FINISHED: finished}, buckets={TTFT: {0.1: first, float("inf"): first}})


def test_a_rate_needs_two_readings() -> None:
    meter = Meter()
    assert meter.work is None
    meter.take(Reading(10, page(100)))
    assert meter.work is None
    meter.take(Reading(12, page(160, 4, 4)))
    work = meter.work
    assert work is not None
    assert (work.tokens_per_s, work.requests_per_s, work.ttft[0.1]) == (30, 2, 4)


def test_a_restart_starts_the_count_again_and_is_no_negative_rate() -> None:
    meter = Meter()
    meter.take(Reading(10, page(1000, 50, 50)))
    meter.take(Reading(12, page(20, 1, 1)))
    work = meter.work
    assert work is not None
    assert (work.tokens, work.requests, work.ttft[0.1]) == (20, 1, 1)


def test_what_is_older_than_the_window_is_forgotten() -> None:
    meter = Meter(window_s=10)
    for at, tokens in ((0, 0), (5, 100), (10, 100), (20, 100)):
        meter.take(Reading(at, page(tokens)))
    work = meter.work
    assert work is not None
    assert (work.seconds, work.tokens) == (10, 0)


@pytest.mark.parametrize("at", [10, 9])
def test_a_clock_that_stands_still_or_jumps_back_gives_no_rate(at: float) -> None:
    meter = Meter()
    meter.take(Reading(8, page(1)))
    meter.take(Reading(10, page(2)))
    meter.take(Reading(at, page(100)))
    assert meter.work is None


def test_a_pod_that_did_not_answer_has_no_rate_until_it_did_again() -> None:
    meter = Meter()
    meter.take(Reading(0, page(0)))
    meter.take(Reading(2, page(10)))
    meter.lose()
    assert meter.work is None
    meter.take(Reading(6, page(50)))
    work = meter.work
    assert work is not None
    assert work.tokens_per_s == 10


def busy(finished: float, running: float, waiting: float = 0.0) -> Page:
    return Page({RUNNING: running, WAITING: waiting}, {GENERATED: 0.0, FINISHED: finished})


def rate(*pages: Page) -> float | None:
    meter = Meter()
    for number, each in enumerate(pages):
        meter.take(Reading(number * 2.0, each))
    return None if meter.work is None else meter.work.requests_per_s


def test_a_request_counts_when_it_comes_and_not_when_it_ends() -> None:
    assert rate(busy(0, 0), busy(0, 6, 2)) == 4
    assert rate(busy(0, 0), busy(0, 6, 2), busy(8, 0)) == 2


def test_after_a_restart_what_is_under_way_is_new() -> None:
    assert rate(busy(90, 40), busy(1, 3)) == 2


def test_requests_that_vanish_uncounted_give_no_negative_rate() -> None:
    assert rate(busy(5, 40), busy(5, 0)) == 0


def test_without_gauges_those_that_ended_count() -> None:
    assert rate(page(0), busy(4, 30)) == 2
