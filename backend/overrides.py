"""``--set path=value``: single fields of a specification from the command line.

A list's items are reached by position or by name: ``clusters[0].region`` and ``clusters.gke-west.region``.
Invariants: a path that leads nowhere is a problem with the nearest matches, never a new key; a value means what the
same text means in YAML, but for text fields it is taken as it stands.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from backend import spec_fields
from backend.errors import Problem
from backend.yaml_tree import Path, Tree, dotted

SOURCE = "--set"
PART = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_WHOLE = re.compile(r"[^.\[\]]+(\.[^.\[\]]+|\[\d+\])*")

_OTHER_MODE: Mapping[str, str] = {
    "CUSTOM_METRICS": "max_in_flight_requests_per_endpoint",
    "IN_FLIGHT": "max_utilization_percent",
}


class _Astray(Exception):
    """The path leads nowhere; the text says why."""


def apply(tree: Tree, settings: Sequence[str]) -> Tree:
    """Give the tree with the settings in it; a setting that cannot be made becomes a problem."""
    data, places, problems = copy.deepcopy(tree.data), dict(tree.places), list(tree.problems)
    made: list[Path] = []
    for setting in settings:
        text, equals, value = setting.partition("=")
        text = text.strip()
        try:
            if not equals or not text:
                raise _Astray("is not of the form path=value, such as --set project=my-project")
            if not _WHOLE.fullmatch(text):
                raise _Astray("is not a path such as clusters[0].region")
            path = _resolve(text, data)
            _put(data, path, _value(path, value))
        except _Astray as astray:
            problems.append(Problem(text, str(astray), SOURCE))
            continue
        made.append(path)
        places = {known: place for known, place in places.items() if known[: len(path)] != path}
        places[path] = SOURCE
    if ("balancing", "mode") in made:
        _leave_other_mode(data, made)
    return Tree(data, places, tuple(problems))


def _resolve(text: str, data: Any) -> Path:
    path: list[str | int] = []
    for name, index in PART.findall(text):
        annotation = spec_fields.annotation_at(tuple(path))
        if spec_fields.item_of(annotation) is not None:
            path.append(_position(path, data, name, index))
            continue
        model = spec_fields.model_of(annotation)
        if model is None or index:
            raise _Astray(f"leads nowhere: {dotted(path)} is {spec_fields.wanted(annotation)}")
        if name not in spec_fields.keys(model):
            raise _Astray(_lost(text, path, name, list(spec_fields.keys(model))))
        path.append(name)
    return tuple(path)


def _lost(text: str, path: list[str | int], name: str, names: list[str]) -> str:
    if why := spec_fields.unsupported(name):
        return why
    here = [dotted((*path, found)) for found in spec_fields.near(name, names)]
    if not here:
        wanted = re.sub(r"\[\d+\]", "[0]", text)
        here = [found for found in spec_fields.all_paths() if found.rpartition(".")[2] == wanted.rpartition(".")[2]]
        here = here[:3] or spec_fields.near(wanted, spec_fields.all_paths())
    if here:
        return f"is no field of a specification; did you mean {' or '.join(here)}?"
    return f"is no field of a specification; {dotted(path) or 'the top'} has {', '.join(names)}"


def _position(path: list[str | int], data: Any, name: str, index: str) -> int:
    items: Any = data
    for part in path:
        items = items[int(part)] if isinstance(items, list) else (items or {}).get(part)
    items = items if isinstance(items, list) else []
    names = [str(item.get("name", "")) if isinstance(item, dict) else "" for item in items]
    if index and int(index) < len(items):
        return int(index)
    if name and names.count(name) == 1:
        return names.index(name)
    listed = ", ".join(f"[{number}] {label}".strip() for number, label in enumerate(names))
    missing = f"[{index}]" if index else name
    raise _Astray(f"{dotted(path)} has no {missing}; there is {listed or 'nothing in it'}")


def _value(path: Path, text: str) -> Any:
    kinds = spec_fields.plain(spec_fields.annotation_at(path))
    optional = spec_fields.optional(spec_fields.annotation_at(path))
    if optional and text.strip() in {"", "null", "~"}:
        return None
    if str in kinds:
        return text
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _Astray(f"cannot be {text!r}: this is not valid YAML") from error
    plain = isinstance(value, str | bool | int | float | list | dict) or value is None
    return value if plain and value is not None else text


def _put(data: Any, path: Path, value: Any) -> None:
    here = data
    for position, part in enumerate(path[:-1]):
        inner = here[part] if isinstance(part, int) else here.get(part)
        if inner is None:
            inner = here[part] = {}
        if not isinstance(inner, dict | list):
            raise _Astray(f"cannot be set: {dotted(path[: position + 1])} is {inner!r} there")
        here = inner
    here[path[-1]] = value


def _leave_other_mode(data: Any, made: Sequence[Path]) -> None:
    balancing = data.get("balancing")
    foreign = _OTHER_MODE.get(str(balancing.get("mode")) if isinstance(balancing, dict) else "")
    if foreign is not None and ("balancing", foreign) not in made:
        balancing.pop(foreign, None)
