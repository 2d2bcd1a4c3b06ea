"""One look at a stack's traffic, as data: what ``mcig monitor`` shows, prints and records.

Invariant: unknown is None, with the reason beside it; it is never zero.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

LONGEST = 40
"""Letters of a value that are told."""


@dataclass(frozen=True, slots=True)
class PodSnapshot:
    """One model server."""

    name: str
    node: str | None
    ready: bool
    phase: str
    """What Kubernetes says of it in a word: Running, Pending, or why its container waits."""
    restarts: int
    kv_cache: float | None = None
    """Use of the KV cache, 0..1."""
    running: float | None = None
    waiting: float | None = None
    requests_per_s: float | None = None
    tokens_per_s: float | None = None
    ttft_p50_s: float | None = None
    ttft_p95_s: float | None = None
    inter_token_p50_s: float | None = None
    adapters: tuple[str, ...] = ()
    """Adapters that answer requests now."""
    reason: str | None = None
    """Why the figures are unknown."""


@dataclass(frozen=True, slots=True)
class ClusterSnapshot:
    """One cluster; its figures are those of its Pods together."""

    name: str
    region: str
    ready: int
    """Pods that serve."""
    wanted: int | None
    """Pods that should."""
    kv_cache: float | None = None
    """Mean use of the KV cache over the Pods that say so, 0..1."""
    running: float | None = None
    waiting: float | None = None
    share: float | None = None
    """Share 0..1 of the stack's requests that came to its Pods; None while there was none."""
    requests_per_s: float | None = None
    tokens_per_s: float | None = None
    ttft_p50_s: float | None = None
    ttft_p95_s: float | None = None
    inter_token_p50_s: float | None = None
    pods: tuple[PodSnapshot, ...] = ()
    reason: str | None = None
    """Why the cluster cannot be seen."""
    lost: int = 0
    """Pods that lost their machine since the watching began, as spot machines do."""


@dataclass(frozen=True, slots=True)
class ConditionSnapshot:
    """One condition of an object on the config cluster."""

    object: str
    """Like ``Gateway/cross-region-gateway``."""
    type: str
    status: str
    """``True``, ``False`` or ``Unknown``."""
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class GatewaySnapshot:
    """The gateway and what hangs on it."""

    addresses: Mapping[str, str]
    """Region -> address."""
    healthy: bool | None
    mode: str
    """The balancing mode, of the live policy where there is one."""
    target: float | None
    """KV-cache use 0..1 at which traffic spills over; None in another mode."""
    conditions: tuple[ConditionSnapshot, ...] = ()
    reason: str | None = None
    """Why nothing is known of it."""
    drained: Mapping[str, str] = field(default_factory=dict)
    """Region -> why a policy lets it have no traffic."""
    objectives: Mapping[str, int] = field(default_factory=dict)
    """Objective -> priority, of those that refer to the pool on the config cluster."""


@dataclass(frozen=True, slots=True)
class CostSnapshot:
    """Estimated money."""

    usd_per_hour: float
    spent_usd: float | None
    """Since the oldest of what is there was made; None when that is not known."""
    rehearsed: bool = False
    """Whether it is what the same would cost on a real cloud."""
    guard_left_s: float | None = None
    """Seconds until the specification's guard is passed; None without one, or when that is not known."""
    guard_passed: str | None = None
    """Which limits of the guard are passed, in words."""


@dataclass(frozen=True, slots=True)
class DriftedSnapshot:
    """One resource that is not as specified."""

    resource: str
    """Its id, like ``node-pool/gke-west/h100``."""
    state: str
    """``drifted`` (there, but different), ``absent``, ``unwanted`` (there, but no more in the specification), or
    ``drained`` (a drill goes on, or was killed)."""
    changes: tuple[Mapping[str, Any], ...] = ()
    """The fields that differ: ``{field, before, after}``, ``before`` being what is there."""
    words: str = ""
    """What goes on; empty where the state and the fields say it."""

    @property
    def fields(self) -> str:
        """The fields that differ, in words, after their object's name: ``spec.replicas is 2 and should be 3``."""
        told: dict[str, list[str]] = {}
        for one in self.changes:
            where, _, name = str(one["field"]).rpartition(": ")
            told.setdefault(where, []).append(f"{name} is {_brief(one['before'])} and should be {_brief(one['after'])}")
        return "; ".join(f"{where}: {', '.join(said)}" if where else ", ".join(said) for where, said in told.items())

    @property
    def said(self) -> str:
        """What is wrong with it, in words."""
        if self.words:
            return self.words
        words = {"absent": "is not there", "unwanted": "is no more in the specification"}
        told = f"{self.resource} {words.get(self.state, 'is not as specified')}"
        return f"{told}: {self.fields}" if self.changes else told


@dataclass(frozen=True, slots=True)
class DriftSnapshot:
    """What differs from the specification."""

    resources: tuple[DriftedSnapshot, ...] = ()
    reason: str | None = None
    """Why some or all of it is unknown."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look."""

    at: datetime
    stack: str
    clusters: tuple[ClusterSnapshot, ...]
    gateway: GatewaySnapshot
    cost: CostSnapshot
    where: str = ""
    """The cloud, in words."""
    drift: DriftSnapshot | None = None
    """None until it was looked for."""

    def to_json(self) -> dict[str, Any]:
        """The object that ``mcig monitor --json`` prints."""
        return asdict(self) | {"at": self.at.isoformat()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Snapshot:
        """Read a recorded object; fields of a newer mcig are passed over. Raises KeyError, TypeError and ValueError."""
        return cls(
            datetime.fromisoformat(data["at"]),
            data["stack"],
            tuple(
                _of(ClusterSnapshot, each | {"pods": tuple(_of(PodSnapshot, _tuples(pod)) for pod in each["pods"])})
                for each in data["clusters"]
            ),
            _of(
                GatewaySnapshot,
                data["gateway"]
                | {"conditions": tuple(_of(ConditionSnapshot, each) for each in data["gateway"]["conditions"])},
            ),
            _of(CostSnapshot, data["cost"]),
            str(data.get("where", "")),
            None if data.get("drift") is None else _drift(data["drift"]),
        )


def _of(kind: Any, data: Mapping[str, Any]) -> Any:
    return kind(**{name: data[name] for name in kind.__dataclass_fields__ if name in data})


def _brief(value: object) -> str:
    if value is None:
        return "not set"
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _drift(data: Mapping[str, Any]) -> DriftSnapshot:
    found = (_of(DriftedSnapshot, {**one, "changes": tuple(one["changes"])}) for one in data["resources"])
    return DriftSnapshot(tuple(found), data["reason"])


def _tuples(pod: Mapping[str, Any]) -> dict[str, Any]:
    return {**pod, "adapters": tuple(pod.get("adapters", ()))}
