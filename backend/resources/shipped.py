"""Manifests against the schemas that come with mcig, for clusters that are not there yet and cannot be asked.

An API server that can be asked has the last word: there, everything is dry-run just before it is applied. Invariants:
nothing is asked of any cluster; every kind that mcig sends is known here; values of fields are told, and Secrets are
never looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from backend.clients import models
from backend.clients.kinds import INFERENCE_OBJECTIVE, NAMESPACE, SERVICE
from backend.resources.manifests import Object
from backend.resources.manifests.crd import inference_objective_crd
from backend.resources.objects import KubeObjects

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

Place = Sequence[str | int]

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SERVICE = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_SEGMENT = re.compile(r"(?!\.\.?\Z)[^/%]+")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_RULES = {
    _LABEL: "must be at most 63 small letters, digits and hyphens, with a letter or digit at both ends",
    _SERVICE: "must be at most 63 small letters, digits and hyphens, with a letter in front and no hyphen at the end",
    _SUBDOMAIN: "must be at most 253 small letters, digits, hyphens and dots, with a letter or digit at both ends",
    _SEGMENT: "must not contain / or %",
    _LABEL_VALUE: "must be at most 63 letters, digits, -, _ and ., with a letter or digit at both ends",
}
_NAMES = {SERVICE.name: _SERVICE, NAMESPACE.name: _LABEL}
_LABEL_MAPS = frozenset({"labels", "matchLabels"})


def check(rows: Iterable[KubeObjects]) -> list[str]:
    """List what is wrong with their objects, each as ``resource: field path: why``; loads models, so use a thread."""
    return [
        f"{row.id}: {obj['kind']}/{obj['metadata']['name']} {path}: {why}"
        for row in rows
        for obj in row.manifests
        for path, why in problems(obj)
    ]


def problems(obj: Object) -> list[tuple[str, str]]:
    """List what an API server would refuse of an object, as far as schemas tell: field path and why.

    Raises ``LookupError`` for a kind that is neither built in nor one of ``schemas``.
    """
    found = [*_name_problems(obj), *_label_problems(obj)]
    shapes = _validators().get((obj["apiVersion"], obj["kind"]))
    found += models.misfits(obj) if shapes is None else _custom(obj, shapes)
    first: dict[str, str] = {}
    for place, why in found:
        first.setdefault(_written(place), why)
    return list(first.items())


def _custom(obj: Object, shapes: Sequence[Validator]) -> Iterator[tuple[Place, str]]:
    """Misfits of a custom resource; where its kind has several shapes, those of the one that fits best."""
    tries = [[told for error in shape.iter_errors(obj) for told in _told(error)] for shape in shapes]
    yield from min(tries, key=len)


def _shorten(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _told(error: Any) -> Iterator[tuple[Place, str]]:
    place = tuple(error.absolute_path)
    match error.validator:
        case "additionalProperties":
            known = error.schema.get("properties", {})
            yield from (((*place, name), models.UNKNOWN) for name in error.instance if name not in known)
        case "required":
            absent = (name for name in error.validator_value if name not in error.instance)
            yield from (((*place, name), models.MISSING) for name in absent)
        case "pattern":
            yield place, f"{_shorten(error.instance, 60)!r} does not match {error.validator_value}"
        case "maxLength":
            yield place, f"has {len(error.instance)} characters, more than {error.validator_value}"
        case _:
            yield place, error.message


def _name_problems(obj: Object) -> Iterator[tuple[Place, str]]:
    meta = obj["metadata"]
    rule = _SEGMENT if obj["apiVersion"].startswith("rbac.") else _NAMES.get(obj["kind"], _SUBDOMAIN)
    for field, wanted in (("name", rule), ("namespace", _LABEL)):
        value = meta.get(field)
        if isinstance(value, str) and not wanted.fullmatch(value):
            yield ("metadata", field), f"{value!r} {_RULES[wanted]}"


def _label_problems(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[Place, str]]:
    """Values of labels and selectors, wherever they are, that are none."""
    members = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        inner = (*place, name)
        if name in _LABEL_MAPS and isinstance(member, Mapping):
            for label, text in member.items():
                if isinstance(text, str) and not _LABEL_VALUE.fullmatch(text):
                    yield (*inner, label), f"{text!r} {_RULES[_LABEL_VALUE]}"
        else:
            yield from _label_problems(member, inner)


def _written(place: Place) -> str:
    path = ""
    for part in place:
        if isinstance(part, int):
            path += f"[{part}]"
        elif re.fullmatch(r"[A-Za-z0-9_-]+", part):
            path += f".{part}"
        else:
            path += f"[{part!r}]"
    return path.removeprefix(".") or "(the whole object)"


@cache
def _validators() -> Mapping[tuple[str, str], tuple[Validator, ...]]:
    from jsonschema import Draft202012Validator

    return {key: tuple(Draft202012Validator(_closed(shape)) for shape in shapes) for key, shapes in schemas().items()}


@cache
def schemas() -> Mapping[tuple[str, str], tuple[Object, ...]]:
    """The schemas of each custom kind by ``apiVersion`` and ``kind``: one for each shape of its objects."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    read = yaml.load(files("backend.resources").joinpath("shipped.yaml").read_text(), loader)  # noqa: S506 - a safe one
    found: dict[tuple[str, str], tuple[Object, ...]] = {}
    for name, shapes in read["kinds"].items():
        api_version, _, kind = name.partition(" ")
        found[api_version, kind] = tuple(
            {"type": "object", "required": ["spec"], "properties": {"spec": shape}} for shape in shapes
        )
    (version,) = inference_objective_crd()["spec"]["versions"]
    found[INFERENCE_OBJECTIVE.group_version, INFERENCE_OBJECTIVE.name] = (version["schema"]["openAPIV3Schema"],)
    return {key: tuple(map(_whole, shapes)) for key, shapes in found.items()}


def _whole(schema: Object) -> Object:
    """A schema with the fields that every object has; names and labels have rules of their own."""
    text: Object = {"type": "string"}
    every: Object = {"apiVersion": text, "kind": text, "metadata": {"type": "object"}}
    return schema | {"properties": schema["properties"] | every}


def _closed(schema: Any) -> Any:
    """The same schema in which objects have no other fields than those that are listed."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if "properties" in schema and isinstance(schema.get("type"), str):
        closed.setdefault("additionalProperties", False)
    return closed
