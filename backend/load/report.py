"""What ``vllm bench serve`` prints at its end, read from a log.

Invariant: a log without the report's table, or with one that breaks off before its figures, has no report; a figure
that is not on it, or is not a finite number, is None and never zero. Versions differ: some name failed requests, some
spell "Total token throughput" otherwise, some print more percentiles.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

HEAD = re.compile(r"^=+ *Serving Benchmark Result *=+ *$", re.MULTILINE)
_FIGURE = re.compile(r"^([A-Z][^:\n]*?): +(\S+) *$", re.MULTILINE)
_ERROR = re.compile(r"^[Ee]rror(?: \d+)?: (.+)$", re.MULTILINE)
ERRORS_TOLD = 5
_CAUSES = (
    ("Failed to infer device type", "this version of vLLM's client does not start on a node without a GPU"),
    ("gated repo", "the Hugging Face token may not read the model's tokenizer"),
    ("401 Client Error", "the Hugging Face token is not accepted"),
    ("unrecognized arguments", "this version of vLLM's client does not know an argument"),
    ("invalid choice: 'bench'", "this version of vLLM has no client for load tests"),
    ("Initial test run failed", "the gateway did not answer the first request"),
)
"""What a client's log holds when it fails, and what that means; the first that is found counts."""


@dataclass(frozen=True, slots=True)
class Latency:
    """One kind of time over all answered requests, in seconds."""

    mean_s: float | None
    p50_s: float | None
    p99_s: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one load test, as the client saw them."""

    successful: int
    failed: int | None
    """None where the client's version does not say."""
    duration_s: float
    prompt_tokens: int | None
    generated_tokens: int | None
    requests_per_s: float | None
    tokens_per_s: float | None
    """Generated tokens a second."""
    ttft: Latency
    """Time to the first token."""
    per_token: Latency
    """Time per token after the first, each request's mean."""
    inter_token: Latency
    """Time between two tokens."""

    def to_json(self) -> dict[str, Any]:
        """The object ``report`` of ``mcig load --json``."""
        return asdict(self)


def parse(log: str) -> Report | None:
    """Read the last report of a log; None when there is none that is whole."""
    heads = list(HEAD.finditer(log))
    if not heads:
        return None
    figures = {name.lower(): text for name, text in _FIGURE.findall(log[heads[-1].end() :])}
    successful, duration = _count(figures, "successful requests"), _number(figures, "benchmark duration (s)")
    if successful is None or duration is None:
        return None
    return Report(
        successful=successful,
        failed=_count(figures, "failed requests"),
        duration_s=duration,
        prompt_tokens=_count(figures, "total input tokens"),
        generated_tokens=_count(figures, "total generated tokens"),
        requests_per_s=_number(figures, "request throughput (req/s)"),
        tokens_per_s=_number(figures, "output token throughput (tok/s)"),
        ttft=_latency(figures, "ttft"),
        per_token=_latency(figures, "tpot"),
        inter_token=_latency(figures, "itl"),
    )


def errors(log: str) -> tuple[str, ...]:
    """What the client says of requests that failed: the first few different sentences."""
    return tuple(dict.fromkeys(text.strip() for text in _ERROR.findall(log)))[:ERRORS_TOLD]


def cause(log: str) -> str | None:
    """Why a client failed, as far as its log tells."""
    return next((meaning for sign, meaning in _CAUSES if sign in log), None)


def _latency(figures: Mapping[str, str], name: str) -> Latency:
    found = [_number(figures, f"{kind} {name} (ms)") for kind in ("mean", "median", "p99")]
    return Latency(*(None if value is None else value / 1000 for value in found))


def _number(figures: Mapping[str, str], name: str) -> float | None:
    try:
        value = float(figures[name])
    except (KeyError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _count(figures: Mapping[str, str], name: str) -> int | None:
    value = _number(figures, name)
    return None if value is None else int(value)
