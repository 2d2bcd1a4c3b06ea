"""A model server's metrics page, read for the few series that a monitor shows.

Why not prometheus_client: its parser takes 12 ms a page and a monitor reads a hundred pages a second. Invariant: what
is not a finite number on the page is not in the reading; nothing is guessed and nothing counts as zero.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

RUNNING = "vllm:num_requests_running"
WAITING = "vllm:num_requests_waiting"
CACHES = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")
"""Names of the KV cache's use, the newer first; one page has one or both."""
GENERATED = "vllm:generation_tokens_total"
FINISHED = "vllm:request_success_total"
PREEMPTED = "vllm:num_preemptions_total"
TTFT = "vllm:time_to_first_token_seconds_bucket"
BETWEEN = ("vllm:inter_token_latency_seconds_bucket", "vllm:time_per_output_token_seconds_bucket")
"""Buckets of the time between two tokens, the newer name first."""
ADAPTERS = "vllm:lora_requests_info"

_GAUGES = (RUNNING, WAITING, *CACHES)
_COUNTERS = (GENERATED, FINISHED, PREEMPTED)
_WANTED = (*_GAUGES, *_COUNTERS, TTFT, *BETWEEN, ADAPTERS)
_LABELS = r'(?:\{((?:[^"}\n]|"(?:[^"\\\n]|\\.)*")*)\})?'
_LINE = re.compile(rf"^({'|'.join(map(re.escape, _WANTED))}){_LABELS}[ \t]+(\S+)", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}
_ESCAPED = re.compile(r'\\[\\"n]')


@dataclass(frozen=True, slots=True)
class Page:
    """What one page says."""

    gauges: Mapping[str, float] = field(default_factory=dict)
    """Series -> value, of several label sets their sum."""
    counters: Mapping[str, float] = field(default_factory=dict)
    buckets: Mapping[str, Mapping[float, float]] = field(default_factory=dict)
    """Histogram -> upper bound in seconds -> how many were at most that, since the server's start."""
    adapters: tuple[str, ...] = ()
    """Adapters that answer requests now."""

    @property
    def kv_cache(self) -> float | None:
        """The KV cache's use, 0..1; None where the page has no such series."""
        return next((self.gauges[name] for name in CACHES if name in self.gauges), None)


def read(text: str) -> Page:
    """Read a page; lines that are not of Prometheus' text format are passed over, and a last one that was cut off."""
    text = text[: text.rfind("\n") + 1]
    gauges: dict[str, float] = {}
    counters: dict[str, float] = {}
    buckets: dict[str, dict[float, float]] = {}
    newest, adapters = -math.inf, ""
    for name, labels, number in _LINE.findall(text):
        value = _number(number)
        if value is None:
            continue
        if name in _GAUGES:
            gauges[name] = gauges.get(name, 0.0) + value
        elif name in _COUNTERS:
            counters[name] = counters.get(name, 0.0) + value
        elif name == ADAPTERS:
            if value > newest:
                newest, adapters = value, _labels(labels).get("running_lora_adapters", "")
        else:
            bound = _bound(labels)
            if bound is not None:
                histogram = buckets.setdefault(name, {})
                histogram[bound] = histogram.get(bound, 0.0) + value
    return Page(gauges, counters, buckets, tuple(each for each in adapters.split(",") if each))


def quantile(share: float, buckets: Mapping[float, float]) -> float | None:
    """The time in seconds that this share of the observations did not exceed, as Prometheus estimates it.

    None without an observation, or where only the last, unbounded bucket tells.
    """
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0.0
    if total <= 0:
        return None
    rank, below, lower = share * total, 0.0, 0.0
    for bound in bounds:
        count = buckets[bound]
        if count >= rank and count > below:
            return None if math.isinf(bound) and lower == 0 else _within(lower, bound, rank, below, count)
        below, lower = count, bound
    return None


def added(before: Mapping[float, float], after: Mapping[float, float]) -> dict[float, float]:
    """What a histogram gained; one that lost something has started anew, and all that it has is new."""
    if any(after.get(bound, 0.0) < count for bound, count in before.items()):
        return dict(after)
    return {bound: count - before.get(bound, 0.0) for bound, count in after.items()}


def summed(histograms: Sequence[Mapping[float, float]]) -> dict[float, float]:
    """Several histograms of the same bounds as one."""
    total: dict[float, float] = {}
    for each in histograms:
        for bound, count in each.items():
            total[bound] = total.get(bound, 0.0) + count
    return total


def _within(lower: float, bound: float, rank: float, below: float, count: float) -> float:
    if math.isinf(bound):
        return lower
    return lower + (bound - lower) * (rank - below) / (count - below)


def _number(text: str, *, infinite: bool = False) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    if math.isnan(value) or (math.isinf(value) and not infinite):
        return None
    return value


@lru_cache(4096)
def _bound(labels: str) -> float | None:
    """Upper bound of a bucket; the same labels come with every page of a Pod, and all pages share one number."""
    return _number(_labels(labels).get("le", ""), infinite=True)


def _labels(text: str) -> dict[str, str]:
    return {name: _ESCAPED.sub(lambda found: _ESCAPES[found[0]], value) for name, value in _LABEL.findall(text)}
