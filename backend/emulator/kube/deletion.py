"""Deleting: grace, finalizers, and the garbage collection of what an object owns or contains.

Invariant: an object that is being deleted has a deletionTimestamp and goes when nothing holds it any more: no
finalizer, no grace of a running Pod, no content of a namespace, no resource of a definition.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from backend.emulator.kube.errors import qualified
from backend.emulator.kube.objects import Object
from backend.emulator.kube.registry import CRDS

if TYPE_CHECKING:
    from backend.emulator.kube.store import Store

COLLECTOR = "kube-controller-manager"
_FOREGROUND = "foregroundDeletion"


def delete(store: Store, resource: str, live: Object, *, grace: int | None, propagation: str) -> None:
    """Deletes an object, or marks it so; ``grace`` in seconds is for Pods, ``propagation`` for what it owns."""
    meta = live["metadata"]
    if propagation == "Orphan":
        for inner, dependent in dependents(store, meta["uid"]):
            _disown(store, inner, dependent, meta["uid"])
    foreground = propagation == "Foreground" and any(dependents(store, meta["uid"]))
    seconds = _grace(resource, live, grace)
    finalizers = [*(meta.get("finalizers") or []), *([_FOREGROUND] if foreground else [])]
    if not seconds and not finalizers and resource not in ("/namespaces", CRDS):
        remove(store, resource, live)
        return
    if "deletionTimestamp" not in meta or seconds < meta["deletionGracePeriodSeconds"]:
        live = _mark(store, resource, live, seconds, finalizers)
    if foreground:
        for inner, dependent in dependents(store, meta["uid"]):
            _delete_again(store, inner, dependent, "Foreground")
    for inner, obj in tuple(_content(store, resource, live)):
        _delete_again(store, inner, obj)
    let_go(store, resource, live)


def finalize(store: Store, resource: str, live: Object) -> None:
    """Ends the grace of an object; finalizers still hold it."""
    if not live["metadata"].get("finalizers"):
        remove(store, resource, live)
        return
    meta = {**live["metadata"], "deletionGracePeriodSeconds": 0}
    meta.setdefault("deletionTimestamp", store.timestamp())
    store.commit(resource, "MODIFIED", {**live, "metadata": meta}, live)


def remove(store: Store, resource: str, live: Object) -> None:
    """Takes an object away for good, and then what only it owned."""
    if resource == CRDS:
        store.registry.remove(_defined(live))
    store.commit(resource, "DELETED", live, live)
    uid = live["metadata"]["uid"]
    for inner, dependent in dependents(store, uid):
        owners = {reference["uid"] for reference in dependent["metadata"]["ownerReferences"]} - {uid}
        if any(obj["metadata"]["uid"] in owners for _, obj in store.everything()):
            _disown(store, inner, dependent, uid)
        else:
            _delete_again(store, inner, dependent)
    _wake(store, live)


def let_go(store: Store, resource: str, live: Object) -> None:
    """Removes an object that is being deleted once nothing holds it any more."""
    meta = live["metadata"]
    if "deletionTimestamp" not in meta:
        return
    finalizers = meta.get("finalizers") or []
    if _FOREGROUND in finalizers and not any(dependents(store, meta["uid"])):
        store.drop_finalizer(resource, meta.get("namespace"), meta["name"], _FOREGROUND)
        return
    if finalizers or meta.get("deletionGracePeriodSeconds") or any(_content(store, resource, live)):
        return
    if store.get(resource, meta.get("namespace"), meta["name"]) is not None:
        remove(store, resource, live)


def dependents(store: Store, uid: str) -> Iterator[tuple[str, Object]]:
    """The objects that name a uid as an owner, each with its resource."""
    for resource, obj in store.everything():
        if any(one["uid"] == uid for one in obj["metadata"].get("ownerReferences") or ()):
            yield resource, obj


def _grace(resource: str, live: Object, asked: int | None) -> int:
    """Seconds that an object stays after a delete: only a Pod that runs on a node has any."""
    spec, phase = live.get("spec") or {}, (live.get("status") or {}).get("phase")
    if resource != "/pods" or not spec.get("nodeName") or phase in ("Succeeded", "Failed"):
        return 0
    return int(spec.get("terminationGracePeriodSeconds", 30) if asked is None else asked)


def _mark(store: Store, resource: str, live: Object, seconds: int, finalizers: list[str]) -> Object:
    meta = {
        **live["metadata"],
        "deletionTimestamp": store.timestamp(seconds),
        "deletionGracePeriodSeconds": seconds,
    }
    if finalizers:
        meta["finalizers"] = list(dict.fromkeys(finalizers))
    new = {**live, "metadata": meta}
    if resource == "/namespaces":
        new["status"] = {**(live.get("status") or {}), "phase": "Terminating"}
    return store.commit(resource, "MODIFIED", new, live)


def _delete_again(store: Store, resource: str, obj: Object, propagation: str = "Background") -> None:
    """Deletes what another deletion leads to, unless it is gone by now."""
    live = store.get(resource, obj["metadata"].get("namespace"), obj["metadata"]["name"])
    if live is not None:
        delete(store, resource, live, grace=None, propagation=propagation)


def _disown(store: Store, resource: str, obj: Object, uid: str) -> None:
    kept = [one for one in obj["metadata"]["ownerReferences"] if one["uid"] != uid]
    new = {**obj, "metadata": {**obj["metadata"], "ownerReferences": kept}}
    store.write(resource, obj, new, manager=COLLECTOR)


def _wake(store: Store, gone: Object) -> None:
    """Looks again at the owners, the namespace and the definition that may wait for an object that is gone now."""
    meta = gone["metadata"]
    for reference in meta.get("ownerReferences") or ():
        owner = _owner(store, reference, meta.get("namespace"))
        if owner is not None:
            let_go(store, *owner)
    namespace = store.get("/namespaces", None, meta.get("namespace") or "")
    if namespace is not None:
        let_go(store, "/namespaces", namespace)
    kind = store.registry.by_kind(gone["apiVersion"], gone["kind"])
    definition = store.get(CRDS, None, qualified(kind.plural, kind.group)) if kind is not None else None
    if definition is not None:
        let_go(store, CRDS, definition)


def _owner(store: Store, reference: Mapping[str, Any], namespace: str | None) -> tuple[str, Object] | None:
    kind = store.registry.by_kind(reference["apiVersion"], reference["kind"])
    if kind is None:
        return None
    found = store.get(kind.resource, namespace if kind.namespaced else None, reference["name"])
    return (kind.resource, found) if found is not None and found["metadata"]["uid"] == reference["uid"] else None


def _content(store: Store, resource: str, live: Object) -> Iterator[tuple[str, Object]]:
    """What is inside a namespace, or the custom resources of a definition."""
    if resource == "/namespaces":
        name = live["metadata"]["name"]
        yield from ((inner, obj) for inner, obj in store.everything() if obj["metadata"].get("namespace") == name)
    elif resource == CRDS:
        inner = _defined(live)
        yield from ((inner, obj) for obj in store.list(inner))


def _defined(crd: Mapping[str, Any]) -> str:
    return f"{crd['spec']['group']}/{crd['spec']['names']['plural']}"
