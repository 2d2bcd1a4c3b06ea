"""ReplicaSets to Pods: as many Pods as asked for, the least useful ones going first.

Invariant: every Pod that a ReplicaSet makes has a name that this ReplicaSet never gave before.
"""

from __future__ import annotations

from copy import deepcopy

from backend.emulator.kube.admission import Write, judge
from backend.emulator.kube.controllers.objects import (
    deleting,
    is_true,
    name_of,
    namespace_of,
    owned_by,
    owner,
    path_of,
    suffix,
    uid_of,
)
from backend.emulator.kube.controllers.scheduling import tolerations
from backend.emulator.kube.controllers.seams import Cluster, Object, Store
from backend.emulator.kube.controllers.turn import Turn

MANAGER = "kube-controller-manager"
BURST = 500
"""Pods that one pass makes for one owner (burstReplicas of pkg/controller/replicaset)."""
POD_QUOTA = 1500
"""Pods that GKE lets a namespace of a small cluster have (ResourceQuota gke-resource-quotas)."""
POD_NAME_BASE = 58
"""Longest part of a Pod's name before the generated suffix: 63 less 5."""


def finished(pod: Object) -> bool:
    """Whether the Pod's containers ended for good."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def pods_of(store: Store, replica_set: Object) -> list[Object]:
    """The Pods that the ReplicaSet controls and that count: neither ended nor on their way out."""
    owned = owned_by(store.list("/pods", namespace_of(replica_set)), uid_of(replica_set))
    return [pod for pod in owned if not finished(pod) and not deleting(pod)]


def usefulness(pod: Object) -> tuple[bool, bool, str]:
    """Sorts Pods by how much would be lost with them: unscheduled, then not ready, then the rest."""
    return bool(pod["spec"].get("nodeName")), is_true(pod, "Ready"), name_of(pod)


def refused(store: Store, pod: Object) -> str:
    """Why admission refuses a Pod, in the API server's words; empty when it does not."""
    namespace, base = namespace_of(pod), pod["metadata"]["generateName"]
    account = pod["spec"].get("serviceAccountName", "default")
    if account != "default" and store.get("/serviceaccounts", namespace, account) is None:
        return (
            f'pods "{base}" is forbidden: error looking up service account {namespace}/{account}: '
            f'serviceaccount "{account}" not found'
        )
    write = Write("", "v1", "Pod", "pods", "CREATE", base, namespace, new=pod, old=None)
    refusal = judge(store, write).refusal
    return refusal.message if refusal is not None else ""


def pod_from(template: Object, parent: Object, name: str) -> Object:
    """A Pod of the template, controlled by `parent`."""
    metadata = template.get("metadata", {})
    spec = deepcopy(template["spec"])
    spec["tolerations"] = tolerations(spec)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "generateName": f"{name_of(parent)[: POD_NAME_BASE - 1]}-",
            "namespace": namespace_of(parent),
            "labels": dict(metadata.get("labels", {})),
            **({"annotations": dict(metadata["annotations"])} if metadata.get("annotations") else {}),
            "ownerReferences": [owner(parent)],
        },
        "spec": spec,
    }


def make(turn: Turn, cluster: Cluster, parent: Object, wanted: int) -> tuple[list[Object], str]:
    """Pods of a parent's template, as many as one pass may make of those wanted, and why there are no more."""
    store, namespace, template = cluster.store, namespace_of(parent), parent["spec"]["template"]
    why = refused(store, pod_from(template, parent, "")) if wanted > 0 else ""
    if wanted <= 0 or why:
        return [], why
    used = sum(not finished(pod) for pod in store.list("/pods", namespace))
    count = min(wanted, BURST, max(POD_QUOTA - used, 0))
    if not count:
        base = pod_from(template, parent, "")["metadata"]["generateName"]
        quota = f"requested: pods=1, used: pods={used}, limited: pods={POD_QUOTA}"
        return [], f'pods "{base}" is forbidden: exceeded quota: gke-resource-quotas, {quota}'
    made = []
    for _ in range(count):
        pod = pod_from(template, parent, next_name(turn, cluster, parent))
        made.append(store.create("/pods", pod, manager=MANAGER))
    return made, ""


def next_name(turn: Turn, cluster: Cluster, parent: Object) -> str:
    """A Pod name that this parent has not used yet, from the parent's name and the count of Pods it made."""
    made = turn.world.tables.setdefault("pods-made", {})
    key, base = uid_of(parent), name_of(parent)[: POD_NAME_BASE - 1]
    while True:
        number = made.get(key, 0)
        made[key] = number + 1
        name = f"{base}-{suffix(5, cluster.key, path_of(parent), number)}"
        if cluster.store.get("/pods", namespace_of(parent), name) is None:
            return name


def scale(turn: Turn, cluster: Cluster, replica_set: Object) -> str:
    """Make or remove Pods until their number is `spec.replicas`; returns why none could be made, or nothing."""
    store, namespace = cluster.store, namespace_of(replica_set)
    pods = pods_of(store, replica_set)
    surplus = len(pods) - replica_set["spec"].get("replicas", 1)
    for pod in sorted(pods, key=usefulness)[: max(surplus, 0)]:
        store.delete("/pods", namespace, name_of(pod))
    return make(turn, cluster, replica_set, -surplus)[1]


def status(store: Store, replica_set: Object) -> Object:
    """The ReplicaSet's status as its Pods are now."""
    pods = pods_of(store, replica_set)
    ready = sum(is_true(pod, "Ready") for pod in pods)
    found: Object = {"replicas": len(pods), "observedGeneration": replica_set["metadata"].get("generation", 1)}
    if pods:
        found["fullyLabeledReplicas"] = len(pods)
    if ready:
        found |= {"readyReplicas": ready, "availableReplicas": ready}
    return found


def forget_gone(turn: Turn) -> None:
    """Drop the Pod counts of parents that no longer exist."""
    made = turn.world.tables.get("pods-made", {})
    living = {
        uid_of(obj)
        for cluster in turn.world.kube.values()
        for resource in ("apps/replicasets", "batch/jobs")
        for obj in cluster.store.list(resource)
    }
    for uid in made.keys() - living:
        del made[uid]


async def reconcile(turn: Turn) -> None:
    """Report every ReplicaSet; one that no Deployment controls is scaled here too."""
    forget_gone(turn)
    for cluster in turn.world.kube.values():
        for each in cluster.store.list("apps/replicasets"):
            if deleting(each):
                continue
            if not each["metadata"].get("ownerReferences"):
                scale(turn, cluster, each)
            wanted = status(cluster.store, each)
            if wanted != each.get("status"):
                cluster.store.set_status("apps/replicasets", namespace_of(each), name_of(each), wanted, manager=MANAGER)
