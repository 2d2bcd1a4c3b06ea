"""Which region takes a request, and which of its Pods: pure functions of what is known of their load.

Two tiers, as on Google Cloud. The load balancer fills the nearest region to what the policy in force allows, then the
next nearest (WATERFALL_BY_REGION); the endpoint picker of the cluster there chooses the Pod by queue, KV cache and
prefix, and drops requests of a negative priority while all its Pods are saturated. Invariant: a region without data
for the policy's metric counts as empty, so balancing is blind there and the nearest region gets everything, as on the
real one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

SATURATED_QUEUE = 5
"""Waiting requests from which a Pod is saturated (the endpoint picker's default)."""
SATURATED_CACHE = 0.8
"""KV-cache use, a fraction, from which a Pod is saturated (the endpoint picker's default)."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """A metric that the policy balances by: where a Pod shows it, its series, and how full is full."""

    port: int
    """Loopback port of the Pod's metric page."""
    path: str
    series: str
    target: float
    """The policy's maximum utilisation as a fraction 0..1."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the policies in force say of one backend."""

    mode: str = "RATE"
    gauges: tuple[Gauge, ...] = ()
    max_in_flight: float | None = None
    """Requests under way that one endpoint may have, for IN_FLIGHT."""
    max_rate: float | None = None
    """Requests per second that one endpoint may get, for RATE."""
    scaler: float = 1.0
    """Share of the capacity that counts, 0..1; 0 drains."""
    preferred: bool = False
    """Filled before backends that are not."""


@dataclass(frozen=True, slots=True)
class PodLoad:
    """What is known of one Pod; fractions 0..1, None where nothing is known."""

    address: str
    """host:port on loopback."""
    cluster: str
    region: str
    terms: Terms
    in_flight: float = 0
    rate: float = 0
    """Requests in the last second."""
    utilisation: Mapping[str, float] | None = None
    """Series -> value, of the policy's gauges."""
    waiting: float = 0
    cache: float | None = None
    prefix: float = 0
    """Share of the request's prompt whose KV blocks the Pod is believed to hold."""


def fullness(pods: Iterable[PodLoad]) -> float | None:
    """How full a region is by its policy, 1 when at the target; None without data for it."""
    found = [each for pod in pods if (each := _pod_fullness(pod)) is not None]
    return sum(found) / len(found) if found else None


def _pod_fullness(pod: PodLoad) -> float | None:
    terms = pod.terms
    if terms.mode == "CUSTOM_METRICS":
        known = pod.utilisation or {}
        shares = [_share(known[gauge.series], gauge.target, terms) for gauge in terms.gauges if gauge.series in known]
        return max(shares, default=None)
    if terms.mode == "IN_FLIGHT" and terms.max_in_flight:
        return _share(pod.in_flight, terms.max_in_flight, terms)
    if terms.mode == "RATE" and terms.max_rate:
        return _share(pod.rate, terms.max_rate, terms)
    return None


def _share(used: float, most: float, terms: Terms) -> float:
    return used / max(most * terms.scaler, 1e-6)


def region_for(order: Sequence[str], pods: Sequence[PodLoad]) -> str | None:
    """The region that takes the next request; `order` has the nearest first. None when nobody can."""
    by_region: dict[str, list[PodLoad]] = {}
    for pod in pods:
        if pod.terms.scaler > 0:
            by_region.setdefault(pod.region, []).append(pod)
    ordered = sorted(
        (region for region in order if region in by_region),
        key=lambda region: not any(pod.terms.preferred for pod in by_region[region]),
    )
    full: list[tuple[float, str]] = []
    for region in ordered:
        share = fullness(by_region[region])
        if share is None or share < 1:
            return region
        full.append((share, region))
    return min(full, key=lambda each: each[0])[1] if full else None


def saturated(pods: Iterable[PodLoad]) -> bool:
    """Whether every Pod has a queue or a full KV cache."""
    return all(pod.waiting >= SATURATED_QUEUE or (pod.cache or 0) >= SATURATED_CACHE for pod in pods)


def ranked(pods: Sequence[PodLoad]) -> list[PodLoad]:
    """The Pods of one cluster, the best for the request first: short queue, free KV cache, known prefix."""
    queues = [pod.waiting for pod in pods]
    low, high = min(queues, default=0), max(queues, default=0)

    def score(pod: PodLoad) -> tuple[float, float, str]:
        queue = (high - pod.waiting) / (high - low) if high > low else 1.0
        return -(queue + 1 - (pod.cache or 0.0) + pod.prefix), pod.in_flight, pod.address

    return sorted(pods, key=score)
