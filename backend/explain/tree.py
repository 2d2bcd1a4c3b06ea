"""The tree stack -> cluster -> objects -> conditions, with cause and fix at every leaf that is not ready.

Pure. Invariant: a branch is as ready as its worst leaf; what is not known is unknown and not ready.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby
from typing import Any

from backend.clients.names import INGRESS_FEATURE
from backend.explain.causes import known
from backend.explain.evidence import ClusterEvidence, Evidence, Silence
from backend.monitor.objects import over, pod_seen
from backend.monitor.snapshot import ClusterSnapshot, ConditionSnapshot, DriftSnapshot, PodSnapshot
from backend.resources.fleet import UNDER_WAY, UNSAID, USABLE, in_words
from backend.resources.fleet_ingress import Ingress
from backend.spec import GatewaySpec

DEPRECATED = frozenset({"Scheduled", "Ready"})
"""Conditions of a Gateway that say nothing any more (cloud.google.com/kubernetes-engine/docs/concepts/gateway-api)."""

FEW = 3
"""Absent resources that are told one by one."""

FLEET = "the fleet cannot be read: "
"""Before what Google's fleet API says when it does not answer a question."""
LOGGED = frozenset({"gated-model", "model-missing", "out-of-memory"})
"""Rows of the table of causes that a log alone tells."""


class State(StrEnum):
    """How a node of the tree is, the better first."""

    READY = "ready"
    UNKNOWN = "unknown"
    NOT_READY = "not ready"


@dataclass(frozen=True, slots=True)
class Node:
    """One branch or leaf."""

    name: str
    state: State
    said: str = ""
    """What the cloud says, in its own words."""
    known_as: str | None = None
    """The row of the table of causes that fits; None where none does."""
    cause: str = ""
    fix: str = ""
    children: tuple[Node, ...] = ()

    def leaves(self) -> Iterator[Node]:
        """Its leaves that are not ready, from left to right."""
        if not self.children and self.state is not State.READY:
            yield self
        for child in self.children:
            yield from child.leaves()

    def to_json(self) -> dict[str, Any]:
        """The node as ``mcig status --json`` prints it."""
        told = {"said": self.said, "known_as": self.known_as, "cause": self.cause, "fix": self.fix}
        return {
            "name": self.name,
            "state": str(self.state),
            **{key: value or None for key, value in told.items() if self.state is not State.READY},
            "children": [child.to_json() for child in self.children],
        }


def explain(spec: GatewaySpec, project: str, evidence: Evidence) -> Node:
    """The whole tree."""
    config = next(one for one in spec.clusters if one.name == spec.config_cluster)
    names = {
        "stack": spec.name,
        "project": project,
        "namespace": spec.pool.namespace,
        "config": f"gke_{project}_{config.region}_{config.name}",
        "cluster": config.name,
        "region": config.region,
        "pod": "POD",
    }
    seen = {one.name: one for one in evidence.snapshot.clusters}
    branches = [
        _branch("fleet", _fleet(evidence, names)),
        _branch("gateway", _gateway(evidence, names)),
        *(_cluster(one, seen.get(one.spec.name), evidence, names) for one in evidence.clusters),
        _branch("specification", _drift(evidence.drift, names, told=bool(evidence.snapshot.gateway.drained))),
    ]
    return _branch(spec.name, branches)


def _fleet(evidence: Evidence, names: Mapping[str, str]) -> Iterator[Node]:
    feature, name = evidence.feature, f"feature {INGRESS_FEATURE}"
    if isinstance(feature, Silence):
        yield _unread(name, feature, names, fleet=True)
    elif feature is None:
        yield _leaf(name, State.NOT_READY, "feature: absent", names)
    else:
        ingress = Ingress(dict(feature), None)
        if ingress.state in UNDER_WAY:
            said = f"the feature {in_words(ingress.state)}"
        else:
            said = f"feature: {ingress.state} {ingress.description}".strip()
        yield _leaf(name, _state_of(ingress.state, {"OK"}), said, names)
    name = "GatewayClass on the config cluster"
    if isinstance(evidence.gateway_class, Silence):
        yield _unread(name, evidence.gateway_class, names)
    else:
        yield _leaf(name, _state(evidence.gateway_class), "GatewayClass: absent", names)
    if isinstance(evidence.imported, Silence):
        yield _unread("GCPInferencePoolImport", evidence.imported, names)
    else:
        yield _leaf("GCPInferencePoolImport", _state(evidence.imported), "import: absent", names)


def _gateway(evidence: Evidence, names: Mapping[str, str]) -> Iterator[Node]:
    gateway = evidence.snapshot.gateway
    if gateway.reason:
        yield _leaf("Gateway", State.UNKNOWN, gateway.reason, names)
    objects: dict[str, list[ConditionSnapshot]] = {}
    for one in gateway.conditions:
        objects.setdefault(one.object, []).append(one)
    for name, told in objects.items():
        mine = [one for one in told if not (name.startswith("Gateway/") and one.type in DEPRECATED)]
        yield _branch(name, [_condition(one, names) for one in mine])


def _condition(one: ConditionSnapshot, names: Mapping[str, str]) -> Node:
    short = one.type.rpartition("/")[2]
    state = {"True": State.READY, "False": State.NOT_READY}.get(one.status, State.UNKNOWN)
    said = ": ".join(part for part in (f"{short} is {one.status}", one.reason, one.message) if part)
    return _leaf(short, state, said, names)


def _cluster(
    cluster: ClusterEvidence, seen: ClusterSnapshot | None, evidence: Evidence, names: Mapping[str, str]
) -> Node:
    here = {**names, "cluster": cluster.spec.name, "region": cluster.spec.region}
    children = [_membership(cluster, evidence.feature, here)]
    drained = evidence.snapshot.gateway.drained
    why = drained.get(cluster.spec.region) or drained.get("*")
    if why:
        children.append(_leaf("capacity", State.NOT_READY, f"drained: {why}", here))
    if isinstance(cluster.pods, Silence):
        children.append(_unread("API server", cluster.pods, here))
    else:
        figures = {pod.name: pod for pod in seen.pods} if seen else {}
        pods = [pod for pod in cluster.pods if not over(pod)]
        children += [_pod(pod_seen(pod), figures, cluster, here) for pod in pods]
        if not pods:
            said = "no Pod of the model server is there"
            children.append(Node("Pods", State.NOT_READY, said, None, "", f"`mcig apply {names['stack']}`"))
    return _branch(f"{cluster.spec.name} ({cluster.spec.region})", children)


def _drift(drift: DriftSnapshot, names: Mapping[str, str], *, told: bool) -> Iterator[Node]:
    """What differs, a leaf a resource; of many that are absent one leaf for all, as they are during a first run.

    What a drill does is left out where it was ``told`` beside its region.
    """
    for state, found in groupby(sorted(drift.resources, key=lambda one: one.state), key=lambda one: one.state):
        together = list(found)
        if state == "drained" and told:
            continue
        if state == "absent" and len(together) > FEW:
            some = ", ".join(one.resource for one in together[:FEW])
            said = f"absent: {some} and {len(together) - FEW} more"
            yield _leaf(f"{len(together)} resources", State.NOT_READY, said, names)
            continue
        for one in together:
            said = f"{state}: {one.words or one.fields or one.resource}"
            yield _leaf(one.resource, State.NOT_READY, said, {**names, "resource": one.resource})


def _membership(cluster: ClusterEvidence, feature: object, names: Mapping[str, str]) -> Node:
    member = cluster.membership
    if isinstance(member, Silence):
        return _unread("membership", member, names, fleet=True)
    if member is None:
        return _leaf("membership", State.NOT_READY, "membership: absent", names)
    states = feature.get("membershipStates") or {} if isinstance(feature, Mapping) else {}
    wanted = _last(str(member.get("name")))
    state: Mapping[str, Any] = next(
        (one.get("state") or {} for name, one in states.items() if _last(name) == wanted), {}
    )
    code = (member.get("state") or {}).get("code") or UNSAID
    if state.get("code") == "ERROR":
        return _leaf("membership", State.NOT_READY, state.get("description") or "its state is ERROR", names)
    return _leaf("membership", _state_of(code, USABLE), f"the membership {in_words(code)}", names)


def _pod(
    pod: PodSnapshot, figures: Mapping[str, PodSnapshot], cluster: ClusterEvidence, names: Mapping[str, str]
) -> Node:
    here = {**names, "pod": pod.name}
    name = f"Pod {pod.name}"
    told = figures.get(pod.name)
    if pod.ready:
        if told is not None and told.reason is not None:
            missing = told.running is not None
            said = f"metric: {told.reason}" if missing else told.reason
            return _leaf(name, State.NOT_READY if missing else State.UNKNOWN, said, here)
        return Node(name, State.READY)
    log = cluster.logs.get(pod.name, "")
    text = "; ".join(dict.fromkeys([pod.phase, *cluster.warnings.get(pod.name, ())[:3]]))
    row = known(log, **here) if log else None
    if row is not None and row.name in LOGGED:
        lines = [line.strip() for line in reversed(log.splitlines()) if line.strip()]
        telling = (line for line in lines if (found := known(line)) is not None and found.name == row.name)
        said = f"{text}; its log says: {next(telling, lines[0])}"
        return Node(name, State.NOT_READY, said, row.name, row.cause, row.fix)
    return _leaf(name, State.NOT_READY, text, here)


def _unread(name: str, silence: Silence, names: Mapping[str, str], *, fleet: bool = False) -> Node:
    """What could not be asked; what the question tells of the cause and the way out wins over the table."""
    leaf = _leaf(name, State.UNKNOWN, f"{FLEET}{silence.reason}" if fleet else silence.reason, names)
    return replace(leaf, cause=silence.cause or leaf.cause, fix=silence.fix or leaf.fix)


def _leaf(name: str, state: State, said: str, names: Mapping[str, str]) -> Node:
    if state is State.READY:
        return Node(name, state)
    row = known(said, **names)
    if row is None:
        return Node(name, state, said)
    return Node(name, state, said, row.name, row.cause, row.fix)


def _branch(name: str, children: Iterable[Node]) -> Node:
    kept = tuple(children)
    order = list(State)
    worst = max((child.state for child in kept), key=order.index, default=State.READY)
    return Node(name, worst, children=kept)


def _state(good: bool) -> State:
    return State.READY if good else State.NOT_READY


def _state_of(code: str, good: Collection[str]) -> State:
    """Of a state in the cloud's word; what nothing was said of yet is unknown."""
    return State.UNKNOWN if code == UNSAID else _state(code in good)


def _last(name: str) -> str:
    return name.rpartition("/")[2]
