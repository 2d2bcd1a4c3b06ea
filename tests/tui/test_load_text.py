"""A load test as text: every bar has its figure, nothing is wider than the terminal, unknown stays unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from backend.load import ClusterLoad, ClusterPoint, DrillResult, Latency, Load, LoadResult, Point, Report
from tui.load_text import bar, drill_lines, load_lines, merged, moment, picture
from tui.style import Style

NAMES = ("gke-west", "gke-east")
TIMES = Latency(0.2591, 0.25, 0.4)


def point(t_s: float, came: Sequence[float], caches: Sequence[float | None] = (0.5, 0.0)) -> Point:
    whole = sum(came)
    shares = [each / whole if whole else None for each in came]
    zipped = zip(NAMES, came, shares, caches, strict=False)
    return Point(t_s, 1.0, tuple(ClusterPoint(name, one, share, kv, 1, 0) for name, one, share, kv in zipped))


def result(timeline: Sequence[Point] = (), *, successful: int | None = 100, failure: str | None = None) -> LoadResult:
    report = None
    if successful is not None:
        report = Report(successful, None, 12.5, 400_000, 20_000, 8.0, 1600.0, TIMES, TIMES, TIMES)
    clusters = tuple(ClusterLoad(name, "r", 50, 0.5, 10_000, 0.41, 0.62) for name in NAMES)
    return LoadResult(
        stack="rehearsal",
        load=Load(10, 10),
        cluster="gke-west",
        region="europe-west3",
        address="10.156.0.7",
        image="vllm/vllm-openai:v0.8.5",
        mode="CUSTOM_METRICS",
        target=0.6,
        report=report,
        errors=(),
        clusters=clusters,
        timeline=tuple(timeline),
        failure=failure,
        log=() if failure is None else ("RuntimeError: no",),
    )


LONG = [point(t, (0, 0)) for t in range(3)] + [point(t, (30, 10)) for t in range(3, 60)] + [point(60, (0, 0))]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("unicode", [True, False])
def test_a_test_fits_the_terminal(width: int, unicode: bool) -> None:
    lines = list(load_lines(result(LONG), Style(width=width, unicode=unicode)))
    assert max(map(len, lines)) <= width
    assert any("75 %" in line and "25 %" in line for line in lines)
    assert "100 of 100 answered in 12.5 s" in "\n".join(lines)
    if not unicode:
        assert "\n".join(lines).isascii()


def test_of_many_clusters_the_busiest_are_drawn() -> None:
    names = [f"gke-{number}" for number in range(6)]
    points = tuple(ClusterPoint(name, number, number / 15, 0.1, 1, 0) for number, name in enumerate(names))
    clusters = tuple(ClusterLoad(name, "r", number, 0.1, 1, 0.1, 0.1) for number, name in enumerate(names))
    lines = list(picture(replace(result([Point(1, 1, points)]), clusters=clusters), Style()))
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["gke-3", "gke-4", "gke-5"]
    assert "33 %" in lines[2] and "3 clusters with fewer requests are not drawn" in lines


def test_the_picture_begins_and_ends_with_traffic_and_has_few_rows() -> None:
    rows = list(merged(LONG, 20))
    assert len(rows) <= 20
    assert sum(row.requests for row in rows) == 57 * 40
    assert rows[0].clusters[0].share == 0.75
    assert rows[-1].t_s == 57, "counted from the first request"


def test_without_traffic_there_is_no_picture() -> None:
    assert list(picture(result(LONG[:2]), Style())) == ["no request reached a model server"]


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "     │    "), (0.6, "█████│    "), (1.0, "█████│████"), (7.0, "█████│████")]
)
def test_a_bar_has_the_target_in_it(value: float, shown: str) -> None:
    assert bar(value, 10, Style(), target=0.5) == shown


def test_unknown_is_no_bar_and_a_question_mark() -> None:
    assert bar(None, 4, Style()) == "    "
    assert "gke-east 0 % (KV ?)" in moment(point(3, (4, 0), (0.5, None)))


def test_the_clients_trial_request_is_told_where_more_came_than_were_sent() -> None:
    assert "trial request" not in "\n".join(load_lines(result(LONG), Style()))
    more = replace(result(LONG), clusters=(ClusterLoad("gke-west", "r", 101, 1.0, 10_000, 0.41, 0.62),))
    assert "1 more came to the model servers than was sent: the client's trial request" in "\n".join(
        load_lines(more, Style())
    )


def test_a_failed_test_says_why_and_shows_the_log() -> None:
    text = "\n".join(load_lines(result(successful=None, failure="Job has reached the backoff limit"), Style()))
    assert "no report: Job has reached the backoff limit" in text
    assert "RuntimeError: no" in text


def test_lost_requests_are_told() -> None:
    text = "\n".join(load_lines(result(LONG, successful=97), Style()))
    assert "✗ 97 of 100 answered in 12.5 s, 3 lost" in text


def drilled(moved_s: float | None, *, lost: int = 0, restored: bool = True) -> DrillResult:
    load = result(LONG, successful=100 - lost)
    return DrillResult("rehearsal", "us-east4", 100, lost, 2.0, 0.25, 1.0, moved_s, 1.5, 60.0, restored, load)


def test_a_drill_tells_what_it_measured() -> None:
    lines = list(drill_lines(drilled(3.5), Style()))
    text = " ".join(" ".join(lines).split())
    assert "✓ 100 requests sent, 0 lost" in text
    assert "2 of 100 waited longer for a first token than any request before the drain (250 ms" in text
    assert "3.5 s after the drain began the last request reached it; drained for 60 s" in text
    assert "1.5 s until requests came back" in text
    assert max(map(len, lines)) <= 80


def test_a_drill_after_which_nothing_came_says_so_in_a_sentence() -> None:
    text = " ".join(" ".join(drill_lines(drilled(0.0), Style())).split())
    assert "no request reached us-east4 while it was drained (60 s)" in text


def test_a_drill_that_moved_nothing_or_was_not_restored_says_what_to_do() -> None:
    assert "--seconds 600" in "\n".join(drill_lines(drilled(None), Style()))
    assert "mcig apply rehearsal --only backend-policy" in "\n".join(drill_lines(drilled(1, restored=False), Style()))
    assert "✗ 100 requests sent, 4 lost" in "\n".join(drill_lines(drilled(1, lost=4), Style()))
