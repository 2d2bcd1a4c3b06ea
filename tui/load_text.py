"""A load test and a drill as lines of text: what was asked, the client's figures, and where requests went over time.

Invariant: every bar has its figure beside it, so nothing is told by length or colour alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tui.style import Style

if TYPE_CHECKING:
    from backend.load import ClusterPoint, DrillResult, Latency, Load, LoadResult, Point

ROWS = 20
"""Most rows of the picture."""
_TIME, _FIGURES = 15, 15
"""Columns of a row before its clusters, and of a cluster's figures and gaps beside its two bars."""
_BARS = (3, 14)
"""Shortest and longest bar."""


def headline(load: Load, cluster: str) -> str:
    """What is about to be sent."""
    return (
        f"{load.requests} requests from {cluster}, {load.rate:g} a second for {load.seconds:g} s: "
        f"prompts of {load.prompt_tokens} random tokens, answers of {load.max_tokens}"
    )


def moment(point: Point) -> str:
    """One look, in a line."""
    if point.requests <= 0:
        return f"{point.t_s:4.0f} s  no request came"
    parts = [f"{each.name} {_percent(each.share)} (KV {_percent(each.kv_cache)})" for each in point.clusters]
    rate = point.requests / point.seconds if point.seconds > 0 else 0.0
    return f"{point.t_s:4.0f} s  {rate:.1f} requests/s: {', '.join(parts)}"


def load_lines(result: LoadResult, style: Style) -> Iterator[str]:
    """All that a test showed."""
    yield ""
    yield from picture(result, style)
    yield ""
    yield from _figures(result, style)


def picture(result: LoadResult, style: Style) -> Iterator[str]:
    """Share of the requests and use of the KV cache by cluster over time, a row for each span of time."""
    spans = list(merged(result.timeline, ROWS))
    if not spans:
        yield "no request reached a model server"
        return
    chosen = _chosen(result, (style.width - _TIME) // (2 * _BARS[0] + _FIGURES))
    names = [result.clusters[index].name for index in chosen]
    room = (style.width - _TIME) // len(names)
    width = max(_BARS[0], min(_BARS[1], (room - _FIGURES) // 2))
    column = 2 * width + _FIGURES
    yield style.paint(
        "heading", " " * _TIME + "".join(f"{_cut(name, column - 2):<{column}}" for name in names).rstrip()
    )
    head = f"{'share':<{width + 7}}{'KV cache':<{width + 8}}"
    yield style.paint("quiet", (f"{'time':>5} {'req/s':>7}  " + head * len(names)).rstrip())
    for span in spans:
        rate = span.requests / span.seconds if span.seconds > 0 else 0.0
        row = f"{span.t_s:3.0f} s {rate:7.1f}  "
        for each in (span.clusters[index] for index in chosen):
            row += f"{bar(each.share, width, style)} {_percent(each.share):>5} "
            row += f"{bar(each.kv_cache, width, style, target=result.target)} {_percent(each.kv_cache):>5}  "
        yield row.rstrip()
    if len(chosen) < len(result.clusters):
        yield style.paint("quiet", f"{len(result.clusters) - len(chosen)} clusters with fewer requests are not drawn")
    if result.target is not None:
        mark = "│" if style.unicode else "|"
        yield style.paint("quiet", f"{mark} is the target of {_percent(result.target)} at which traffic spills over")


def _chosen(result: LoadResult, fit: int) -> list[int]:
    """Which clusters are drawn: those with the most requests, in their own order."""
    busiest = sorted(range(len(result.clusters)), key=lambda index: -result.clusters[index].requests)
    return sorted(busiest[: max(1, fit)])


def merged(timeline: Sequence[Point], rows: int) -> Iterator[Point]:
    """The points from the first request to the last, counted from the first, put together into so many at most."""
    from backend.load import Point

    busy = [index for index, point in enumerate(timeline) if point.requests > 0]
    if not busy:
        return
    points = timeline[busy[0] : busy[-1] + 1]
    began_s = points[0].t_s - points[0].seconds
    size = -(-len(points) // rows)
    for start in range(0, len(points), size):
        group = points[start : start + size]
        yield Point(group[-1].t_s - began_s, sum(point.seconds for point in group), tuple(_together(group)))


def _together(group: Sequence[Point]) -> Iterator[ClusterPoint]:
    whole = sum(point.requests for point in group)
    for index, last in enumerate(group[-1].clusters):
        mine = [point.clusters[index] for point in group]
        came = sum(each.requests for each in mine)
        caches = [each.kv_cache for each in mine if each.kv_cache is not None]
        yield replace(
            last,
            requests=came,
            share=came / whole if whole > 0 else None,
            kv_cache=sum(caches) / len(caches) if caches else None,
        )


def bar(value: float | None, width: int, style: Style, *, target: float | None = None) -> str:
    """A fraction 0..1 as a bar, with a mark at the target."""
    full, mark = ("█", "│") if style.unicode else ("#", "|")
    length = 0 if value is None else round(min(1.0, max(0.0, value)) * width)
    cells = [full] * length + [" "] * (width - length)
    if target is not None:
        cells[min(width - 1, int(target * width))] = mark
    return "".join(cells)


def _figures(result: LoadResult, style: Style) -> Iterator[str]:
    sign = "succeeded" if result.ok and not result.lost else "failed"
    if result.report is None:
        yield style.paint("failed", f"{style.glyph('failed')} no report: {result.failure}")
        for line in result.log:
            yield from style.wrap(line, first="    ", indent="    ")
        return
    report = result.report
    answered = f"{report.successful} of {result.load.requests} answered in {report.duration_s:.1f} s"
    yield style.paint(sign, f"{style.glyph(sign)} {answered}") + (f", {result.lost} lost" if result.lost else "")
    for text in result.errors:
        yield from style.wrap(f"error: {text}", first="    ", indent="    ")
    if result.failure is not None:
        yield from style.wrap(f"the Job failed: {result.failure}", first="    ", indent="    ")
    rates = _known(report.requests_per_s, ".1f"), _known(report.tokens_per_s, ",.0f")
    yield f"  {rates[0]} requests/s, {rates[1]} tokens/s generated"
    for name, latency in (("first token", report.ttft), ("between tokens", report.inter_token)):
        yield f"  {name:<15} {_latency(latency)}"
    for each in result.clusters:
        yield (
            f"  {each.name:<15} {_percent(each.share)} of the requests ({each.requests:,.0f}), "
            f"KV cache {_percent(each.kv_cache_mean)} mean, {_percent(each.kv_cache_peak)} peak"
        )
    if (more := round(sum(each.requests for each in result.clusters)) - result.load.requests) > 0:
        text = f"{more} more came to the model servers than was sent: the client's trial request"
        yield from style.wrap(text if more == 1 else f"{text}, and requests of others", first="  ", indent="  ")


def drill_lines(result: DrillResult, style: Style) -> Iterator[str]:
    """What a drill showed."""
    yield ""
    yield from picture(result.load, style)
    yield ""
    lost = "an unknown number" if result.lost is None else str(result.lost)
    sign = "succeeded" if result.ok else "failed"
    yield style.paint(sign, f"{style.glyph(sign)} {result.sent} requests sent, {lost} lost")
    if result.slowed is not None and result.slow_s is not None:
        before = f"than any request before the drain ({result.slow_s * 1000:,.0f} ms in the model server)"
        few = f"{result.slowed:.0f}" if round(result.slowed) else "none"
        said = f"{few} of {result.sent} waited longer for a first token {before}"
        yield from style.wrap(said, first="  ", indent="    ")
    yield f"  {result.region} had {_percent(result.share_before)} of the requests before"
    if result.moved_s is None:
        yield from style.wrap(
            f"traffic did not leave it in the {result.drained_s:.0f} s that it was drained; "
            "a load balancer on Google Cloud may need longer: --seconds 600",
            first="  ",
            indent="  ",
        )
    else:
        drained = f"{result.drained_s:.0f} s"
        moved = f"no request reached {result.region} while it was drained ({drained})"
        if result.moved_s:
            moved = f"{result.moved_s:.1f} s after the drain began the last request reached it; drained for {drained}"
        yield from style.wrap(moved, first="  ", indent="    ")
    if result.back_s is None:
        yield "  no request came back to it in the time that was left"
    else:
        yield f"  {result.back_s:.1f} s until requests came back after it was restored"
    if not result.restored:
        yield from style.wrap(
            f"the policy is not restored: mcig apply {result.stack} --only backend-policy", first="  ", indent="  "
        )
    for text in result.load.errors:
        yield from style.wrap(f"error: {text}", first="  ", indent="    ")
    if result.load.failure is not None:
        yield from style.wrap(f"the load failed: {result.load.failure}", first="  ", indent="    ")


def _latency(latency: Latency) -> str:
    parts = [("mean", latency.mean_s), ("median", latency.p50_s), ("p99", latency.p99_s)]
    return ", ".join(f"{name} {_known(None if value is None else value * 1000, ',.0f')} ms" for name, value in parts)


def _known(value: float | None, form: str) -> str:
    return "?" if value is None else format(value, form)


def _percent(value: float | None) -> str:
    return "?" if value is None else f"{value * 100:.0f} %"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."
