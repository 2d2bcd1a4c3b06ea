"""Events: what happened to an object, kept for an hour, the same news counted instead of repeated.

A real cluster keeps them in an etcd of their own and lets their leases run out, so they are no part of what the
controllers look at. Invariant: there are never more than :data:`MOST`, and none that was last seen more than
:data:`LIFETIME_S` before somebody looks.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

EVENTS = "/events"
LIFETIME_S = 3600.0
"""Seconds that an event is kept after it was last seen (kube-apiserver --event-ttl)."""
MOST = 1000
"""Events of a cluster; the oldest make room."""
_CLUSTER_SCOPED = "default"
"""The namespace of events about objects that have none."""

_RENAMED = {
    "count": "deprecatedCount",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "involvedObject": "regarding",
    "lastTimestamp": "deprecatedLastTimestamp",
    "message": "note",
    "reportingComponent": "reportingController",
    "source": "deprecatedSource",
}
"""Fields whose name in events.k8s.io/v1 is another (k8s.io/kubernetes/pkg/apis/events/v1/conversion.go)."""

Object = dict[str, Any]


class Shelf(Protocol):
    """Where the events of a cluster are kept."""

    @property
    def revision(self) -> int: ...
    def now(self) -> float: ...
    def get(self, resource: str, namespace: str | None, name: str) -> Object | None: ...
    def list(self, resource: str) -> Sequence[Object]: ...
    def commit(self, resource: str, event: str, new: Object, before: Object | None) -> Object: ...
    def timestamp(self, later: float = 0.0) -> str: ...


@dataclass(frozen=True, slots=True)
class News:
    """Something that is worth an event."""

    about: Mapping[str, Any]
    """The ObjectReference of the object that it happened to."""
    reason: str
    message: str
    component: str
    """Who tells it, such as kubelet."""
    warning: bool = False
    host: str = ""
    """The node of a component that runs on one."""


def reference(obj: Mapping[str, Any], container: str = "") -> Object:
    """The ObjectReference of an object; ``container`` is the path of one of a Pod's, such as spec.containers{main}."""
    meta = obj["metadata"]
    found = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "name": meta["name"], "uid": meta["uid"]}
    for name in ("namespace", "resourceVersion"):
        if meta.get(name):
            found[name] = meta[name]
    if container:
        found["fieldPath"] = container
    return found


def record(store: Shelf, told: Iterable[News]) -> None:
    """Writes events, or counts those that say what is known; none where its namespace is gone or going."""
    known = {_identity(event): event for event in store.list(EVENTS)}
    for news in told:
        namespace = news.about.get("namespace") or _CLUSTER_SCOPED
        home = store.get("/namespaces", None, namespace)
        if home is None or "deletionTimestamp" in home["metadata"]:
            continue
        event = _event(news, namespace, store)
        identity = _identity(event)
        live = known.get(identity)
        if live is not None:
            event = {**live, "count": live.get("count", 1) + 1, "lastTimestamp": event["lastTimestamp"]}
        known[identity] = store.commit(EVENTS, "ADDED" if live is None else "MODIFIED", event, live)


def _event(news: News, namespace: str, store: Shelf) -> Object:
    now = store.timestamp()
    moment = int(store.now() * 1e9) + store.revision
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{news.about['name']}.{moment:x}",
            "namespace": namespace,
            "uid": str(uuid.uuid4()),
            "creationTimestamp": now,
        },
        "involvedObject": dict(news.about),
        "reason": news.reason,
        "message": news.message,
        "source": {"component": news.component, **({"host": news.host} if news.host else {})},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
        "type": "Warning" if news.warning else "Normal",
        "eventTime": None,
        "reportingComponent": news.component,
        "reportingInstance": news.host,
    }


def expire(store: Shelf) -> None:
    """Lets go of events that are too old or too many."""
    oldest = store.timestamp(-LIFETIME_S)
    found = sorted(store.list(EVENTS), key=_seen)
    surplus = len(found) - MOST
    for index, event in enumerate(found):
        if index >= surplus and _seen(event) >= oldest:
            break
        store.commit(EVENTS, "DELETED", event, event)


def regarding(event: Mapping[str, Any]) -> Object:
    """A core/v1 Event in the form of events.k8s.io/v1."""
    told = {_RENAMED.get(name, name): value for name, value in event.items()}
    return {**told, "apiVersion": "events.k8s.io/v1"}


def _seen(event: Mapping[str, Any]) -> str:
    """When an event was last written, in a form that sorts."""
    return max(str(event["metadata"]["creationTimestamp"]), str(event.get("lastTimestamp") or ""))


def _identity(event: Mapping[str, Any]) -> tuple[str, ...]:
    """What events have in common that say the same of the same object."""
    about, source = event.get("involvedObject") or {}, event.get("source") or {}
    subject = (str(about.get(key, "")) for key in ("kind", "name", "uid", "fieldPath"))
    said = (str(event.get(key, "")) for key in ("type", "reason", "message"))
    return (*subject, *said, str(source.get("component")), str(source.get("host")))
