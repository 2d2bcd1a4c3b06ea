"""What stands beside the monitor's table: the events, and all that is known of the selected cluster or Pod.

Pure; texts come as content, so nothing that a cloud says is taken for markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from textual.content import Content

from tui.monitor_text import DRAINED, UNKNOWN, count, latency, percent, ready, short
from tui.status_text import drill_said

if TYPE_CHECKING:
    from backend.monitor import ClusterSnapshot, ConditionSnapshot, PodSnapshot, Snapshot
    from backend.monitor.feed import Happening

_LONGEST = 14
"""Columns of a Pod's name within an event."""
_MOST_DRIFT = 12
"""Resources that have drifted that are told one by one."""
_POD = re.compile(r"\bPod ([a-z0-9.-]+)")
TONES = {"news": ("·", "$quiet"), "good": ("✓", "$text-success"), "bad": ("✗", "$text-error")}


def events(happened: Iterable[Happening]) -> Content:
    """The events, the newest first."""
    lines = []
    for one in happened:
        sign, style = TONES[one.tone]
        lines.append(
            Content.assemble(
                (f"{one.at.astimezone():%H:%M:%S} ", "$quiet"),
                (f"{sign} ", style),
                (f"{one.where} ", "bold"),
                _shorter(one.text),
            )
        )
    return Content("\n").join(lines) if lines else Content.styled("nothing has happened yet", "$quiet")


def details(snapshot: Snapshot, selected: tuple[str, str | None] | None) -> tuple[str, Content]:
    """Title and text on what is selected."""
    cluster = next((one for one in snapshot.clusters if selected and one.name == selected[0]), None)
    if cluster is None or selected is None:
        return "gateway", _joined([*_drift(snapshot), _gateway(snapshot)])
    pod = next((one for one in cluster.pods if one.name == selected[1]), None)
    if pod is not None:
        return pod.name, _pod(pod)
    return cluster.name, _joined([_cluster(cluster, snapshot), *_drift(snapshot), _gateway(snapshot)])


def _cluster(cluster: ClusterSnapshot, snapshot: Snapshot) -> Content:
    address = snapshot.gateway.addresses.get(cluster.region, UNKNOWN)
    lost = f", {cluster.lost} lost to spot" if cluster.lost else ""
    lines = [
        _fact("region", f"{cluster.region}, gateway address {address}"),
        _fact(
            "Pods",
            f"{ready(cluster)} ready{lost}; {percent(cluster.share)} of the traffic, "
            f"{count(cluster.requests_per_s)} req/s",
        ),
    ]
    if cluster.reason:
        lines.append(Content.assemble(("unknown: ", "$text-warning"), cluster.reason))
    drained = snapshot.gateway.drained.get(cluster.region) or snapshot.gateway.drained.get("*")
    if drained:
        lines.append(Content.assemble(("drained: ", "$text-warning"), drained))
    return Content("\n").join(lines)


def _pod(pod: PodSnapshot) -> Content:
    state = "ready" if pod.ready else "not ready"
    lines = [
        _fact(
            "state",
            f"{pod.phase}, {state}, restarted {pod.restarts} times" if pod.restarts else f"{pod.phase}, {state}",
        ),
        _fact("KV", f"{percent(pod.kv_cache)}, {count(pod.running)} running, {count(pod.waiting)} waiting"),
        _fact(
            "TTFT",
            f"{latency(pod.ttft_p50_s)}, p95 {latency(pod.ttft_p95_s)}; {latency(pod.inter_token_p50_s)} a token",
        ),
        _fact("LoRA", ", ".join(pod.adapters) or "no adapter answers just now"),
        _fact("node", pod.node or UNKNOWN),
    ]
    if pod.reason:
        lines.insert(0, Content.assemble(("unknown: ", "$text-warning"), pod.reason))
    return Content("\n").join(lines)


def _drift(snapshot: Snapshot) -> Iterator[Content]:
    """What differs from the specification, wherever it is."""
    drift = snapshot.drift
    if drift is None:
        return
    for one in drift.resources[:_MOST_DRIFT]:
        if one.state == DRAINED:
            yield Content.assemble(("… ", "$text-warning"), drill_said(one.said, snapshot.stack))
        else:
            yield Content.assemble(("~ ", "$text-warning"), one.said)
    if more := len(drift.resources[_MOST_DRIFT:]):
        yield Content.assemble(("~ ", "$text-warning"), f"and {more} more; `mcig status {snapshot.stack}` tells all")
    if drift.reason is not None:
        yield Content.assemble(("? ", "$text-warning"), ("drift unknown: ", "$quiet"), drift.reason)
    elif not drift.resources:
        yield Content.assemble(("✓ ", "$text-success"), "as specified")


def _joined(lines: Iterable[Content]) -> Content:
    return Content("\n").join(lines)


def _gateway(snapshot: Snapshot) -> Content:
    """Conditions of the gateway's objects: those that are not as they should be with what is said of them."""
    gateway = snapshot.gateway
    if gateway.reason:
        return Content.assemble(("gateway unknown: ", "$text-warning"), gateway.reason)
    objects: dict[str, list[ConditionSnapshot]] = {}
    for one in gateway.conditions:
        objects.setdefault(one.object, []).append(one)
    lines = []
    for name, told in objects.items():
        wrong = [one for one in told if one.status == "False"]
        unknown = [one for one in told if one.status == "Unknown"]
        sign, style = ("✗", "$text-error") if wrong else ("?", "$text-warning") if unknown else ("✓", "$text-success")
        words = ", ".join(f"not {one.type.rpartition('/')[2]}" for one in wrong or unknown)
        lines.append(Content.assemble((f"{sign} ", style), (name, ""), (f"  {words}", "$quiet")))
        lines += [Content.assemble(("  ", ""), (one.message or one.reason, "$quiet")) for one in wrong]
    if gateway.objectives:
        priorities = ", ".join(f"{name} with priority {number}" for name, number in gateway.objectives.items())
        lines.append(_fact("objectives", priorities))
    return Content("\n").join(lines) if lines else Content.styled("nothing is said of the gateway", "$quiet")


def _shorter(text: str) -> str:
    """A text in which a Pod's long name is cut at its beginning."""
    return _POD.sub(lambda found: f"Pod {short(found[1], _LONGEST)}", text)


def _fact(name: str, value: str) -> Content:
    return Content.assemble((f"{name:<6} ", "$quiet"), value)
