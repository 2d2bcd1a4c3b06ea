"""The monitor's chart as data: a line a cluster, or a line a Pod of one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.history import MEASURES, History, Points
from tui.widgets.chart import COLOURS, Line, Picture, axis

if TYPE_CHECKING:
    from backend.monitor import Snapshot

MOST_LINES = 8
"""Lines of one chart; the fullest are shown."""
_ROWS = 8
_FEW_LOOKS = 4
"""Looks that may be missing before a line has a gap."""


def picture(
    snapshot: Snapshot, history: History, measure: str, *, window_s: float, every_s: float, only: str | None
) -> Picture:
    """What the chart shows; with ``only`` the KV cache of that cluster's Pods."""
    what = MEASURES[measure if only is None else "kv"]
    end = snapshot.at.timestamp()
    lines = _clusters(snapshot, history, measure, end - window_s) if only is None else []
    if only is not None:
        cluster = next((one for one in snapshot.clusters if one.name == only), None)
        pods = sorted(cluster.pods if cluster else (), key=lambda pod: -(pod.kv_cache or 0.0))
        shown = sorted(pods[:MOST_LINES], key=lambda pod: pod.name)
        for number, pod in enumerate(shown):
            points = history.of_pod(only, pod).since(end - window_s)
            lines.append(Line(pod.name[-6:].lstrip("-"), points, what.spell(pod.kv_cache), number % COLOURS))
    top = what.top
    ticks = [0.0, 0.5, 1.0]
    if top is None:
        known = [value for one in lines for _, value in one.points if value is not None]
        top, ticks = axis(max(known, default=0.0), _ROWS)
    target = snapshot.gateway.target if what.name == "kv" else None
    title = what.title if only is None else f"{what.title}, the Pods of {only}"
    more = _left_out(snapshot, only)
    return Picture(
        f"{title}{more}" if target is None else f"{title}; traffic spills over at {what.spell(target)}{more}",
        tuple(lines),
        end - window_s,
        end,
        top,
        tuple((value, what.spell(value)) for value in ticks),
        None if target is None else (target, what.spell(target)),
        longest_gap=every_s * _FEW_LOOKS,
    )


def _clusters(snapshot: Snapshot, history: History, measure: str, begin: float) -> list[Line]:
    what = MEASURES[measure]
    named = list(enumerate(snapshot.clusters))
    if len(named) > MOST_LINES:
        named = sorted(named, key=lambda pair: -(what.of(pair[1]) or 0.0))[:MOST_LINES]
    return [
        Line(one.name, _points(history, one.name, measure, begin), what.spell(what.of(one)), number % COLOURS)
        for number, one in sorted(named, key=lambda pair: pair[0])
    ]


def _points(history: History, cluster: str, measure: str, begin: float) -> Points:
    return history.of(cluster, measure).since(begin)


def _left_out(snapshot: Snapshot, only: str | None) -> str:
    count = (
        len(snapshot.clusters) if only is None else sum(len(one.pods) for one in snapshot.clusters if one.name == only)
    )
    return f" (the {MOST_LINES} fullest of {count})" if count > MOST_LINES else ""
