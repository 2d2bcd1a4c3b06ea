"""Who set which field of a Kubernetes object, read from what the API server notes in ``metadata.managedFields``.

Server-side apply takes away what a field manager stops applying; a plan has to see that beforehand. Invariants: pure;
only what a manager applied counts as its wish, so defaults and other managers' fields are never told of. Paths are
spelled as ``compare`` spells them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from backend.engine.resource import Change
from backend.resources.compare import ABSENT, item_key
from backend.resources.manifests import Object

Fields = Mapping[str, Any]


def dropped(wanted: Object, seen: Object, manager: str) -> Iterator[Change]:
    """Give one change for each field that a manager has applied and no longer wants: applying again takes it away."""
    for entry in _entries(seen):
        if entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource"):
            yield from _dropped(entry.get("fieldsV1") or {}, wanted, seen, "")


def owners(seen: Object, path: str) -> list[str]:
    """Name the managers that set a field or a part of it, in alphabetical order; empty when nobody did."""
    return sorted(
        {
            str(entry.get("manager"))
            for entry in _entries(seen)
            if any(_within(leaf, path) or _within(path, leaf) for leaf in _leaves(entry.get("fieldsV1") or {}, ""))
        }
    )


def scaled_by_controller(seen: Object) -> bool:
    """Whether an autoscaler set the replicas; a person's ``kubectl scale`` is drift."""
    return any(
        entry.get("subresource") == "scale"
        and not str(entry.get("manager", "")).startswith("kubectl")
        and "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})
        for entry in _entries(seen)
    )


def _entries(seen: Object) -> list[Fields]:
    return seen["metadata"].get("managedFields") or []


def _dropped(fields: Fields, wanted: Any, seen: Any, path: str) -> Iterator[Change]:
    for key, inner in fields.items():
        if key == ".":
            continue
        place, present, still = _step(key, wanted, seen, path)
        if present is None:
            continue
        if set(inner) <= {"."}:
            if still is None:
                yield Change(place, present, ABSENT)
        else:
            yield from _dropped(inner, still, present, place)


def _step(key: str, wanted: Any, seen: Any, path: str) -> tuple[str, Any, Any]:
    """Path, present value and wanted value of one element of a field set."""
    kind, _, name = key.partition(":")
    if kind == "f":
        place = f"{path}.{name}" if path else name
        return place, _get(seen, name), _get(wanted, name)
    value = json.loads(name)
    if kind == "k":
        return f"{path}[{_label(path, value)}]", _item(seen, value), _item(wanted, value)
    present, still = (value if value in (items or ()) else None for items in (seen, wanted))
    return f"{path}[{value}]", present, still


def _leaves(fields: Fields, path: str) -> Iterator[str]:
    for key, inner in fields.items():
        if key == ".":
            continue
        place, _, _ = _step(key, None, None, path)
        if set(inner) <= {"."}:
            yield place
        else:
            yield from _leaves(inner, place)


def _within(path: str, outer: str) -> bool:
    return path == outer or path.startswith((f"{outer}.", f"{outer}["))


def _get(obj: Any, name: str) -> Any:
    return obj.get(name) if isinstance(obj, Mapping) else None


def _item(items: Any, key: Mapping[str, Any]) -> Any:
    """The item of a list with these keys; one that leaves a key to its default counts as having it."""
    for item in items or ():
        told = {name: item[name] for name in key if name in item}
        if told and all(value == key[name] for name, value in told.items()):
            return item
    return None


def _label(path: str, key: Mapping[str, Any]) -> Any:
    name = item_key(path, [key])
    return key[name] if name is not None else next(iter(key.values()))
