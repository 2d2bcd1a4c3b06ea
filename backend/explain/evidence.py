"""Gathers what the cloud says of a stack's parts beside its plan; reads only.

Invariant: what cannot be asked is evidence too: its absence is told with its reason and holds nothing up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from backend.clients.kinds import EVENT, GATEWAY_CLASS, POD, POOL_IMPORT
from backend.errors import McigError
from backend.monitor.snapshot import DriftSnapshot
from backend.resources.fleet import linked
from backend.spec import ClusterSpec, GatewaySpec

if TYPE_CHECKING:
    from backend.clients import Clients
    from backend.monitor import Snapshot

LIMIT_S = 5.0
"""Seconds that one question may take."""
FEATURE = "multiclusteringress"
LOG_LINES = 40
"""Lines of a failing container's log that are looked at."""
LOG_S = 3600.0

Object = Mapping[str, Any]
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Silence:
    """A question without an answer."""

    reason: str


@dataclass(frozen=True, slots=True)
class ClusterEvidence:
    """What one cluster and its membership say."""

    spec: ClusterSpec
    membership: Object | Silence | None
    pods: Sequence[Object] | Silence
    warnings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Pod -> reasons and messages of its warnings and of its containers' ends, the newest first."""
    logs: Mapping[str, str] = field(default_factory=dict)
    """Pod -> the end of its log, of Pods that restart."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What all of them say."""

    feature: Object | Silence | None
    gateway_class: bool | Silence
    imported: bool | Silence
    clusters: tuple[ClusterEvidence, ...]
    snapshot: Snapshot
    drift: DriftSnapshot = field(default_factory=DriftSnapshot)
    """What differs from the specification."""


async def gather(spec: GatewaySpec, clients: Clients, look: Awaitable[Snapshot], drift: DriftSnapshot) -> Evidence:
    """Ask everything side by side, beside a ``look`` at the traffic; raises nothing for what the world does."""
    config = clients.kube(spec.config_cluster)
    memberships = asyncio.ensure_future(_asked(clients.fleet.memberships()))
    snapshot, feature, classed, imported, clusters = await asyncio.gather(
        look,
        _asked(clients.fleet.feature(FEATURE)),
        _asked(config.get(GATEWAY_CLASS, None, spec.gateway.gateway_class)),
        _asked(config.get(POOL_IMPORT, spec.pool.namespace, spec.pool.name)),
        asyncio.gather(*(_cluster(spec, clients, one, memberships) for one in spec.targets)),
    )
    return Evidence(
        feature,
        classed if isinstance(classed, Silence) else classed is not None,
        imported if isinstance(imported, Silence) else imported is not None,
        tuple(clusters),
        snapshot,
        drift,
    )


async def _cluster(
    spec: GatewaySpec, clients: Clients, cluster: ClusterSpec, memberships: Awaitable[list[Any] | Silence]
) -> ClusterEvidence:
    kube, namespace = clients.kube(cluster.name), spec.pool.namespace
    pods = await _asked(kube.list(POD, namespace, {"app": spec.model.name}))
    members = await memberships
    member = members if isinstance(members, Silence) else linked(members, clients.project, cluster)
    if isinstance(pods, Silence):
        return ClusterEvidence(cluster, member, pods)
    restless = [pod for pod in pods if not _ready(pod)]
    if not restless:
        return ClusterEvidence(cluster, member, pods)
    events = await _asked(kube.list(EVENT, namespace))
    names = {str(pod["metadata"]["name"]) for pod in restless}
    warnings: dict[str, list[str]] = {}
    for event in sorted([] if isinstance(events, Silence) else events, key=_when, reverse=True):
        name = (event.get("involvedObject") or {}).get("name")
        if name in names and (event.get("type") == "Warning" or event.get("reason") == "Killing"):
            warnings.setdefault(name, []).append(f"{event.get('reason')}: {event.get('message')}")
    crashed = [pod for pod in restless if _restarts(pod)]
    logs = await asyncio.gather(
        *(_asked(kube.logs(namespace, pod["metadata"]["name"], _container(pod), LOG_S)) for pod in crashed)
    )
    ends = {
        str(pod["metadata"]["name"]): "\n".join(log.splitlines()[-LOG_LINES:])
        for pod, log in zip(crashed, logs, strict=True)
        if isinstance(log, str) and log
    }
    return ClusterEvidence(cluster, member, pods, warnings, ends)


async def _asked(question: Awaitable[Found]) -> Found | Silence:
    try:
        async with asyncio.timeout(LIMIT_S):
            return await question
    except (McigError, TimeoutError) as error:
        return Silence(str(error) or f"no answer within {LIMIT_S:.0f} s")


def _ready(pod: Object) -> bool:
    told = (pod.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in told)


def _restarts(pod: Object) -> int:
    return sum(int(one.get("restartCount") or 0) for one in (pod.get("status") or {}).get("containerStatuses") or ())


def _container(pod: Object) -> str:
    """The container that restarted most."""
    told = (pod.get("status") or {}).get("containerStatuses") or ()
    return str(max(told, key=lambda one: int(one.get("restartCount") or 0))["name"])


def _when(event: Object) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")
