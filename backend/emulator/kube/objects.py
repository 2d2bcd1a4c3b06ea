"""The objects of a cluster as etcd has them: reading, and the one way in which anything is written.

Objects are plain JSON-able dicts. Invariant: a stored object is never changed, every write puts a new one in its place
with the next cluster-wide resourceVersion and tells the watches; callers therefore treat what they get as read-only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from backend.emulator.kube.events import EVENTS
from backend.emulator.kube.registry import CRDS, Registry, from_crd
from backend.emulator.kube.watch import Event, History

Object = dict[str, Any]


class Objects:
    """The objects of one cluster; resources are named ``GROUP/PLURAL`` (``/pods``, ``apps/deployments``)."""

    def __init__(self, *, now: Callable[[], float], touch: Callable[[], None]) -> None:
        self.registry = Registry()
        self.history = History()
        self.revision = 0
        self._now = now
        self._touch = touch
        self._objects: dict[str, dict[tuple[str, str], Object]] = {}

    def get(self, resource: str, namespace: str | None, name: str) -> Object | None:
        """One object, read-only, or None."""
        return self._objects.get(resource, {}).get((namespace or "", name))

    def list(
        self, resource: str, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[Object]:
        """Objects in order of namespace and name, read-only; of one namespace and with these labels if given."""
        found = self._objects.get(resource, {})
        return [
            found[key]
            for key in sorted(found)
            if (namespace is None or key[0] == namespace) and (labels is None or _labelled(found[key], labels))
        ]

    def everything(self) -> Iterator[tuple[str, Object]]:
        """All objects, each with its resource; safe against writes meanwhile."""
        for resource in tuple(self._objects):
            for obj in tuple(self._objects[resource].values()):
                yield resource, obj

    def now(self) -> float:
        """Unix time in seconds."""
        return self._now()

    def timestamp(self, later: float = 0.0) -> str:
        """Now, or some seconds later, in whole seconds, as Kubernetes writes times."""
        return datetime.fromtimestamp(self.now() + later, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def commit(self, resource: str, event: str, new: Object, before: Object | None) -> Object:
        """Writes an object as it is, for the layers above; ``event`` is ADDED, MODIFIED or DELETED.

        Events wake nobody: they follow from what did, and nothing follows from them.
        """
        self.revision += 1
        new = {**new, "metadata": {**new["metadata"], "resourceVersion": str(self.revision)}}
        key = (new["metadata"].get("namespace") or "", new["metadata"]["name"])
        if event == "DELETED":
            del self._objects[resource][key]
        else:
            self._objects.setdefault(resource, {})[key] = new
        self.history.record(Event(self.revision, event, resource, new, before))
        if resource != EVENTS:
            self._touch()
        return new

    def register(self, crd: Mapping[str, Any]) -> None:
        """Starts to serve what a CustomResourceDefinition defines."""
        self.registry.add(from_crd(crd))

    def dump(self) -> dict[str, Any]:
        """All objects and the resourceVersion, JSON-able; parts are shared with the store."""
        return {
            "resourceVersion": self.revision,
            "objects": {resource: [*found.values()] for resource, found in self._objects.items() if found},
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Puts the objects of :meth:`dump` in place of all that is here; watches of before get 410."""
        for crd in self._objects.get(CRDS, {}).values():
            self.registry.remove(f"{crd['spec']['group']}/{crd['spec']['names']['plural']}")
        self._objects = {
            resource: {(one["metadata"].get("namespace") or "", one["metadata"]["name"]): one for one in found}
            for resource, found in data["objects"].items()
        }
        for crd in self._objects.get(CRDS, {}).values():
            self.register(crd)
        self.revision = data["resourceVersion"]
        self.history.forget(self.revision)


def _labelled(obj: Object, labels: Mapping[str, str]) -> bool:
    has = obj["metadata"].get("labels") or {}
    return all(has.get(key) == value for key, value in labels.items())
