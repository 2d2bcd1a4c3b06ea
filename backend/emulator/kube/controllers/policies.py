"""GCPBackendPolicies and HealthCheckPolicies of imports: which of them is in force.

Only policies on the config cluster that target a GCPInferencePoolImport are judged; one that targets an InferencePool
belongs to a single-cluster Gateway and stays without a status. Invariant: at most one policy of a kind is in force
for an import, the oldest.
"""

from __future__ import annotations

from backend.emulator.kube.controllers.exports import IMPORTS
from backend.emulator.kube.controllers.fleet import MANAGER, config_cluster
from backend.emulator.kube.controllers.objects import (
    Condition,
    conditions,
    deleting,
    is_true,
    name_of,
    namespace_of,
    path_of,
    uid_of,
)
from backend.emulator.kube.controllers.seams import Object, Store
from backend.emulator.kube.controllers.turn import Turn

BACKEND = "networking.gke.io/gcpbackendpolicies"
HEALTH = "networking.gke.io/healthcheckpolicies"
KINDS = {BACKEND: "GCPBackendPolicy", HEALTH: "HealthCheckPolicy"}


def target(policy: Object) -> tuple[str, str] | None:
    """(namespace, name) of the import that a policy targets; None when it targets something else."""
    ref = policy["spec"]["targetRef"]
    if (ref.get("group"), ref.get("kind")) != ("networking.gke.io", "GCPInferencePoolImport"):
        return None
    return ref.get("namespace", namespace_of(policy)), ref["name"]


def rivals(store: Store, resource: str, wanted: tuple[str, str]) -> list[Object]:
    """The policies of a kind that target one import, the oldest first, then by name."""
    found = [each for each in store.list(resource) if target(each) == wanted and not deleting(each)]
    return sorted(found, key=lambda each: (each["metadata"]["creationTimestamp"], path_of(each)))


def in_force(store: Store, resource: str, namespace: str, name: str) -> Object | None:
    """The `spec.default` of the policy that is attached to an import; None when there is none."""
    for policy in rivals(store, resource, (namespace, name)):
        if is_true(policy, "Attached"):
            default: Object = policy["spec"].get("default", {})
            return default
    return None


def verdict(turn: Turn, store: Store, resource: str, policy: Object, wanted: tuple[str, str]) -> Condition | None:
    """Whether the policy is attached; None while the controller has not come to it."""
    namespace, name = wanted
    subject = f'{KINDS[resource]} "{path_of(policy)}"'
    if namespace != namespace_of(policy) or store.get(IMPORTS, namespace, name) is None:
        why = f"Application of {subject} failed: GCPInferencePoolImport {namespace}/{name} not found"
        return Condition("Attached", "False", "TargetNotFound", why)
    first = rivals(store, resource, wanted)[0]
    if uid_of(first) != uid_of(policy):
        stronger = f'{KINDS[resource]} "{path_of(first)}" of higher precedence'
        why = f"Application of {subject} failed: conflicted with {stronger}"
        return Condition("Attached", "False", "Conflicted", why)
    if turn.waited("policy.attach", f"{resource}/{path_of(policy)}", uid_of(policy)):
        return Condition("Attached", "True", "Attached")
    return None


async def reconcile(turn: Turn) -> None:
    """Report every policy of the config cluster that targets an import."""
    config = config_cluster(turn.world)
    if config is None:
        return
    store = config.store
    for resource in KINDS:
        for policy in store.list(resource):
            wanted = target(policy)
            if wanted is None or deleting(policy):
                continue
            found = verdict(turn, store, resource, policy, wanted)
            if found is None:
                continue
            previous = policy.get("status", {}).get("conditions", ())
            generation = policy["metadata"].get("generation", 1)
            status = {"conditions": conditions(previous, [found], turn.now, generation=generation)}
            if status != policy.get("status"):
                store.set_status(resource, namespace_of(policy), name_of(policy), status, manager=MANAGER)
