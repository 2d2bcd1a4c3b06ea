"""How long things take, as a spread and not as one number.

A duration is log-normal: its median and its 90th percentile say all of it. Along a path durations add up in mean and
variance, and the sum is again taken for log-normal; of several paths that meet, the one with the latest 90th percentile
counts. Invariants: a 90th percentile is never below its median and never above the sum of all 90th percentiles, which
would need everything to go badly at once. Two errors remain, against each other: tails as long as a controller's make
the sum up to a tenth too late, and the later of two regions is later than either, which is not counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TypeVar

Name = TypeVar("Name", bound=str)

_STANDARD = NormalDist()
_Z90 = _STANDARD.inv_cdf(0.9)
_NEGLIGIBLE_S = 1e-6


@dataclass(frozen=True, slots=True)
class Duration:
    """A spread of seconds."""

    p50_s: float
    """Median."""
    p90_s: float
    """Nine of ten are shorter; equal to the median where no spread is known."""

    def __post_init__(self) -> None:
        if not 0 <= self.p50_s <= self.p90_s < math.inf:
            raise ValueError(f"not a duration: median {self.p50_s}, 90th percentile {self.p90_s}")

    @property
    def sigma(self) -> float:
        """Standard deviation of the logarithm."""
        return math.log(self.p90_s / self.p50_s) / _Z90 if self.p50_s else 0.0

    @property
    def mean_s(self) -> float:
        """Mean in seconds, which the slow ones pull above the median."""
        return self.p50_s * math.exp(self.sigma**2 / 2)

    @property
    def variance(self) -> float:
        """Variance in square seconds."""
        return math.expm1(self.sigma**2) * self.mean_s**2

    def left(self, gone_s: float) -> Duration:
        """What is left to wait when it has already lasted ``gone_s`` seconds and is not over."""
        if not self.p50_s or gone_s <= 0:
            return self
        if not self.sigma:
            return Duration(max(self.p50_s - gone_s, 0.0), max(self.p90_s - gone_s, 0.0))
        log = NormalDist(math.log(self.p50_s), self.sigma)
        over = min(log.cdf(math.log(gone_s)), 1 - 1e-9)
        low, high = (math.exp(log.inv_cdf(over + share * (1 - over))) - gone_s for share in (0.5, 0.9))
        return Duration(max(low, 0.0), max(high, low, 0.0))

    def scaled(self, factor: float) -> Duration:
        """The same spread, so many times as long."""
        return Duration(self.p50_s * factor, self.p90_s * factor)


NOTHING = Duration(0.0, 0.0)


def log_normal(p50_s: float, sigma: float) -> Duration:
    """The duration with a median and a standard deviation of its logarithm."""
    return Duration(p50_s, p50_s * math.exp(_Z90 * sigma))


def last_end(own: Mapping[Name, Duration], after: Mapping[Name, Iterable[Name]]) -> Duration:
    """When the last of several steps ends; ``own`` has them in an order in which they could be carried out.

    ``after`` says for each what must have ended before; names that ``own`` lacks are over already. The median is the
    longest path of medians.
    """
    ends: dict[Name, _Path] = {}
    for name, duration in own.items():
        before = [ends[other] for other in after.get(name, ()) if other in ends]
        path = max(before, key=_Path.p90_s, default=_Path()).then(duration)
        ends[name] = replace(path, median_s=duration.p50_s + max((end.median_s for end in before), default=0.0))
    median = max((end.median_s for end in ends.values()), default=0.0)
    return Duration(median, max([median, *(end.p90_s() for end in ends.values())]))


@dataclass(frozen=True, slots=True)
class _Path:
    """Steps one after the other."""

    median_s: float = 0.0
    mean_s: float = 0.0
    variance: float = 0.0
    worst_s: float = 0.0
    """Sum of the 90th percentiles."""

    def then(self, step: Duration) -> _Path:
        return _Path(
            self.median_s + step.p50_s,
            self.mean_s + step.mean_s,
            self.variance + step.variance,
            self.worst_s + step.p90_s,
        )

    def p90_s(self) -> float:
        """90th percentile of the log-normal with this mean and variance (Fenton-Wilkinson)."""
        if self.mean_s < _NEGLIGIBLE_S:
            return self.worst_s
        spread = math.log1p(self.variance / self.mean_s**2)
        return min(self.mean_s * math.exp(_Z90 * math.sqrt(spread) - spread / 2), self.worst_s)
