"""Structural schemas: which fields an object may have, their types, defaults and limits.

One form serves built-in kinds and custom resources. Invariant: a schema is read-only and its parts are compiled when
first looked at, so a cluster that serves hundreds of fields starts without paying for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from backend.emulator.kube.errors import Cause, required
from backend.emulator.kube.plain import clone

META_FIELDS = frozenset(
    {
        "annotations",
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "finalizers",
        "generateName",
        "generation",
        "labels",
        "managedFields",
        "name",
        "namespace",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "int-or-string": (int, str),
}
"""What each type of a schema is in Python."""


class Schema:
    """One node of a structural schema in the OpenAPI v3 form of a CustomResourceDefinition."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw
        self.title: str = raw.get("title", "")
        self.type: str = "int-or-string" if raw.get("x-kubernetes-int-or-string") else raw.get("type", "any")
        self.required: tuple[str, ...] = tuple(raw.get("required") or ())
        self.open = bool(raw.get("x-kubernetes-preserve-unknown-fields")) or self.type == "any"
        self.nullable = bool(raw.get("nullable"))
        self.list_type: str = raw.get("x-kubernetes-list-type") or "atomic"
        self.map_keys: tuple[str, ...] = tuple(raw.get("x-kubernetes-list-map-keys") or ())
        self.atomic_map = raw.get("x-kubernetes-map-type") == "atomic"

    @cached_property
    def properties(self) -> Mapping[str, Schema]:
        """The declared fields of an object."""
        return {name: Schema(raw or {}) for name, raw in (self.raw.get("properties") or {}).items()}

    @cached_property
    def values(self) -> Schema | None:
        """What the values of a map look like; None where only declared fields are allowed."""
        raw = self.raw.get("additionalProperties")
        if raw is True:
            return Schema({"x-kubernetes-preserve-unknown-fields": True})
        return Schema(raw) if raw else None

    @cached_property
    def items(self) -> Schema | None:
        """What the items of a list look like."""
        raw = self.raw.get("items")
        return Schema(raw) if raw else None

    def accepts(self, value: Any) -> bool:
        """Whether the JSON type of a value is right."""
        if self.type == "any":
            return True
        if isinstance(value, bool):
            return self.type == "boolean"
        if self.type == "integer" and isinstance(value, float):
            return value.is_integer()
        return isinstance(value, TYPES[self.type])

    def child(self, name: str) -> Schema | None:
        """The schema of a member of an object; None when there may be no such member (or it is free)."""
        return self.properties.get(name) or self.values


def compiled(raw: Mapping[str, Any]) -> Schema:
    """The schema of a whole custom resource: the document given, plus apiVersion, kind and metadata."""
    properties = dict(raw.get("properties") or {})
    properties["apiVersion"] = properties["kind"] = {"type": "string"}
    properties["metadata"] = {
        "type": "object",
        "properties": {name: {"x-kubernetes-preserve-unknown-fields": True} for name in META_FIELDS},
    }
    return Schema({**raw, "type": "object", "properties": properties})


def prune(schema: Schema, value: Any, path: str = "") -> Iterator[str]:
    """Removes what the schema does not know from ``value`` (in place) and yields the path of each."""
    if isinstance(value, dict) and schema.type in ("object", "any"):
        for name in list(value):
            inner = f"{path}.{name}" if path else name
            child = schema.child(name)
            if child is not None:
                yield from prune(child, value[name], inner)
            elif not schema.open:
                del value[name]
                yield inner
    elif isinstance(value, list) and schema.items is not None:
        for index, item in enumerate(value):
            yield from prune(schema.items, item, f"{path}[{index}]")


def set_defaults(schema: Schema, value: Any) -> None:
    """Fills absent fields that have a default (in place); a null where null is not allowed counts as absent."""
    if isinstance(value, dict):
        for name, child in schema.properties.items():
            if name in value and value[name] is None and not child.nullable:
                del value[name]
            if name not in value and "default" in child.raw:
                value[name] = clone(child.raw["default"])
            if name in value:
                set_defaults(child, value[name])
        if schema.values is not None:
            for name, member in value.items():
                if name not in schema.properties:
                    set_defaults(schema.values, member)
    elif isinstance(value, list) and schema.items is not None:
        for item in value:
            set_defaults(schema.items, item)


@dataclass(frozen=True, slots=True)
class Mistyped:
    """A value whose JSON type is wrong: its path, what is wanted there, and the title of the object around it."""

    path: str
    wanted: Schema
    value: Any
    around: str


def mistyped(schema: Schema, value: Any, path: str = "", around: str = "") -> Iterator[Mistyped]:
    """Yields each value whose JSON type is wrong."""
    if value is None:
        return
    if not schema.accepts(value):
        yield Mistyped(path, schema, value, around)
    elif isinstance(value, dict):
        for name, member in value.items():
            child = schema.child(name)
            if child is not None:
                yield from mistyped(child, member, f"{path}.{name}" if path else name, schema.title or around)
    elif isinstance(value, list) and schema.items is not None:
        for index, item in enumerate(value):
            yield from mistyped(schema.items, item, f"{path}[{index}]", around)


def missing(schema: Schema, value: Any, path: str) -> Iterator[Cause]:
    """Yields what an object of a built-in kind has to say and does not."""
    if isinstance(value, dict):
        for name in schema.required:
            child = schema.child(name)
            if child is not None and child.type in ("string", "object", "array") and value.get(name) in (None, ""):
                yield required(f"{path}.{name}")
        for name, member in value.items():
            if (child := schema.child(name)) is not None:
                yield from missing(child, member, f"{path}.{name}")
    elif isinstance(value, list) and schema.items is not None:
        for index, item in enumerate(value):
            yield from missing(schema.items, item, f"{path}[{index}]")
