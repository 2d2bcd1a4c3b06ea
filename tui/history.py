"""What was seen of a stack's traffic, kept as series for charts.

Invariant: memory is bounded, also for a thousand Pods over a day; what was not known at a time is a gap there.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui import monitor_text

if TYPE_CHECKING:
    from backend.monitor import ClusterSnapshot, PodSnapshot, Snapshot

LONGEST_S = 3600.0
"""Seconds that are kept."""
POD_POINTS = 450
"""Points that are kept of a Pod, which are 15 minutes of looks every two seconds."""
_SLACK = 64
"""Points over the limit before the oldest are dropped, all at once."""

Points = Sequence[tuple[float, float | None]]


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure that can be charted."""

    name: str
    title: str
    of: Callable[[ClusterSnapshot], float | None]
    spell: Callable[[float | None], str]
    top: float | None = None
    """Upper end of the axis; None where it follows the figures."""


MEASURES: Mapping[str, Measure] = {
    one.name: one
    for one in (
        Measure("kv", "KV cache in use", lambda seen: seen.kv_cache, monitor_text.percent, 1.0),
        Measure("share", "Share of traffic", lambda seen: seen.share, monitor_text.percent, 1.0),
        Measure("requests", "Requests a second", lambda seen: seen.requests_per_s, monitor_text.count),
        Measure("waiting", "Requests waiting", lambda seen: seen.waiting, monitor_text.count),
        Measure("ttft", "Time to first token, p95", lambda seen: seen.ttft_p95_s, monitor_text.latency),
    )
}
"""What the chart can show, in the order of its key."""


class Series:
    """One figure over time; times are seconds since the epoch."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._times = array("d")
        self._values = array("f")

    def add(self, at: float, value: float | None) -> None:
        """Add what was seen."""
        self._times.append(at)
        self._values.append(math.nan if value is None else value)
        if len(self._times) > self._most + _SLACK:
            del self._times[: -self._most], self._values[: -self._most]

    def since(self, at: float) -> list[tuple[float, float | None]]:
        """The points from a time on, and the one before it."""
        first = len(self._times)
        while first > 0 and self._times[first - 1] >= at:
            first -= 1
        first = max(0, first - 1)
        return [
            (time, None if math.isnan(value) else value)
            for time, value in zip(self._times[first:], self._values[first:], strict=True)
        ]

    def latest(self, count: int) -> list[float | None]:
        """The last so many values, the newest last."""
        return [None if math.isnan(value) else value for value in self._values[-count:]]


class History:
    """Series of every cluster, and of every Pod's KV cache."""

    def __init__(self, every_s: float = 2.0) -> None:
        self._most = max(60, round(LONGEST_S / every_s))
        self._clusters: dict[tuple[str, str], Series] = {}
        self._pods: dict[tuple[str, str], Series] = {}

    def take(self, snapshot: Snapshot) -> None:
        """Add a snapshot; Pods that are gone are forgotten, and those of a cluster that cannot be seen are unknown."""
        at = snapshot.at.timestamp()
        for cluster in snapshot.clusters:
            for measure in MEASURES.values():
                self.of(cluster.name, measure.name).add(at, measure.of(cluster))
            for pod in cluster.pods:
                self.of_pod(cluster.name, pod).add(at, pod.kv_cache)
        seen = {cluster.name: {pod.name for pod in cluster.pods} for cluster in snapshot.clusters if not cluster.reason}
        for (name, _), series in self._pods.items():
            if name not in seen:
                series.add(at, None)
        for key in [key for key in self._pods if key[0] in seen and key[1] not in seen[key[0]]]:
            del self._pods[key]

    def of(self, cluster: str, measure: str) -> Series:
        """A cluster's series of a measure's name."""
        return self._clusters.setdefault((cluster, measure), Series(self._most))

    def of_pod(self, cluster: str, pod: PodSnapshot) -> Series:
        """A Pod's series of its KV cache's use."""
        return self._pods.setdefault((cluster, pod.name), Series(min(POD_POINTS, self._most)))
