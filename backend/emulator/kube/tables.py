"""Tables: what ``kubectl get`` prints.

A custom resource has the printer columns of its definition, or its age alone; built-in kinds have those of
:mod:`backend.emulator.kube.columns`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from backend.emulator.kube.columns import COLUMNS, age, since
from backend.emulator.kube.registry import Column, Kind

Object = Mapping[str, Any]

_NAME = Column("Name", "string", "", 0)


def table(
    kind: Kind,
    version: str,
    objects: Sequence[Object],
    meta: Mapping[str, Any],
    *,
    now: float,
    include: str = "Metadata",
    show: Callable[[Object], Object] = lambda obj: obj,
) -> dict[str, Any]:
    """A meta.k8s.io/v1 Table of objects; ``now`` is the unix time that ages are counted to.

    ``include`` says what is in a row beside its cells: None, Metadata or Object, which ``show`` puts in its form.
    """
    if kind.custom:
        columns = [_NAME, *kind.columns.get(version, (Column("Age", "date", ".metadata.creationTimestamp"),))]
        rows = [[obj["metadata"]["name"], *(_cell(obj, column, now) for column in columns[1:])] for obj in objects]
    else:
        made = COLUMNS.get(kind.stored, (("Age", 0, age),))
        if not any(name == _NAME.name for name, _, _ in made):
            made = ((_NAME.name, 0, lambda obj, _now: obj["metadata"]["name"]), *made)
        columns = [Column(name, "string", "", priority) for name, priority, _ in made]
        rows = [[cell(obj, now) for _, _, cell in made] for obj in objects]
    definitions = [
        {
            "name": column.name,
            "type": column.type,
            "format": "name" if column.name == "Name" else "",
            "description": "",
            "priority": column.priority,
        }
        for column in columns
    ]
    listed = [
        {"cells": cells}
        | ({} if include == "None" else {"object": show(obj) if include == "Object" else _partial(obj)})
        for cells, obj in zip(rows, objects, strict=True)
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": dict(meta),
        "columnDefinitions": definitions,
        "rows": listed,
    }


def _partial(obj: Object) -> dict[str, Any]:
    meta = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta}


def _cell(obj: Object, column: Column, now: float) -> Any:
    found = json_path(obj, column.path)
    if column.type == "date":
        return since(found[0], now) if found else "<unknown>"
    if not found:
        return None
    if column.type in ("integer", "number", "boolean"):
        return found[0]
    return ",".join(_text(one) for one in found)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


_STEP = re.compile(
    r"""\.(?P<name>[\w-]+|\*)|\[(?P<all>\*)\]|\[(?P<index>\d+)\]|\['(?P<quoted>[^']+)'\]|
\[\?\(@\.(?P<key>\w+)\s*==\s*["'](?P<value>[^"']*)["']\)\]""",
    re.VERBOSE,
)


def json_path(obj: Any, path: str) -> list[Any]:
    """The values at a JSONPath of the kind that printer columns use; none when the path leads nowhere."""
    found = [obj]
    position = 0
    path = path.replace("\\.", "\0")
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            return []
        position = step.end()
        found = [inner for one in found for inner in _members(one, step)]
    return [one for one in found if one is not None]


def _members(value: Any, step: re.Match[str]) -> list[Any]:
    name = step["name"] or step["quoted"]
    if name is not None and name != "*":
        return [value[key]] if isinstance(value, Mapping) and (key := name.replace("\0", ".")) in value else []
    if not isinstance(value, list):
        return list(value.values()) if name == "*" and isinstance(value, Mapping) else []
    if step["index"] is not None:
        index = int(step["index"])
        return value[index : index + 1]
    if step["key"] is not None:
        return [one for one in value if isinstance(one, Mapping) and str(one.get(step["key"])) == step["value"]]
    return value
