"""Versions of an object: what a kind adds to one, and when two are the same; pure."""

from __future__ import annotations

from typing import Any

from backend.emulator.kube import defaults
from backend.emulator.kube.objects import Object
from backend.emulator.kube.plain import clone
from backend.emulator.kube.registry import Kind
from backend.emulator.kube.schema import set_defaults


def normal(kind: Kind, obj: Object) -> Object:
    """A deep copy with the defaults of its kind."""
    new = clone(obj)
    if kind.custom:
        schema = kind.schema()
        if schema is not None:
            set_defaults(schema, new)
    else:
        defaults.fill(kind, new)
    return new


def desired(obj: Object) -> dict[str, Any]:
    """What counts for the generation: all but metadata and status."""
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}


def same(new: Object, old: Object) -> bool:
    """Whether two versions differ in nothing but resourceVersion and the times of managers."""
    return _comparable(new) == _comparable(old)


def _comparable(obj: Object) -> Object:
    meta = {key: value for key, value in obj["metadata"].items() if key not in ("resourceVersion", "managedFields")}
    managers = [
        {key: value for key, value in entry.items() if key != "time"}
        for entry in obj["metadata"].get("managedFields") or ()
    ]
    managers.sort(key=lambda one: (one["operation"], one["manager"], one["apiVersion"], one.get("subresource", "")))
    return {**obj, "metadata": {**meta, "managedFields": managers}}


def served(crd: Object, now: str) -> Object:
    """The status of a definition whose kinds are served."""
    conditions = [
        {
            "type": "NamesAccepted",
            "status": "True",
            "lastTransitionTime": now,
            "reason": "NoConflicts",
            "message": "no conflicts found",
        },
        {
            "type": "Established",
            "status": "True",
            "lastTransitionTime": now,
            "reason": "InitialNamesAccepted",
            "message": "the initial names have been accepted",
        },
    ]
    stored = [version["name"] for version in crd["spec"]["versions"] if version.get("storage")]
    return {"conditions": conditions, "acceptedNames": crd["spec"]["names"], "storedVersions": stored}
