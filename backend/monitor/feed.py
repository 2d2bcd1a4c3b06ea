"""What happened between looks: a feed of events told from snapshots alone, live and recorded.

Invariant: the same snapshots give the same events; a figure that trembles around its limit is told once, not at every
look.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from backend.monitor.snapshot import ClusterSnapshot, DriftSnapshot, GatewaySnapshot, PodSnapshot, Snapshot

BELOW = 0.1
"""How far use of the KV cache falls below the target, 0..1, before reaching it is told again."""
SOME, NONE = 0.05, 0.01
"""Shares of traffic, 0..1, from which a cluster takes part in it, and below which it does not."""


class Tone(StrEnum):
    """What an event means for who watches."""

    NEWS = "news"
    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Happening:
    """One event."""

    at: datetime
    where: str
    """The cluster, ``gateway`` or ``stack``."""
    text: str
    tone: Tone


@dataclass
class _Traffic:
    full: bool = False
    serves: bool = False
    queues: bool = False


class Feed:
    """Tells events of one stack; wants its snapshots in the order of their times."""

    def __init__(self) -> None:
        self._last: Snapshot | None = None
        self._traffic: dict[str, _Traffic] = {}
        self._pods: dict[str, dict[str, PodSnapshot]] = {}
        self._drifted: dict[str, str] = {}

    def take(self, snapshot: Snapshot) -> list[Happening]:
        """Take the next snapshot and give what happened since the one before; of the first one, what is not well."""
        last, self._last = self._last, snapshot
        before = {cluster.name: cluster for cluster in last.clusters} if last else {}
        found = [*_gateway(last.gateway if last else None, snapshot.gateway)]
        for cluster in snapshot.clusters:
            known = before.get(cluster.name)
            found += [(cluster.name, *one) for one in self._cluster(known, cluster, snapshot.gateway.target)]
        found += [("stack", *one) for one in self._changed_drift(snapshot.drift)]
        if snapshot.cost.guard_passed and not (last and last.cost.guard_passed):
            found.append(("stack", f"guard passed: {snapshot.cost.guard_passed}", Tone.BAD))
        return [Happening(snapshot.at, *one) for one in found]

    def _cluster(
        self, before: ClusterSnapshot | None, now: ClusterSnapshot, target: float | None
    ) -> Iterator[tuple[str, Tone]]:
        if now.reason is not None:
            if before is None or before.reason is None:
                yield f"cannot be seen: {now.reason}", Tone.BAD
            return
        if before is not None and before.reason is not None:
            yield "can be seen again", Tone.GOOD
        if now.lost > (before.lost if before else 0):
            yield f"lost Pods with their machines, {now.lost} by now", Tone.BAD
        yield from self._changed_pods(now)
        yield from self._changed_traffic(now, target)

    def _changed_pods(self, now: ClusterSnapshot) -> Iterator[tuple[str, Tone]]:
        first = now.name not in self._pods
        before, self._pods[now.name] = self._pods.get(now.name, {}), {pod.name: pod for pod in now.pods}
        for pod in now.pods:
            yield from _pod(before.get(pod.name), pod, first)
        for name in before.keys() - self._pods[now.name].keys():
            yield f"Pod {name} is gone", Tone.BAD if before[name].ready else Tone.NEWS

    def _changed_drift(self, now: DriftSnapshot | None) -> Iterator[tuple[str, Tone]]:
        """What became different from the specification, and what is as specified again; drills, the gateway tells."""
        if now is None:
            return
        drifted = {one.resource: one.said for one in now.resources if one.state != "drained"}
        for name, said in drifted.items():
            if self._drifted.get(name) != said:
                yield said, Tone.BAD
        if now.reason is not None:  # what could not be read is not known to be well
            self._drifted |= drifted
            return
        for name in sorted(self._drifted.keys() - drifted.keys()):
            yield f"{name} is as specified again", Tone.GOOD
        self._drifted = drifted

    def _changed_traffic(self, now: ClusterSnapshot, target: float | None) -> Iterator[tuple[str, Tone]]:
        told = self._traffic.setdefault(now.name, _Traffic())
        if now.kv_cache is not None and target is not None:
            if not told.full and now.kv_cache >= target:
                told.full = True
                yield f"is full: KV cache at {now.kv_cache:.0%}, the target is {target:.0%}", Tone.NEWS
            elif told.full and now.kv_cache < target - BELOW:
                told.full = False
                yield f"has room again: KV cache at {now.kv_cache:.0%}", Tone.GOOD
        if now.share is not None:
            if not told.serves and now.share >= SOME:
                told.serves = True
                yield f"takes traffic: {now.share:.0%}", Tone.NEWS
            elif told.serves and now.share <= NONE:
                told.serves = False
                yield "takes no traffic any more", Tone.NEWS
        if now.waiting is not None and now.running is not None:
            if not told.queues and now.waiting > max(1.0, now.running / 4):
                told.queues = True
                yield f"lets requests queue: {now.waiting:.0f} wait", Tone.BAD
            elif told.queues and now.waiting == 0:
                told.queues = False
                yield "has no queue any more", Tone.GOOD


def _pod(before: PodSnapshot | None, now: PodSnapshot, first: bool) -> Iterator[tuple[str, Tone]]:
    name = f"Pod {now.name}"
    if before is None:
        if not first:
            yield f"{name} is new: {now.phase}", Tone.NEWS
        elif not now.ready:
            yield f"{name} is not ready: {now.phase}", Tone.BAD
        return
    if now.restarts > before.restarts:
        yield f"{name} restarted, {now.restarts} times by now", Tone.BAD
    if now.phase != before.phase:
        fine = now.phase == "Running"
        yield f"{name}: {before.phase} became {now.phase}", Tone.NEWS if fine else Tone.BAD
    if now.ready != before.ready:
        yield f"{name} is {'ready' if now.ready else 'not ready any more'}", Tone.GOOD if now.ready else Tone.BAD
    if now.reason != before.reason:
        told = f"{name}: {now.reason}" if now.reason else f"{name} tells its figures again"
        yield told, Tone.BAD if now.reason else Tone.GOOD


def _gateway(before: GatewaySnapshot | None, now: GatewaySnapshot) -> Iterator[tuple[str, str, Tone]]:
    if now.healthy is None and (before is None or before.healthy is not None):
        yield "gateway", f"is unknown: {now.reason or 'nothing is said of it'}", Tone.BAD
    elif now.healthy is False and (before is None or before.healthy is not False):
        yield "gateway", "is not healthy", Tone.BAD
    elif now.healthy and before is not None and not before.healthy:
        yield "gateway", "is healthy", Tone.GOOD
    known = {(one.object, one.type): one for one in before.conditions} if before else {}
    for one in now.conditions:
        old = known.get((one.object, one.type))
        if (old is None and one.status != "False") or (old is not None and old.status == one.status):
            continue
        said = f"{one.object}: {one.type.rpartition('/')[2]} is {one.status}, {one.reason}"
        yield (
            "gateway",
            f"{said}: {one.message}" if one.message else said,
            Tone.BAD if one.status == "False" else Tone.GOOD,
        )
    drained = before.drained if before else {}
    for region in now.drained.keys() - drained.keys():
        yield "gateway", f"{region} is drained: {now.drained[region]}", Tone.BAD
    for region in drained.keys() - now.drained.keys():
        yield "gateway", f"{region} has capacity again", Tone.GOOD
    if before is not None and now.target != before.target and now.target is not None:
        yield "gateway", f"fills clusters to {now.target:.0%} now", Tone.NEWS
