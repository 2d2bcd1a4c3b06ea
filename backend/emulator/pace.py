"""How long the emulated cloud takes for each thing it does.

The figures are the medians and 90th percentiles seen or estimated for the real cloud. A sample depends on the seed,
on what is done and on what it is done to, and on nothing else: the same rehearsal takes the same time whatever the
order of its requests.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from statistics import NormalDist

_Z90 = NormalDist().inv_cdf(0.9)
_FURTHEST = 2.5

DURATIONS: dict[str, tuple[float, float]] = {
    "services.enable": (25, 90),
    "quota.grant": (60, 600),
    "subnet.create": (15, 40),
    "subnet.delete": (20, 45),
    "cluster.create": (480, 1200),
    "cluster.update": (180, 420),
    "cluster.delete": (360, 480),
    "node-pool.create": (300, 540),
    "node-pool.delete": (270, 360),
    "node-pool.stockout-seen": (30, 40),
    "node-pool.stockout": (2100, 2220),
    "node-pool.scale-down": (600, 660),
    "membership.create": (25, 70),
    "membership.delete": (20, 45),
    "feature.create": (10, 25),
    "feature.delete": (20, 45),
    "gatewayclass": (60, 455),
    "model-server.start": (225, 480),
    "pod.start": (15, 40),
    "import": (60, 360),
    "gateway.program": (360, 720),
    "gateway.healthy": (60, 180),
    "gateway.delete": (180, 300),
    "policy.attach": (10, 30),
    "address": (20, 60),
}
"""Median and 90th percentile in seconds of each thing the real cloud does."""


@dataclass(frozen=True, slots=True)
class Pace:
    """A log-normal duration for each thing, seeded, played `speed` times faster."""

    seed: int = 7
    """Seed of every sample."""
    speed: float = math.inf
    """How many times faster than the real cloud; infinite means that nothing takes any time."""
    jitter: float = 1.0
    """Scale of the spread: 0 gives the median always, 1 the spread of the table."""

    def __post_init__(self) -> None:
        if not self.speed > 0:
            raise ValueError(f"speed must be greater than 0, not {self.speed}")
        if not 0 <= self.jitter < math.inf:
            raise ValueError(f"jitter must be 0 or more, not {self.jitter}")

    def played(self, seconds: float) -> float:
        """Seconds of wall clock that so many real seconds take; none at infinite speed."""
        return seconds / self.speed

    def seconds(self, what: str, key: str) -> float:
        """Seconds of wall clock that `what` takes on `key`; raises KeyError for a `what` that the table lacks."""
        median, p90 = DURATIONS[what]
        if math.isinf(self.speed):
            return 0.0
        uniform = random.Random(f"{self.seed}/{what}/{key}").uniform(1e-9, 1 - 1e-9)
        deviation = max(-_FURTHEST, min(_FURTHEST, NormalDist().inv_cdf(uniform)))
        sigma = math.log(p90 / median) / _Z90
        return median * math.exp(self.jitter * sigma * deviation) / self.speed
