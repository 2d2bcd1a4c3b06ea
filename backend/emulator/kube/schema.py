"""Structural schemas: which fields an object may have, their types, defaults and limits.

One form serves built-in kinds and custom resources. Invariant: a schema is read-only and its parts are compiled when
first looked at, so a cluster that serves hundreds of fields starts without paying for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from backend.emulator.kube.errors import Cause, invalid_value, literal, required, unsupported
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
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "int-or-string": (int, str),
}


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
        return isinstance(value, _TYPES[self.type])

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


def check(schema: Schema, value: Any, path: str = "") -> Iterator[Cause]:
    """Yields why a custom resource is refused, in the API server's words."""
    if value is None and schema.nullable:
        return
    if not schema.accepts(value):
        kind = _json_type(value)
        text = f'Invalid value: "{kind}": {path} in body must be of type {schema.type}: "{kind}"'
        yield Cause("FieldValueTypeInvalid", text, path or "<nil>")
        return
    yield from _limits(schema, value, path)
    if isinstance(value, dict):
        for name in schema.required:
            if name not in value:
                yield required(f"{path}.{name}" if path else name)
        for name, member in value.items():
            child = schema.child(name)
            if child is not None:
                yield from check(child, member, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and schema.items is not None:
        for index, item in enumerate(value):
            yield from check(schema.items, item, f"{path}[{index}]")
        yield from _duplicates(schema, value, path)


def _json_type(value: Any) -> str:
    names = {dict: "object", list: "array", bool: "boolean", int: "integer", float: "number", str: "string"}
    return names.get(type(value), "null")


def _limits(schema: Schema, value: Any, path: str) -> Iterator[Cause]:
    raw = schema.raw
    if "enum" in raw and value not in raw["enum"]:
        yield unsupported(path, value, raw["enum"])
    for keyword, broken in _LIMITS.items():
        if keyword in raw:
            found = broken(path, value, raw[keyword])
            if found is not None:
                yield found
    for keyword, wanted in (("oneOf", 1), ("anyOf", None)):
        if keyword in raw and schema.type != "int-or-string":
            matching = sum(not any(check(_branch(schema, branch), value, path)) for branch in raw[keyword])
            if (wanted is None and not matching) or (wanted is not None and matching != wanted):
                rule = "one and only one" if wanted else "at least one"
                text = f'"{path}" must validate {rule} schema ({keyword})'
                yield invalid_value(path, value, text + (". Found none valid" if not matching else ""))
    if "not" in raw and not any(check(_branch(schema, raw["not"]), value, path)):
        yield invalid_value(path, value, f'"{path}" must not validate the schema (not)')


def _branch(schema: Schema, branch: Mapping[str, Any]) -> Schema:
    """A branch of oneOf, anyOf or not: value rules only, the structure stays that of the schema around it."""
    return Schema({"type": schema.type, **branch} if schema.type in _TYPES else branch)


def _duplicates(schema: Schema, items: list[Any], path: str) -> Iterator[Cause]:
    if schema.list_type not in ("map", "set"):
        return
    seen: set[str] = set()
    for index, item in enumerate(items):
        if schema.list_type == "set":
            key = repr(item)
        elif isinstance(item, dict):
            key = repr([item.get(name) for name in schema.map_keys])
        else:
            continue
        if key in seen:
            value = {name: item.get(name) for name in schema.map_keys} if isinstance(item, dict) else item
            shown = ", ".join(f'"{name}":{literal(one)}' for name, one in value.items()) if schema.map_keys else ""
            text = f"Duplicate value: {{{shown}}}" if shown else f"Duplicate value: {literal(value)}"
            yield Cause("FieldValueDuplicate", text, f"{path}[{index}]")
        seen.add(key)


def _minimum(path: str, value: Any, limit: float) -> Cause | None:
    wrong = isinstance(value, int | float) and value < limit
    return invalid_value(path, value, f"{path} in body should be greater than or equal to {limit}") if wrong else None


def _maximum(path: str, value: Any, limit: float) -> Cause | None:
    wrong = isinstance(value, int | float) and value > limit
    return invalid_value(path, value, f"{path} in body should be less than or equal to {limit}") if wrong else None


def _min_length(path: str, value: Any, limit: int) -> Cause | None:
    wrong = isinstance(value, str) and len(value) < limit
    return invalid_value(path, value, f"{path} in body should be at least {limit} chars long") if wrong else None


def _max_length(path: str, value: Any, limit: int) -> Cause | None:
    if isinstance(value, str) and len(value) > limit:
        return Cause("FieldValueTooLong", f"Too long: may not be more than {limit} bytes", path)
    return None


def _min_items(path: str, value: Any, limit: int) -> Cause | None:
    if isinstance(value, list) and len(value) < limit:
        return invalid_value(path, len(value), f"{path} in body should have at least {limit} items")
    return None


def _max_items(path: str, value: Any, limit: int) -> Cause | None:
    if isinstance(value, list) and len(value) > limit:
        return Cause("FieldValueTooMany", f"Too many: {len(value)}: must have at most {limit} items", path)
    return None


def _min_properties(path: str, value: Any, limit: int) -> Cause | None:
    if isinstance(value, dict) and len(value) < limit:
        return invalid_value(path, len(value), f"{path} in body should have at least {limit} properties")
    return None


def _max_properties(path: str, value: Any, limit: int) -> Cause | None:
    if isinstance(value, dict) and len(value) > limit:
        return Cause("FieldValueTooMany", f"Too many: {len(value)}: must have at most {limit} items", path)
    return None


def _pattern(path: str, value: Any, pattern: str) -> Cause | None:
    wrong = isinstance(value, str) and not re.search(pattern, value)
    return invalid_value(path, value, f"{path} in body should match '{pattern}'") if wrong else None


def _format(path: str, value: Any, name: str) -> Cause | None:
    if name == "date-time" and isinstance(value, str):
        try:
            datetime.fromisoformat(value)
        except ValueError:
            return invalid_value(path, value, f"{path} in body must be of type date-time: {literal(value)}")
    return None


_LIMITS: dict[str, Callable[[str, Any, Any], Cause | None]] = {
    "minimum": _minimum,
    "maximum": _maximum,
    "minLength": _min_length,
    "maxLength": _max_length,
    "minItems": _min_items,
    "maxItems": _max_items,
    "minProperties": _min_properties,
    "maxProperties": _max_properties,
    "pattern": _pattern,
    "format": _format,
}
