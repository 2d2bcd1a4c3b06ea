"""Which Node a Pod gets, and why it gets none.

A pure part: GPUs, the number of Pods, node selectors, node affinity and taints count; CPU and memory do not.
Invariant: neither the GPUs of the Pods on a Node nor the Pods are ever more than what the Node offers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy

from backend.emulator.kube.controllers.nodes import GPU
from backend.emulator.kube.controllers.objects import name_of
from backend.emulator.kube.controllers.seams import Object
from backend.emulator.kube.selectors import expression_holds

TOO_MANY = "Too many pods"
MOST_PODS = 110
"""Pods of a node that does not say how many it takes (GKE's default maxPodsPerNode)."""


def gpus_asked(spec: Object) -> int:
    """The GPUs that a PodSpec asks for."""
    asked = 0
    for container in spec["containers"]:
        resources = container.get("resources", {})
        asked += int(resources.get("limits", {}).get(GPU) or resources.get("requests", {}).get(GPU) or 0)
    return asked


def tolerations(spec: Object) -> list[Object]:
    """The Pod's tolerations, and the one for GPU nodes that admission gives to Pods that ask for GPUs."""
    own: list[Object] = deepcopy(spec.get("tolerations", []))
    if gpus_asked(spec) and not any(each.get("key") == GPU for each in own):
        own.append({"key": GPU, "operator": "Exists", "effect": "NoSchedule"})
    return own


def tolerates(allowed: Sequence[Object], taint: Object) -> bool:
    """Whether one of the tolerations covers the taint."""
    return any(
        each.get("effect") in (None, "", taint["effect"])
        and each.get("key") in (None, "", taint["key"])
        and (each.get("operator") == "Exists" or each.get("value", "") == taint.get("value", ""))
        for each in allowed
    )


def selects(spec: Object, labels: Object) -> bool:
    """Whether the Pod's nodeSelector and required node affinity accept a Node with these labels."""
    if any(labels.get(key) != value for key, value in spec.get("nodeSelector", {}).items()):
        return False
    affinity = spec.get("affinity", {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    if affinity is None:
        return True
    return any(
        all(expression_holds(each, labels) for each in term.get("matchExpressions", ()))
        for term in affinity["nodeSelectorTerms"]
    )


def refusal(spec: Object, node: Object, gpus_used: int) -> str | None:
    """Why this Node cannot take the Pod, in the scheduler's words; None when it can."""
    allowed = tolerations(spec)
    for taint in node["spec"].get("taints", ()):
        if taint["effect"] != "PreferNoSchedule" and not tolerates(allowed, taint):
            return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
    if not selects(spec, node["metadata"].get("labels", {})):
        return "node(s) didn't match Pod's node affinity/selector"
    asked = gpus_asked(spec)
    if asked and gpus_used + asked > int(node.get("status", {}).get("allocatable", {}).get(GPU, 0)):
        return f"Insufficient {GPU}"
    return None


def choose(pod: Object, nodes: Sequence[Object], pods: Sequence[Object]) -> tuple[str | None, str]:
    """The least busy Node that can take the Pod, else None and the scheduler's message; `pods` are the placed ones."""
    if not nodes:
        return None, "no nodes available to schedule pods"
    gpus_used: Counter[str] = Counter()
    placed: Counter[str] = Counter()
    for each in pods:
        place = each["spec"].get("nodeName", "")
        placed[place] += 1
        gpus_used[place] += gpus_asked(each["spec"])
    reasons: Counter[str] = Counter()
    fitting = []
    for node in nodes:
        full = placed[name_of(node)] >= int(node.get("status", {}).get("allocatable", {}).get("pods", MOST_PODS))
        why = TOO_MANY if full else refusal(pod["spec"], node, gpus_used[name_of(node)])
        if why is None:
            fitting.append(name_of(node))
        else:
            reasons[why] += 1
    if fitting:
        return min(fitting, key=lambda name: (placed[name], name)), ""
    return None, f"0/{len(nodes)} nodes are available: {listing(reasons)}. {preemption(reasons, len(nodes))}"


def listing(reasons: Mapping[str, int]) -> str:
    """ "2 this, 1 that", the way the scheduler counts reasons."""
    return ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))


def preemption(reasons: Mapping[str, int], total: int) -> str:
    """The scheduler's second sentence: whether evicting other Pods would help."""
    busy = sum(count for reason, count in reasons.items() if reason.startswith("Insufficient") or reason == TOO_MANY)
    outcome = {
        "No preemption victims found for incoming pod": busy,
        "Preemption is not helpful for scheduling": total - busy,
    }
    return f"preemption: 0/{total} nodes are available: {listing({why: n for why, n in outcome.items() if n})}."
