"""What a structural schema refuses in a custom resource, in the API server's words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from backend.emulator.kube.errors import Cause, invalid_value, literal, required, unsupported
from backend.emulator.kube.schema import TYPES, Schema


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
    return Schema({"type": schema.type, **branch} if schema.type in TYPES else branch)


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
