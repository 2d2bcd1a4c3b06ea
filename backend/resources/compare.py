"""Whether an object in a cluster is as wanted, judged by the fields that are wanted and no others.

What the API server defaults and what others add is no difference. Invariants: pure; lists are matched as the API server
merges them, by key where the Kubernetes API declares one, else as a whole; quantities and YAML texts are compared by
value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import yaml

from backend.engine.resource import Change

ABSENT = "absent"
_MERGE_KEYS: Mapping[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "ports": ("containerPort", "port"),
    "listeners": ("name",),
    "conditions": ("type",),
}
"""List fields that the API server merges item by item, and the key of an item."""
_NOT_COMPARED = frozenset({"app.kubernetes.io/version"})
"""Labels that tell the version of the chart that was installed, not what it does."""
_SUFFIXES = {"m": Decimal("0.001"), "k": Decimal(10) ** 3, "M": Decimal(10) ** 6, "G": Decimal(10) ** 9} | {
    f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGT", start=1)
}


def differences(wanted: Any, seen: Any, path: str = "") -> Iterator[Change]:
    """Give one change for each wanted field whose value differs, with the path at which it stands."""
    if isinstance(wanted, Mapping) and isinstance(seen, Mapping):
        for key, value in wanted.items():
            if key in _NOT_COMPARED:
                continue
            place = f"{path}.{key}" if path else key
            if key not in seen:
                yield Change(place, ABSENT, value)
            else:
                yield from differences(value, seen[key], place)
    elif isinstance(wanted, list) and isinstance(seen, list):
        yield from _list_differences(wanted, seen, path)
    elif not _same(wanted, seen, path):
        yield Change(path, seen, wanted)


def _list_differences(wanted: list[Any], seen: list[Any], path: str) -> Iterator[Change]:
    key = item_key(path, wanted)
    if key is not None:
        present = {item[key]: item for item in seen if isinstance(item, Mapping) and key in item}
        for item in wanted:
            place = f"{path}[{item[key]}]"
            if item[key] not in present:
                yield Change(place, ABSENT, item)
            else:
                yield from differences(item, present[item[key]], place)
    elif len(wanted) != len(seen):
        yield Change(path, seen, wanted)
    else:
        for index, (one, other) in enumerate(zip(wanted, seen, strict=True)):
            yield from differences(one, other, f"{path}[{index}]")


def item_key(path: str, wanted: Sequence[Any]) -> str | None:
    """The field by which the items of a list at a path are told apart; ``None`` where a list is one value."""
    for key in _MERGE_KEYS.get(path.rpartition(".")[2], ()):
        if wanted and all(isinstance(item, Mapping) and key in item for item in wanted):
            return key
    return None


def _same(wanted: Any, seen: Any, path: str) -> bool:
    if isinstance(wanted, bool) or isinstance(seen, bool):
        return wanted is seen
    if wanted == seen:
        return True
    if not isinstance(wanted, int | float | str) or not isinstance(seen, int | float | str):
        return False
    if ".resources." in path:
        quantity = _quantity(wanted)
        return quantity is not None and quantity == _quantity(seen)
    if path.endswith((".yaml", ".yml")):
        content = _parsed(wanted)
        return content is not None and bool(content == _parsed(seen))
    return str(wanted) == str(seen)


def _quantity(value: float | str) -> Decimal | None:
    found = re.fullmatch(r"([0-9.]+)([a-zA-Z]*)", str(value))
    if found is None or (found[2] and found[2] not in _SUFFIXES):
        return None
    return Decimal(found[1]) * _SUFFIXES.get(found[2], Decimal(1))


def _parsed(text: float | str) -> Any:
    try:
        return yaml.safe_load(str(text))
    except yaml.YAMLError:
        return None
