"""A stack's traffic as lines of text, and how its figures are spelled everywhere.

Invariant: what is unknown is a dash with its reason, never a nought.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tui.status_text import drill_said
from tui.style import Style, duration, money

if TYPE_CHECKING:
    from backend.monitor import ClusterSnapshot, CostSnapshot, DriftSnapshot, GatewaySnapshot, PodSnapshot, Snapshot

DRAINED = "drained"
"""State of a resource that differs because a drill goes on, or was killed."""
UNKNOWN = "–"
"""What stands for a figure that is not known."""
HEADINGS = ("ready", "KV", "running", "waiting", "share", "req/s", "tok/s", "TTFT p50", "p95")
_WIDTHS = (7, 6, 8, 8, 7, 8, 8, 9, 8)


def percent(value: float | None) -> str:
    """A share 0..1: ``62%``."""
    return UNKNOWN if value is None else f"{value * 100:.0f}%"


def count(value: float | None) -> str:
    """How many, in few letters: ``7``, ``0.4``, ``1.2k``."""
    if value is None:
        return UNKNOWN
    if value >= 9_999_500:
        return f"{value / 1e6:.0f}M"
    if value >= 9999.5:
        return f"{value / 1000:.0f}k"
    return f"{value:.1f}" if 0 < value < 9.95 and value != int(value) else f"{value:.0f}"


def latency(value: float | None) -> str:
    """Seconds as latency is read: ``85 ms``, ``1.3 s``."""
    if value is None:
        return UNKNOWN
    return f"{value * 1000:.0f} ms" if value < 0.9995 else f"{value:.1f} s" if value < 99.95 else f"{value:.0f} s"


def ready(cluster: ClusterSnapshot) -> str:
    """Pods that serve, of those that should."""
    if cluster.reason is not None:
        return UNKNOWN
    return f"{cluster.ready}/{UNKNOWN if cluster.wanted is None else cluster.wanted}"


def figures(of: ClusterSnapshot | PodSnapshot) -> tuple[str, ...]:
    """The figures below ``HEADINGS``, but for the first."""
    share = getattr(of, "share", None)
    return (
        percent(of.kv_cache),
        count(of.running),
        count(of.waiting),
        percent(share) if hasattr(of, "share") else "",
        count(of.requests_per_s),
        count(of.tokens_per_s),
        latency(of.ttft_p50_s),
        latency(of.ttft_p95_s),
    )


def short(name: str, width: int) -> str:
    """A name in so many columns; of a long one its end is kept, because that is where Pods' names differ.

    >>> short("vllm-llama3-8b-instruct-2ldbs9pkjp-kjqvd", 12)
    '…9pkjp-kjqvd'
    """
    return name if len(name) <= width else f"…{name[len(name) - width + 1 :]}" if width > 1 else name[:width]


def health(gateway: GatewaySnapshot) -> tuple[str, str]:
    """The sign and the words for how the gateway is."""
    if gateway.healthy is None:
        return "wait", f"gateway unknown: {gateway.reason or 'nothing says how it is'}"
    if gateway.healthy:
        return "succeeded", "gateway healthy"
    said = [one for one in gateway.conditions if one.status == "False"]
    return "failed", f"gateway not healthy{f': {said[0].reason}' if said else ''}"


def drifted(drift: DriftSnapshot | None) -> str:
    """How much differs from the specification; empty where nothing is known to."""
    count = 0 if drift is None else sum(one.state != DRAINED for one in drift.resources)
    return "" if count == 0 else "1 resource not as specified" if count == 1 else f"{count} resources not as specified"


def drilled(drift: DriftSnapshot | None) -> str:
    """Which region a drill has drained; empty without one."""
    return next((one.said for one in drift.resources if one.state == DRAINED), "") if drift is not None else ""


def target(gateway: GatewaySnapshot) -> str:
    """How traffic is balanced, in words."""
    return gateway.mode if gateway.target is None else f"{gateway.mode}, spills over at {percent(gateway.target)}"


def spent(cost: CostSnapshot) -> str:
    """What it costs an hour and has cost, in words."""
    rate = f"{money(cost.usd_per_hour)}{' for real' if cost.rehearsed else ''}"
    return rate if cost.spent_usd is None else f"{rate}, ${cost.spent_usd:,.2f} so far"


def guard(cost: CostSnapshot) -> str:
    """What the guard has to say; empty without one."""
    if cost.guard_passed:
        return f"guard passed: {cost.guard_passed}"
    return "" if cost.guard_left_s is None else f"guard in {duration(cost.guard_left_s)}"


def monitor_lines(snapshot: Snapshot, style: Style) -> Iterator[str]:
    """A snapshot: a line a cluster, a line a Pod."""
    gateway, cost = snapshot.gateway, snapshot.cost
    sign, words = health(gateway)
    yield style.paint("heading", f"{snapshot.stack}  {snapshot.at.astimezone():%H:%M:%S}  {target(gateway)}")
    yield from style.wrap(f"{style.glyph(sign)} {words}; {spent(cost)}", indent="  ")
    if guard(cost):
        yield from style.wrap(guard(cost))
    for drift in snapshot.drift.resources if snapshot.drift else ():
        sign, said = "update", drift.said
        if drift.state == DRAINED:
            sign, said = "wait", drill_said(said, snapshot.stack)
        yield from style.wrap(f"{style.glyph(sign)} {said}", first="  ", indent="    ")
    if snapshot.drift is not None and snapshot.drift.reason is not None:
        told = f"{style.glyph('wait')} drift unknown: {snapshot.drift.reason}"
        yield from style.wrap(told, first="  ", indent="    ")
    room = max(10, style.width - sum(_WIDTHS))
    yield style.paint("quiet", _row("", HEADINGS, room))
    for cluster in snapshot.clusters:
        yield style.paint("heading", _row(cluster.name, (ready(cluster), *figures(cluster)), room))
        if cluster.reason:
            yield from style.wrap(f"unknown: {cluster.reason}", first="  ", indent="  ")
        for pod in cluster.pods:
            state = "ready" if pod.ready else "-"
            yield _row(f"  {short(pod.name, room - 3)}", (state, *figures(pod)), room)
            if pod.phase != "Running" or pod.reason:
                states = [pod.phase] * (pod.phase != "Running") + [pod.reason] * bool(pod.reason)
                yield from style.wrap(", ".join(filter(None, states)), first="    ", indent="    ")
    yield ""


def _row(name: str, values: tuple[str, ...], room: int) -> str:
    cut = name if len(name) < room else short(name, room - 1)
    return f"{cut:<{room}}{''.join(f'{value:>{width}}' for value, width in zip(values, _WIDTHS, strict=True))}"
