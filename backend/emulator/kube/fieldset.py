"""Sets of fields: who owns what of an object, as ``metadata.managedFields`` writes it (FieldsV1).

A field is a path: a tuple of steps in FieldsV1 spelling, ``f:spec``, ``k:{"name":"vllm"}`` for an item of a keyed list,
``v:"x"`` for an item of a set. A :data:`Fields` is a set of such paths and says nothing of their values.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from backend.emulator.kube.errors import literal
from backend.emulator.kube.shape import Shape

Path = tuple[str, ...]
Fields = frozenset[Path]

ABSENT: Any = object()
_UNOWNED = frozenset(
    {
        ("f:apiVersion",),
        ("f:kind",),
        ("f:metadata",),
        *(
            ("f:metadata", f"f:{name}")
            for name in (
                "name",
                "namespace",
                "creationTimestamp",
                "selfLink",
                "uid",
                "generation",
                "managedFields",
                "resourceVersion",
                "deletionTimestamp",
                "deletionGracePeriodSeconds",
            )
        ),
    }
)


class UnknownField(Exception):
    """A path that the schema does not know, or a keyed list that cannot be told apart; the text says which."""


def step_of(item: Any, shape: Shape) -> str:
    """The step that leads to an item of a keyed list or of a set."""
    keys = shape.keys()
    if not keys or not isinstance(item, dict):
        return "v:" + _compact(item)
    missing = shape.missing()
    return "k:" + _compact({key: item.get(key, missing.get(key)) for key in sorted(keys)})


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def owned(fields: Iterable[Path]) -> Fields:
    """The fields without those that belong to nobody (name, uid, resourceVersion, ...)."""
    return frozenset(path for path in fields if path not in _UNOWNED and path[:2] != ("f:metadata", "f:managedFields"))


def declared(shape: Shape, value: Any) -> Fields:
    """The fields that a configuration sets, for server-side apply; raises UnknownField."""
    problems: list[str] = []
    found = set(_declared(shape, value, (), problems))
    if problems:
        raise UnknownField(problems[0] if len(problems) == 1 else "errors:\n" + "\n".join(f"  {p}" for p in problems))
    return owned(found)


def _declared(shape: Shape, value: Any, path: Path, problems: list[str]) -> Iterator[Path]:
    if isinstance(value, dict) and value and not shape.atomic(value):
        for name, member in value.items():
            inner = (*path, f"f:{name}")
            if not shape.known(name):
                problems.append(f"{readable(inner)}: field not declared in schema")
                continue
            yield from _declared(shape.field(name), member, inner, problems)
    elif isinstance(value, list) and not shape.atomic(value):
        seen: set[str] = set()
        for item in value:
            inner = (*path, step_of(item, shape))
            if inner[-1] in seen:
                problems.append(f"{readable(path)}: duplicate entries for key {readable(inner[-1:])}")
            seen.add(inner[-1])
            yield inner
            yield from _declared(shape.item(), item, inner, problems)
    else:
        problems.extend(_undeclared(shape, value, path))
        yield path


def _undeclared(shape: Shape, value: Any, path: Path) -> Iterator[str]:
    """What is wrong inside a value that is owned as a whole."""
    if isinstance(value, dict):
        for name, member in value.items():
            inner = (*path, f"f:{name}")
            if shape.known(name):
                yield from _undeclared(shape.field(name), member, inner)
            else:
                yield f"{readable(inner)}: field not declared in schema"
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _undeclared(shape.item(), item, (*path, f"i:{index}"))


@dataclass(frozen=True, slots=True)
class _Changes:
    written: set[Path] = field(default_factory=set)
    gone: set[Path] = field(default_factory=set)


def changed(shape: Shape, old: Any, new: Any) -> tuple[Fields, Fields]:
    """Compares two versions of an object: the fields set to something new, and the fields gone."""
    changes = _Changes()
    _compare(shape, old, new, (), changes)
    return owned(changes.written), owned(changes.gone)


def _compare(shape: Shape, old: Any, new: Any, path: Path, changes: _Changes) -> None:
    present = new if new is not ABSENT else old
    if old is not ABSENT and new is not ABSENT and (old is new or old == new):
        return
    if isinstance(present, dict) and not shape.atomic(present) and (old is ABSENT or isinstance(old, dict)):
        before = old if old is not ABSENT else {}
        after = new if isinstance(new, dict) else {}
        for name in before.keys() | after.keys():
            inner = (*path, f"f:{name}")
            _compare(shape.field(name), before.get(name, ABSENT), after.get(name, ABSENT), inner, changes)
    elif isinstance(present, list) and not shape.atomic(present) and (old is ABSENT or isinstance(old, list)):
        before = _by_step(shape, old)
        after = _by_step(shape, new)
        for step in before.keys() | after.keys():
            inner = (*path, step)
            _compare(shape.item(), before.get(step, ABSENT), after.get(step, ABSENT), inner, changes)
        if before or after:
            return
    else:
        (changes.gone if new is ABSENT else changes.written).add(path)
        return
    if old is ABSENT and path and (not present or path[-1].startswith(("k:", "v:")) or _free(shape)):
        changes.written.add(path)
    elif new is ABSENT:
        changes.gone.add(path)


def _free(shape: Shape) -> bool:
    """Whether any name is a member here, as in labels: an update that adds such a map owns the map too."""
    return shape.known("\0")


def _by_step(shape: Shape, items: Any) -> dict[str, Any]:
    return {} if items is ABSENT or not isinstance(items, list) else {step_of(item, shape): item for item in items}


def remove(shape: Shape, value: Any, fields: Fields, path: Path = ()) -> Any:
    """The value without the given fields; ABSENT when nothing is left of it."""
    if path in fields and path:
        return ABSENT
    if not any(one[: len(path)] == path for one in fields):
        return value
    if isinstance(value, dict):
        kept = {
            name: left
            for name, member in value.items()
            if (left := remove(shape.field(name), member, fields, (*path, f"f:{name}"))) is not ABSENT
        }
        return kept if kept or not path else ABSENT
    if isinstance(value, list) and not shape.atomic(value):
        items = [remove(shape.item(), item, fields, (*path, step_of(item, shape))) for item in value]
        items = [item for item in items if item is not ABSENT]
        return items or ABSENT
    return value


def encode(fields: Iterable[Path]) -> dict[str, Any]:
    """The FieldsV1 tree of a set."""
    tree: dict[str, Any] = {}
    paths = set(fields)
    for path in sorted(paths):
        node = tree
        for step in path:
            node = node.setdefault(step, {})
    for path in paths:
        node = tree
        for step in path:
            node = node[step]
        if node:
            node["."] = {}
    return _dotted_first(tree)


def _dotted_first(tree: dict[str, Any]) -> dict[str, Any]:
    return {step: _dotted_first(tree[step]) for step in sorted(tree)}


def decode(tree: dict[str, Any]) -> Fields:
    """The set of a FieldsV1 tree."""
    return frozenset(_decode(tree, ()))


def _decode(tree: dict[str, Any], path: Path) -> Iterator[Path]:
    if path and (not tree or "." in tree):
        yield path
    for step, inner in tree.items():
        if step != ".":
            yield from _decode(inner, (*path, step))


def readable(path: Path) -> str:
    """A path as conflicts print it: ``.spec.template.spec.containers[name="vllm"].image``."""
    return "".join(map(_readable, path))


def _readable(step: str) -> str:
    mark, _, text = step.partition(":")
    if mark == "f":
        return f".{text}"
    if mark == "k":
        return "[" + ",".join(f"{key}={literal(value)}" for key, value in json.loads(text).items()) + "]"
    return f"[={literal(json.loads(text))}]" if mark == "v" else f"[{text}]"
