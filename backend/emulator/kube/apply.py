"""Server-side apply and the book-keeping of field managers.

The algorithm is that of sigs.k8s.io/structured-merge-diff: an apply merges the configuration into the live object,
takes away what this manager applied before and no longer does (unless another owns it too), and is refused with 409
when it would change a field of another manager without force. Any other write makes its manager the owner of what it
changed. Invariant: nothing here changes its arguments; results share unchanged parts with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.emulator.kube.errors import ApiError
from backend.emulator.kube.fieldset import (
    Fields,
    Path,
    UnknownField,
    changed,
    declared,
    decode,
    encode,
    readable,
    remove,
    step_of,
)
from backend.emulator.kube.shape import Shape

RESERVED = ("apiVersion", "kind")


@dataclass(frozen=True, slots=True, order=True)
class Manager:
    """Who writes: a field manager, by apply or by update, through the object itself or a subresource."""

    name: str
    operation: str
    version: str
    subresource: str = ""

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What tells managers apart: an applier stays the same across API versions."""
        return self.name, self.operation, "" if self.operation == "Apply" else self.version, self.subresource

    def __str__(self) -> str:
        text = f'"{self.name}"' + (f' with subresource "{self.subresource}"' if self.subresource else "")
        return text if self.operation == "Apply" else f"{text} using {self.version}"


@dataclass(frozen=True, slots=True)
class _Share:
    manager: Manager
    fields: Fields
    time: str


def applied(
    shape: Shape, live: Mapping[str, Any] | None, config: Mapping[str, Any], manager: Manager, *, force: bool, now: str
) -> dict[str, Any]:
    """The object after an apply; ``now`` is an RFC 3339 time. Raises 409 for conflicts, 500 for unknown fields."""
    config = {key: value for key, value in config.items() if key != "metadata" or value}
    meta = {key: value for key, value in (config.get("metadata") or {}).items() if key != "managedFields"}
    config["metadata"] = meta
    try:
        wanted = declared(shape, config)
    except UnknownField as problem:
        place = "/".join(part for part in (meta.get("namespace"), meta.get("name")) if part)
        kind = f"{config.get('apiVersion')}, Kind={config.get('kind')}"
        message = f"failed to create typed patch object ({place}; {kind}): {problem}"
        raise ApiError(500, "", message) from None
    if manager.subresource:
        wanted = frozenset(path for path in wanted if path[0] == f"f:{manager.subresource}")
    else:
        wanted = frozenset(path for path in wanted if path[0] != "f:status")
    config = _only(config, manager.subresource)
    shares = _shares(live)
    before: Fields = frozenset()
    others: list[_Share] = []
    for share in shares:
        if share.manager.identity == manager.identity:
            before |= share.fields
        else:
            others.append(share)
    base: Any = live if live is not None else {}
    merged = merge(shape, base, config)
    dropped = _unowned(before - wanted, others, wanted)
    if dropped:
        merged = remove(shape, merged, dropped)
    written, gone = changed(shape, base, merged)
    others = _settle(others, written, gone, force=force)
    others.append(_Share(manager, wanted, now))
    return _with_shares(merged, others, shares)


def updated(
    shape: Shape, live: Mapping[str, Any] | None, new: Mapping[str, Any], manager: Manager, *, now: str
) -> dict[str, Any]:
    """The object after a write that is not an apply, with the manager as the owner of what it changed."""
    shares = _shares(live)
    written, gone = changed(shape, live if live is not None else {}, new)
    written = frozenset(path for path in written if path != ("f:status",))
    kept: list[_Share] = []
    mine: Fields = written
    since = now if written else ""
    for share in shares:
        if share.manager.identity == manager.identity:
            mine |= share.fields - gone
            since = since or share.time
        else:
            fields = share.fields - written - gone
            if fields:
                kept.append(_Share(share.manager, fields, share.time))
    if mine:
        kept.append(_Share(manager, mine, since or now))
    return _with_shares(new, kept, shares)


def merge(shape: Shape, live: Any, config: Any) -> Any:
    """The live value with the configuration laid over it: keyed lists item by item, atomic ones as a whole."""
    if isinstance(config, dict) and isinstance(live, dict) and not shape.atomic(config):
        result = dict(live)
        for name, value in config.items():
            if value is None:
                result.pop(name, None)
            else:
                result[name] = merge(shape.field(name), live[name], value) if name in live else value
        return result
    if isinstance(config, list) and isinstance(live, list) and not shape.atomic(config):
        places = {step_of(item, shape): item for item in live}
        for item in config:
            step = step_of(item, shape)
            places[step] = merge(shape.item(), places[step], item) if step in places else item
        return list(places.values())
    return config


def _only(config: Mapping[str, Any], subresource: str) -> dict[str, Any]:
    if not subresource:
        return {key: value for key, value in config.items() if key != "status"}
    return {key: value for key, value in config.items() if key in (*RESERVED, subresource)}


def _unowned(fields: Fields, others: list[_Share], wanted: Fields) -> Fields:
    """The fields of ``fields`` that neither another manager nor the new configuration keeps, itself or below."""
    held: set[Path] = set()
    for paths in (*(share.fields for share in others), wanted):
        for path in paths:
            held.update(path[:length] for length in range(1, len(path) + 1))
    return frozenset(path for path in fields if path not in held)


def _settle(others: list[_Share], written: Fields, gone: Fields, *, force: bool) -> list[_Share]:
    conflicts = [(share.manager, path) for share in others for path in sorted(share.fields & written)]
    if conflicts and not force:
        raise _refused(conflicts)
    left = [_Share(share.manager, share.fields - written - gone, share.time) for share in others]
    return [share for share in left if share.fields]


def _refused(conflicts: list[tuple[Manager, Path]]) -> ApiError:
    conflicts.sort(key=lambda one: one[1])
    if len(conflicts) == 1:
        manager, path = conflicts[0]
        text = f"Apply failed with 1 conflict: conflict with {manager}: {readable(path)}"
    else:
        lines: list[str] = []
        for manager in sorted({manager for manager, _ in conflicts}):
            lines.append(f"conflicts with {manager}:")
            lines.extend(f"- {readable(path)}" for owner, path in conflicts if owner == manager)
        text = f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {manager}", "field": readable(path)}
        for manager, path in conflicts
    ]
    return ApiError(409, "Conflict", text, {"causes": causes})


def _shares(live: Mapping[str, Any] | None) -> list[_Share]:
    entries = ((live or {}).get("metadata") or {}).get("managedFields") or ()
    return [
        _Share(
            Manager(
                entry.get("manager", ""),
                entry.get("operation", "Update"),
                entry.get("apiVersion", ""),
                entry.get("subresource", ""),
            ),
            decode(entry.get("fieldsV1") or {}),
            entry.get("time", ""),
        )
        for entry in entries
    ]


def _with_shares(obj: Any, shares: list[_Share], before: list[_Share]) -> dict[str, Any]:
    """The object with its managedFields; an owner whose fields stay the same keeps its time."""
    times = {share.manager: share for share in before}
    entries: list[dict[str, Any]] = []
    for share in shares:
        known = times.get(share.manager)
        entry: dict[str, Any] = {
            "manager": share.manager.name,
            "operation": share.manager.operation,
            "apiVersion": share.manager.version,
            "time": known.time if known is not None and known.fields == share.fields else share.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": encode(share.fields),
        }
        if share.manager.subresource:
            entry["subresource"] = share.manager.subresource
        entries.append(entry)
    entries.sort(key=lambda one: (one["operation"], one["time"], one["manager"], one["apiVersion"]))
    meta = {key: value for key, value in (obj.get("metadata") or {}).items() if key != "managedFields"}
    if entries:
        meta["managedFields"] = entries
    return {**obj, "metadata": meta}
