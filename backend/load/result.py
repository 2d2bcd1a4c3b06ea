"""What a load test showed, as data.

Invariant: unknown is None; shares are fractions 0..1 of the requests that came to the stack's Pods, other people's
among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from backend.load.job import Load
from backend.load.report import Report


@dataclass(frozen=True, slots=True)
class ClusterPoint:
    """One cluster at one moment."""

    name: str
    requests: float
    """Requests that came since the point before."""
    share: float | None
    """Of all that came; None while none came."""
    kv_cache: float | None
    running: float | None
    waiting: float | None
    reason: str | None = None
    """Why nothing is known of it."""


@dataclass(frozen=True, slots=True)
class Point:
    """One look at all clusters."""

    t_s: float
    """Seconds since the load's Pod began."""
    seconds: float
    """Seconds since the point before."""
    clusters: tuple[ClusterPoint, ...]

    @property
    def requests(self) -> float:
        """Requests that came since the point before."""
        return sum(each.requests for each in self.clusters)


@dataclass(frozen=True, slots=True)
class ClusterLoad:
    """What one cluster had of the whole test."""

    name: str
    region: str
    requests: float
    share: float | None
    tokens: float
    """Generated tokens."""
    kv_cache_mean: float | None
    """Over the points at which requests came."""
    kv_cache_peak: float | None


@dataclass(frozen=True, slots=True)
class LoadResult:
    """A load test from its wish to its end."""

    stack: str
    load: Load
    cluster: str
    """Where the requests came from."""
    region: str
    address: str
    """The gateway's address that they went to."""
    image: str
    mode: str
    target: float | None
    """KV-cache use 0..1 at which the policy spills over; None in another mode."""
    report: Report | None
    errors: tuple[str, ...]
    clusters: tuple[ClusterLoad, ...]
    timeline: tuple[Point, ...]
    failure: str | None = None
    """Why the test did not come to its end."""
    log: tuple[str, ...] = ()
    """The last lines of the client's log where there is no report."""

    @property
    def lost(self) -> int | None:
        """Requests without an answer; None without a report."""
        if self.report is None:
            return None
        return self.load.requests - self.report.successful if self.report.failed is None else self.report.failed

    @property
    def ok(self) -> bool:
        """Whether the test came to its end and something was answered."""
        return self.failure is None and self.report is not None and self.report.successful > 0

    def to_json(self) -> dict[str, Any]:
        """The document of ``mcig load --json``: the wish, ``report`` as the client saw it, and what came to clusters.

        ``region`` and ``address`` are where the requests went, ``cluster`` is where they came from.
        """
        found = asdict(self)
        wish = found.pop("load")
        return {
            "stack": found.pop("stack"),
            **wish,
            "requests": self.load.requests,
            "lost": self.lost,
            **found,
        } | {"region": self.region}


def totals(
    clusters: Iterable[tuple[str, str]], arrived: Sequence[float], tokens: Sequence[float], timeline: Sequence[Point]
) -> tuple[ClusterLoad, ...]:
    """Sum up clusters, each given by name and region."""
    busy = [point for point in timeline if point.requests > 0]
    whole = sum(arrived)
    found = []
    for index, (name, region) in enumerate(clusters):
        caches = [value for point in busy if (value := point.clusters[index].kv_cache) is not None]
        found.append(
            ClusterLoad(
                name,
                region,
                arrived[index],
                arrived[index] / whole if whole > 0 else None,
                tokens[index],
                sum(caches) / len(caches) if caches else None,
                max(caches, default=None),
            )
        )
    return tuple(found)
