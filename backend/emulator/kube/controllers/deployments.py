"""Deployments to ReplicaSets: one for each Pod template, rolled over within the surge and shortfall of the spec.

Invariant: ready Pods of an old template leave only as Pods of the new one become ready (RollingUpdate), or all before
the first new one comes (Recreate).
"""

from __future__ import annotations

import json
import math
from copy import deepcopy

from backend.emulator.kube.controllers.objects import (
    Condition,
    condition,
    conditions,
    deleting,
    is_true,
    name_of,
    namespace_of,
    owned_by,
    owner,
    suffix,
    timestamp,
    uid_of,
)
from backend.emulator.kube.controllers.replicasets import MANAGER, pods_of, scale
from backend.emulator.kube.controllers.seams import Cluster, Object, Store
from backend.emulator.kube.controllers.turn import Turn

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
RESOURCE = "apps/replicasets"


def template_hash(template: Object) -> str:
    """The label value that tells one Pod template from another."""
    return suffix(10, json.dumps(template, sort_keys=True))


def bound(value: object, replicas: int, *, up: bool) -> int:
    """A maxSurge or maxUnavailable as a number of Pods; percentages round up for the surge, down for the shortfall."""
    if isinstance(value, str) and value.endswith("%"):
        share = replicas * int(value[:-1]) / 100
        return math.ceil(share) if up else math.floor(share)
    return int(str(value))


def recreates(deployment: Object) -> bool:
    """Whether the Deployment replaces its Pods all at once."""
    return bool(deployment["spec"].get("strategy", {}).get("type") == "Recreate")


def limits(deployment: Object) -> tuple[int, int]:
    """(max surge, max unavailable) in Pods of a rolling update; never both 0."""
    replicas = deployment["spec"].get("replicas", 1)
    rolling = deployment["spec"].get("strategy", {}).get("rollingUpdate", {})
    surge = bound(rolling.get("maxSurge", "25%"), replicas, up=True)
    shortfall = bound(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    return surge, shortfall if surge else max(shortfall, 1)


def replica_set(deployment: Object, revision: int) -> Object:
    """The empty ReplicaSet of the Deployment's current Pod template."""
    template = deepcopy(deployment["spec"]["template"])
    value = template_hash(template)
    labels = {**template.get("metadata", {}).get("labels", {}), HASH: value}
    template.setdefault("metadata", {})["labels"] = labels
    selector = deepcopy(deployment["spec"]["selector"])
    selector.setdefault("matchLabels", {})[HASH] = value
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{name_of(deployment)}-{value}",
            "namespace": namespace_of(deployment),
            "labels": dict(labels),
            "annotations": {REVISION: str(revision)},
            "ownerReferences": [owner(deployment)],
        },
        "spec": {"replicas": 0, "selector": selector, "template": template},
    }


def revision_of(obj: Object) -> int:
    """The rollout revision an object carries; 0 when none."""
    return int(obj["metadata"].get("annotations", {}).get(REVISION, 0))


def resize(store: Store, obj: Object, replicas: int) -> Object:
    """Set a ReplicaSet's size, if it differs; returns the ReplicaSet as it is then."""
    if obj["spec"].get("replicas") == replicas:
        return obj
    return store.replace(RESOURCE, {**obj, "spec": {**obj["spec"], "replicas": replicas}}, manager=MANAGER)


def current(store: Store, deployment: Object, owned: list[Object]) -> Object:
    """The ReplicaSet of the Deployment's current template, made or given the highest revision when needed."""
    latest = max(map(revision_of, owned), default=0)
    name = f"{name_of(deployment)}-{template_hash(deployment['spec']['template'])}"
    found = next((each for each in owned if name_of(each) == name), None)
    if found is None:
        return store.create(RESOURCE, replica_set(deployment, latest + 1), manager=MANAGER)
    if revision_of(found) < latest:
        annotations = {REVISION: str(latest + 1)}
        return store.annotate(RESOURCE, namespace_of(found), name_of(found), annotations, manager=MANAGER)
    return found


def ready(store: Store, obj: Object) -> int:
    """How many of a ReplicaSet's Pods are ready."""
    return sum(is_true(pod, "Ready") for pod in pods_of(store, obj))


def roll(turn: Turn, cluster: Cluster, deployment: Object, new: Object, old: list[Object]) -> str:
    """Move Pods from old ReplicaSets to the new one as far as allowed now; returns why none could be made, or ""."""
    store, replicas = cluster.store, deployment["spec"].get("replicas", 1)
    surge, shortfall = limits(deployment)
    if recreates(deployment):
        for each in old:
            scale(turn, cluster, resize(store, each, 0))
        uids = [uid_of(each) for each in old]
        pods = store.list("/pods", namespace_of(deployment))
        leaving = any(owned_by(pods, uid) for uid in uids)
        new = resize(store, new, 0 if leaving else replicas)
        return scale(turn, cluster, new)
    size = new["spec"].get("replicas", 0)
    others = sum(each["spec"].get("replicas", 0) for each in old)
    size = replicas if size > replicas else max(size, min(replicas, replicas + surge - others))
    new = resize(store, new, size)
    why = scale(turn, cluster, new)
    spare = sum(ready(store, each) for each in (*old, new)) - (replicas - shortfall)
    for each in sorted(old, key=revision_of):
        pods = pods_of(store, each)
        unready = len(pods) - ready(store, each)
        surplus = unready + max(0, min(spare, len(pods) - unready))
        spare -= surplus - unready
        scale(turn, cluster, resize(store, each, min(each["spec"].get("replicas", 0), len(pods) - surplus)))
    return why


def _overdue(turn: Turn, cluster: Cluster, deployment: Object, new: Object, counts: tuple[int, int]) -> bool:
    """Whether nothing has become of a roll-out for longer than its progressDeadlineSeconds.

    A deadline that was met before is kept until something moves; paced like what it waits for, and never met where
    nothing takes any time.
    """
    limit = turn.world.pace.played(float(deployment["spec"].get("progressDeadlineSeconds", 600)))
    moved = ":".join(map(str, (*counts, new["spec"].get("replicas", 0))))
    return limit > 0 and turn.elapsed(f"progress {cluster.key} {uid_of(deployment)} {uid_of(new)} {moved}", limit)


def status(turn: Turn, cluster: Cluster, deployment: Object, new: Object, why: str) -> Object:
    """The Deployment's status as its ReplicaSets are now."""
    store, previous = cluster.store, deployment.get("status", {})
    replicas = deployment["spec"].get("replicas", 1)
    sets = owned_by(store.list(RESOURCE, namespace_of(deployment)), uid_of(deployment))
    total = sum(len(pods_of(store, each)) for each in sets)
    available = sum(ready(store, each) for each in sets)
    updated = len(pods_of(store, new))
    _, shortfall = limits(deployment)
    enough = available >= replicas - (0 if recreates(deployment) else shortfall)
    subject = f'ReplicaSet "{name_of(new)}"'
    progress = condition(previous, "Progressing") or {}
    settled = progress.get("reason") == "NewReplicaSetAvailable" and subject in progress.get("message", "")
    done = updated == total == available == replicas or settled
    over = not done and _overdue(turn, cluster, deployment, new, (updated, available))
    wanted = [
        Condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        if enough
        else Condition(
            "Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
        ),
        Condition("Progressing", "True", "NewReplicaSetAvailable", f"{subject} has successfully progressed.")
        if done
        else Condition("Progressing", "False", "ProgressDeadlineExceeded", f"{subject} has timed out progressing.")
        if over
        else Condition("Progressing", "True", "ReplicaSetUpdated", f"{subject} is progressing."),
    ]
    if why:
        wanted.append(Condition("ReplicaFailure", "True", "FailedCreate", why))
    before = previous.get("conditions", ())
    times = {
        (old["type"], old["status"], old.get("reason")): old["lastUpdateTime"]
        for old in before
        if old.get("lastUpdateTime")
    }
    stamped = conditions(before, wanted, turn.now)
    for each in stamped:
        key = each["type"], each["status"], each["reason"]
        each["lastUpdateTime"] = times.get(key, timestamp(turn.now))
    counts = {
        "replicas": total,
        "updatedReplicas": updated,
        "readyReplicas": available,
        "availableReplicas": available,
        "unavailableReplicas": max(total, replicas) - available,
    }
    return {
        "observedGeneration": deployment["metadata"].get("generation", 1),
        **{key: count for key, count in counts.items() if count},
        "conditions": stamped,
    }


def reconcile_deployment(turn: Turn, cluster: Cluster, deployment: Object) -> None:
    """One step of one Deployment towards its spec."""
    store, namespace, name = cluster.store, namespace_of(deployment), name_of(deployment)
    owned = owned_by(store.list(RESOURCE, namespace), uid_of(deployment))
    new = current(store, deployment, owned)
    if revision_of(deployment) != revision_of(new):
        annotations = {REVISION: str(revision_of(new))}
        deployment = store.annotate("apps/deployments", namespace, name, annotations, manager=MANAGER)
    why = roll(turn, cluster, deployment, new, [each for each in owned if uid_of(each) != uid_of(new)])
    wanted = status(turn, cluster, deployment, new, why)
    if wanted != deployment.get("status"):
        store.set_status("apps/deployments", namespace, name, wanted, manager=MANAGER)


async def reconcile(turn: Turn) -> None:
    """One step of every Deployment towards its spec."""
    for cluster in turn.world.kube.values():
        for deployment in cluster.store.list("apps/deployments"):
            if not deleting(deployment):
                reconcile_deployment(turn, cluster, deployment)
