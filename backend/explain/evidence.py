"""Gathers what the cloud says of a stack's parts beside its plan; reads only.

Invariant: what cannot be asked is evidence too: its absence is told with its reason and holds nothing up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from backend.clients.kinds import EVENT, GATEWAY_CLASS, POD, POOL_IMPORT
from backend.clients.names import INGRESS_FEATURE
from backend.errors import McigError, PermissionDenied, Unauthenticated
from backend.monitor.snapshot import DriftSnapshot
from backend.resources.fleet import linked
from backend.spec import ClusterSpec, GatewaySpec

if TYPE_CHECKING:
    from backend.clients import Clients
    from backend.clients.kube import Kube
    from backend.monitor import Snapshot

LIMIT_S = 5.0
"""Seconds that one question may take."""
LOG_LINES = 40
"""Lines of a failing container's log that are looked at."""
LOG_S = 3600.0
NO_NODE = "FailedScheduling"
"""Reason of the event that a Pod finds no node."""

Object = Mapping[str, Any]
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Silence:
    """A question without an answer."""

    reason: str
    cause: str = ""
    """Why, where the question itself tells."""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class ClusterEvidence:
    """What one cluster and its membership say."""

    spec: ClusterSpec
    membership: Object | Silence | None
    pods: Sequence[Object] | Silence
    warnings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Pod -> reasons and messages of its warnings and of its containers' ends, one a reason, the newest first."""
    logs: Mapping[str, str] = field(default_factory=dict)
    """Pod -> the end of its log, of Pods with a container that has ended."""


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
        _asked(clients.fleet.feature(INGRESS_FEATURE)),
        _asked(config.get(GATEWAY_CLASS, None, spec.gateway.gateway_class)),
        _asked(config.get(POOL_IMPORT, spec.pool.namespace, spec.pool.name)),
        asyncio.gather(*(gather_cluster(spec, clients, one, memberships) for one in spec.targets)),
    )
    return Evidence(
        feature,
        classed if isinstance(classed, Silence) else classed is not None,
        imported if isinstance(imported, Silence) else imported is not None,
        tuple(clusters),
        snapshot,
        drift,
    )


async def gather_cluster(
    spec: GatewaySpec, clients: Clients, cluster: ClusterSpec, memberships: Awaitable[list[Any] | Silence]
) -> ClusterEvidence:
    """Ask one cluster about its Pods, and about the membership that it has among ``memberships``."""
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
    warnings = {
        str(pod["metadata"]["name"]): _warnings(pod, [] if isinstance(events, Silence) else events) for pod in restless
    }
    crashed = [pod for pod in restless if any(map(_has_ended, _containers(pod)))]
    logs = await asyncio.gather(*(_asked(_last_words(kube, namespace, pod)) for pod in crashed))
    ends = {
        str(pod["metadata"]["name"]): "\n".join(log.splitlines()[-LOG_LINES:])
        for pod, log in zip(crashed, logs, strict=True)
        if isinstance(log, str) and log
    }
    return ClusterEvidence(cluster, member, pods, warnings, ends)


def _warnings(pod: Object, events: Sequence[Object]) -> list[str]:
    """The newest warning of each kind about a Pod; that it had no node counts only until it has one."""
    found: dict[str, str] = {}
    for event in sorted(events, key=_when, reverse=True):
        reason = str(event.get("reason"))
        over = reason == NO_NODE and (pod.get("spec") or {}).get("nodeName")
        about = (event.get("involvedObject") or {}).get("name") == pod["metadata"]["name"]
        if about and not over and (event.get("type") == "Warning" or reason == "Killing"):
            found.setdefault(reason, f"{reason}: {event.get('message')}")
    return list(found.values())


async def _asked(question: Awaitable[Found]) -> Found | Silence:
    try:
        async with asyncio.timeout(LIMIT_S):
            return await question
    except TimeoutError:
        return Silence(f"no answer within {LIMIT_S:.0f} s")
    except (PermissionDenied, Unauthenticated) as error:
        return Silence(error.message, error.cause, error.fix)
    except McigError as error:
        return Silence(error.message, error.cause)


async def _last_words(kube: Kube, namespace: str, pod: Object) -> str:
    """The log of the last run that ended, of the container that restarted most."""
    container = max(_containers(pod), key=lambda one: (int(one.get("restartCount") or 0), _has_ended(one)))
    runs_again = "terminated" in (container.get("lastState") or ()) and "running" in (container.get("state") or ())
    return await kube.logs(namespace, pod["metadata"]["name"], str(container["name"]), LOG_S, previous=runs_again)


def _ready(pod: Object) -> bool:
    told = (pod.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in told)


def _containers(pod: Object) -> Sequence[Object]:
    """What is said of a Pod's containers, but for init containers and side-cars."""
    return (pod.get("status") or {}).get("containerStatuses") or ()


def _has_ended(container: Object) -> bool:
    return bool(
        container.get("restartCount")
        or "terminated" in {*(container.get("lastState") or ()), *(container.get("state") or ())}
    )


def _when(event: Object) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")
