"""The rows of the fleet's table: every cluster, and below it its Pods.

Pure. Invariant: a row that cannot be read says why in the place of its figures.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui.history import History
from tui.monitor_text import count, latency, percent, ready, short

if TYPE_CHECKING:
    from backend.monitor import ClusterSnapshot, PodSnapshot, Snapshot

SPARKS = "▁▂▃▄▅▆▇█"
ROOMY = 108
"""Columns from which the table shows all that it can."""

Piece = tuple[str, str]
"""Text, and the name of its style; an empty one for plain text."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line."""

    cluster: str
    pod: str | None
    """None on a cluster's own line."""
    pieces: tuple[Piece, ...]

    @property
    def key(self) -> tuple[str, str | None]:
        """What tells rows apart from look to look."""
        return self.cluster, self.pod


@dataclass(frozen=True, slots=True)
class Column:
    """One column of figures."""

    heading: str
    width: int
    of: Callable[[ClusterSnapshot | PodSnapshot], str]


def _share(seen: ClusterSnapshot | PodSnapshot) -> str:
    return percent(seen.share) if hasattr(seen, "share") else ""


NARROW = (
    Column("run", 5, lambda seen: count(seen.running)),
    Column("wait", 6, lambda seen: count(seen.waiting)),
    Column("share", 6, _share),
    Column("tok/s", 7, lambda seen: count(seen.tokens_per_s)),
    Column("TTFT", 8, lambda seen: latency(seen.ttft_p50_s)),
    Column("p95", 8, lambda seen: latency(seen.ttft_p95_s)),
)
WIDE = (
    Column("running", 8, lambda seen: count(seen.running)),
    Column("waiting", 8, lambda seen: count(seen.waiting)),
    Column("share", 7, _share),
    Column("req/s", 7, lambda seen: count(seen.requests_per_s)),
    Column("tok/s", 8, lambda seen: count(seen.tokens_per_s)),
    Column("TTFT p50", 10, lambda seen: latency(seen.ttft_p50_s)),
    Column("p95", 8, lambda seen: latency(seen.ttft_p95_s)),
    Column("per token", 10, lambda seen: latency(seen.inter_token_p50_s)),
)
SORTS: Mapping[str, Callable[[ClusterSnapshot | PodSnapshot], float] | None] = {
    "name": None,
    "KV cache": lambda seen: -_known(seen.kv_cache),
    "requests": lambda seen: -_known(seen.requests_per_s),
    "waiting": lambda seen: -_known(seen.waiting),
    "TTFT": lambda seen: -_known(seen.ttft_p95_s),
}
"""What rows can be sorted by, in the order of the key; the fullest and the slowest first, what is unknown last."""


def heading(width: int) -> str:
    """The line above the rows."""
    columns, spark, name = _layout(width)
    return f"{'  cluster, Pod':<{name}}{'ready':>7}  {'KV cache':<{spark + 5}}" + "".join(
        f"{column.heading:>{column.width}}" for column in columns
    )


def rows(
    snapshot: Snapshot,
    history: History,
    width: int,
    *,
    sort: str = "name",
    folded: Collection[str] = (),
    only: str | None = None,
) -> Iterator[Row]:
    """All rows; Pods of folded clusters left out, and other clusters than ``only``."""
    key = SORTS[sort]
    clusters: Sequence[ClusterSnapshot] = snapshot.clusters
    if key is not None:
        clusters = sorted(clusters, key=key)
    for cluster in clusters:
        if only is not None and cluster.name != only:
            continue
        values = history.of(cluster.name, "kv").latest(_layout(width)[1])
        fold = cluster.name in folded
        yield Row(cluster.name, None, _cluster(cluster, values, snapshot.gateway.target, width, fold))
        if fold:
            continue
        for pod in cluster.pods if key is None else sorted(cluster.pods, key=key):
            values = history.of_pod(cluster.name, pod).latest(_layout(width)[1])
            yield Row(cluster.name, pod.name, _pod(pod, values, snapshot.gateway.target, width))


def sign(cluster: ClusterSnapshot) -> Piece:
    """How a cluster is, as a sign and the name of its style; the word is the count of Pods beside it."""
    if cluster.reason is not None or cluster.wanted is None:
        return "?", "unknown"
    if cluster.ready >= max(cluster.wanted, 1):
        return "✓", "good"
    return ("▲", "warn") if cluster.ready else ("✗", "bad")


def spark(values: Sequence[float | None], width: int) -> str:
    """Values 0..1 as a line of bars, the newest at the right.

    >>> spark([0.0, 0.5, None, 1.0], 5)
    ' ▁▅ █'
    """
    drawn = "".join(" " if value is None else SPARKS[min(7, max(0, int(value * 8)))] for value in values)
    return f"{drawn[-width:]:>{width}}"


def _layout(width: int) -> tuple[tuple[Column, ...], int, int]:
    """Columns of figures, and how wide the sparkline and the name are."""
    columns = WIDE if width >= ROOMY else NARROW
    line = 12 if width >= ROOMY else 7
    return columns, line, max(12, width - sum(column.width for column in columns) - line - 5 - 9)


def _cluster(
    cluster: ClusterSnapshot, values: Sequence[float | None], target: float | None, width: int, fold: bool
) -> tuple[Piece, ...]:
    glyph, style = sign(cluster)
    name = _layout(width)[2]
    title = cluster.name if len(cluster.name) + 4 <= name else short(cluster.name, name - 4)
    region = f" {cluster.region}" if len(title) + len(cluster.region) + 5 <= name else ""
    head: tuple[Piece, ...] = ((f"{glyph} ", style), (title, "cluster"), (region, "quiet"))
    closed = " +" if fold and len(title) + len(region) + 4 <= name else ""
    left = name - 2 - len(title) - len(region) - len(closed)
    head = (*head, (closed + " " * max(left, 0), "quiet"))
    if cluster.reason is not None:
        return (*head, (f"  unknown: {cluster.reason}", "unknown"))
    return (*head, (f"{ready(cluster):>7}  ", style), *_figures(cluster, values, target, width))


def _pod(pod: PodSnapshot, values: Sequence[float | None], target: float | None, width: int) -> tuple[Piece, ...]:
    name = _layout(width)[2]
    head = (f"    {short(pod.name, name - 5):<{name - 4}}", "quiet")
    if pod.phase != "Running":
        bad = pod.phase not in {"Pending", "ContainerCreating", "PodInitializing", "Terminating", "Succeeded"}
        told = f"{'✗' if bad else '…'} {pod.phase}" + (f", restarted {pod.restarts} times" if pod.restarts else "")
        return head, (f"  {told}", "bad" if bad else "warn")
    if pod.reason is not None and pod.running is None:
        return head, (f"  ? {pod.reason}", "unknown")
    state = ("  ready  ", "quiet") if pod.ready else ("not yet  ", "warn")
    return head, state, *_figures(pod, values, target, width)


def _figures(
    seen: ClusterSnapshot | PodSnapshot, values: Sequence[float | None], target: float | None, width: int
) -> tuple[Piece, ...]:
    columns, length, _ = _layout(width)
    full = seen.kv_cache is not None and target is not None and seen.kv_cache >= target - 0.01
    cache = percent(seen.kv_cache)
    return (
        (spark(values, length), "line"),
        (f"{cache:>5}", "full" if full else ""),
        ("".join(f"{column.of(seen):>{column.width}}" for column in columns), ""),
    )


def _known(value: float | None) -> float:
    return float("-inf") if value is None else value
