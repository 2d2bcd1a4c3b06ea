"""Changes to events: what the controllers, the kubelets and the scheduler of a real cluster would tell of them.

The news follow from what was written since the last pass, whoever wrote it; how far that was is data,
`tables["told"]["LOCATION/NAME"]`. Invariant: a change is told once, and events are no change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from backend.emulator.kube.controllers.deployments import RESOURCE as REPLICA_SETS
from backend.emulator.kube.controllers.deployments import revision_of
from backend.emulator.kube.controllers.fleet import CROSS_REGION_INTERNAL, config_cluster
from backend.emulator.kube.controllers.objects import condition, deleting, is_true, name_of, owned_by, path_of, uid_of
from backend.emulator.kube.controllers.podevents import pod_news
from backend.emulator.kube.controllers.policies import KINDS, target
from backend.emulator.kube.controllers.preemption import TAINT
from backend.emulator.kube.controllers.routes import GATEWAYS, ROUTES
from backend.emulator.kube.controllers.seams import Object, Store
from backend.emulator.kube.controllers.turn import Turn
from backend.emulator.kube.events import News, expire, record, reference

GATEWAY_COMPONENT = "sc-gateway-controller"
NODE_COMPONENT = "node-controller"
_JOB_COMPONENT = "job-controller"
_LAST_RECONCILE = "networking.gke.io/last-reconcile-time"

Teller = Callable[[Store, Object, Object | None], Iterator[News]]
"""What is told of the new version of an object in a store, by what it was before."""


async def reconcile(turn: Turn) -> None:
    """Tell what was written to every cluster since the last pass."""
    told = turn.world.tables.setdefault("told", {})
    for key in told.keys() - turn.world.kube.keys():
        del told[key]
    config = config_cluster(turn.world)
    for cluster in turn.world.kube.values():
        store = cluster.store
        tellers = {**_TELLERS, **_GATEWAY_TELLERS} if config is not None and config.key == cluster.key else _TELLERS
        news = [
            each
            for change in store.history.after(int(told.get(cluster.key, 0)))
            if (teller := tellers.get(change.resource)) is not None
            for each in (_gone(change.obj) if change.type == "DELETED" else teller(store, change.obj, change.before))
        ]
        if news:
            record(store, news)
            expire(store)
        told[cluster.key] = store.revision


def _gone(obj: Object) -> Iterator[News]:
    if obj["kind"] == "Node":
        text = f"Node {name_of(obj)} event: Removing Node {name_of(obj)} from Controller"
        yield News(reference(obj), "RemovingNode", text, NODE_COMPONENT)


def _node(_store: Store, node: Object, before: Object | None) -> Iterator[News]:
    name, about = name_of(node), reference(node)
    if before is None:
        text = f"Node {name} event: Registered Node {name} in Controller"
        yield News(about, "RegisteredNode", text, NODE_COMPONENT)
        return
    if TAINT in node["spec"].get("taints", ()) and TAINT not in before["spec"].get("taints", ()):
        yield News(about, "Shutdown", "Shutdown manager detected shutdown event", "kubelet", host=name)
    if is_true(node, "Ready") != is_true(before, "Ready"):
        state = "NodeReady" if is_true(node, "Ready") else "NodeNotReady"
        who = ("kubelet", name) if is_true(node, "Ready") else (NODE_COMPONENT, "")
        yield News(about, state, f"Node {name} status is now: {state}", who[0], host=who[1])


def _replica_set(_store: Store, found: Object, before: Object | None) -> Iterator[News]:
    was, size = (before or {}).get("spec", {}).get("replicas", 0), found["spec"].get("replicas", 0)
    owner = next((each for each in found["metadata"].get("ownerReferences", ()) if each.get("controller")), None)
    if owner is not None and size != was and not deleting(found):
        about = {key: owner[key] for key in ("apiVersion", "kind", "name", "uid")}
        about["namespace"] = found["metadata"]["namespace"]
        text = f"Scaled {'up' if size > was else 'down'} replica set {name_of(found)} from {was} to {size}"
        yield News(about, "ScalingReplicaSet", text, "deployment-controller")


def _deployment(store: Store, found: Object, before: Object | None) -> Iterator[News]:
    why, known = (condition((each or {}).get("status", {}), "ReplicaFailure") for each in (found, before))
    sets = owned_by(store.list(REPLICA_SETS, found["metadata"]["namespace"]), uid_of(found))
    if why and why["message"] != (known or {}).get("message") and sets:
        newest = max(sets, key=revision_of)
        text = f"Error creating: {why['message']}"
        yield News(reference(newest), why["reason"], text, "replicaset-controller", warning=True)


def _job(_store: Store, job: Object, before: Object | None) -> Iterator[News]:
    if is_true(job, "Complete") and not is_true(before or {}, "Complete"):
        yield News(reference(job), "Completed", "Job completed", _JOB_COMPONENT)
    if (failed := _newly_false(job, before, "Failed", wanted="True")) is not None:
        yield News(reference(job), failed["reason"], failed["message"], _JOB_COMPONENT, warning=True)


def _gateway(_store: Store, gateway: Object, before: Object | None) -> Iterator[News]:
    if gateway["spec"].get("gatewayClassName") != CROSS_REGION_INTERNAL:
        return
    yield from _noticed(gateway, before)
    if (broken := _newly_false(gateway, before, "Programmed")) is not None:
        text = f'failed to translate Gateway "{path_of(gateway)}": {broken["message"]}'
        yield _sync(gateway, text, warning=True)
    elif is_true(gateway, "Programmed") and _synced(gateway) != _synced(before):
        yield _sync(gateway, f"SYNC on {path_of(gateway)} was a success")


def _synced(gateway: Object | None) -> object:
    """What changes whenever a Gateway was programmed anew."""
    if gateway is None or not is_true(gateway, "Programmed"):
        return None
    programmed = condition(gateway, "Programmed") or {}
    return programmed.get("observedGeneration"), gateway["metadata"].get("annotations", {}).get(_LAST_RECONCILE)


def _route(_store: Store, route: Object, before: Object | None) -> Iterator[News]:
    parents = route.get("status", {}).get("parents", ())
    if not parents:
        return
    old = {str(each["parentRef"]): each for each in (before or {}).get("status", {}).get("parents", ())}
    if not old:
        yield _told(route, "ADD", path_of(route))
    for parent in parents:
        known = old.get(str(parent["parentRef"]))
        if (broken := _newly_false(parent, known, "ResolvedRefs", "Accepted")) is not None:
            yield _sync(route, broken["message"], warning=True)
        elif is_true(parent, "Reconciled") and not is_true(known or {}, "Reconciled"):
            gateway = (
                f"{parent['parentRef'].get('namespace', route['metadata']['namespace'])}/{parent['parentRef']['name']}"
            )
            for what in ("Bind", "Reconciliation"):
                yield _sync(route, f'{what} of HTTPRoute "{path_of(route)}" to Gateway "{gateway}" was a success')


def _policy(_store: Store, policy: Object, before: Object | None) -> Iterator[News]:
    if target(policy) is None:
        return
    yield from _noticed(policy, before)
    if (broken := _newly_false(policy, before, "Attached")) is not None:
        yield _sync(policy, broken["message"], warning=True)
    elif is_true(policy, "Attached") and not is_true(before or {}, "Attached"):
        yield _sync(policy, f'Application of {policy["kind"]} "{path_of(policy)}" was a success')


def _noticed(found: Object, before: Object | None) -> Iterator[News]:
    """That the Gateway controller saw a new object, or a new version of its spec."""
    if before is None:
        yield _told(found, "ADD", path_of(found))
    elif found["metadata"].get("generation") != before["metadata"].get("generation"):
        yield _told(found, "UPDATE", path_of(found))


def _newly_false(found: Object, before: Object | None, *kinds: str, wanted: str = "False") -> Object | None:
    """The first of these conditions that has a status with a message that it did not have before."""
    for kind in kinds:
        now, known = condition(found, kind), condition(before or {}, kind)
        if now is None or now["status"] != wanted:
            continue
        if known is None or (known["status"], known.get("message")) != (wanted, now.get("message")):
            return now
    return None


def _sync(about: Object, text: str, *, warning: bool = False) -> News:
    return _told(about, "SYNC", text, warning=warning)


def _told(about: Object, reason: str, text: str, *, warning: bool = False) -> News:
    return News(reference(about), reason, text, GATEWAY_COMPONENT, warning=warning)


_TELLERS: Mapping[str, Teller] = {
    "/nodes": _node,
    "/pods": pod_news,
    "apps/deployments": _deployment,
    REPLICA_SETS: _replica_set,
    "batch/jobs": _job,
}
_GATEWAY_TELLERS: Mapping[str, Teller] = {
    GATEWAYS: _gateway,
    ROUTES: _route,
    **dict.fromkeys(KINDS, _policy),
}
"""What the multi-cluster controller tells, on the config cluster."""
