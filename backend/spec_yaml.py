"""A specification as YAML text, both ways.

``load`` tells every problem at once, each at ``file:line key: message``; ``dump`` writes every field in the order of
the models. Invariant: ``load(dump(spec)) == spec``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from backend import overrides, rules, spec_fields, yaml_tree
from backend.errors import Problem, SpecError
from backend.spec import GatewaySpec, problems
from backend.yaml_tree import Path, Tree, dotted

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def load(text: str, file: str, *, name: str | None = None, settings: Sequence[str] = ()) -> GatewaySpec:
    """Read a specification; raises ``SpecError`` with all problems.

    ``name`` is the stack's name where the text gives none; ``settings`` are ``path=value`` overrides.
    """
    return _specification(yaml_tree.read(text, file), file, name=name, settings=settings)


def check(data: Any, source: str) -> GatewaySpec:
    """Read answers that are plain data; raises ``SpecError`` with all problems, which name ``source``."""
    return _specification(yaml_tree.known(data, source), source)


def _specification(tree: Tree, file: str, *, name: str | None = None, settings: Sequence[str] = ()) -> GatewaySpec:
    if not tree.problems and not isinstance(tree.data, dict):
        tree = Tree(None, {}, (Problem("", "a specification is a block of keys, as in `name: my-stack`", f"{file}:1"),))
    if not isinstance(tree.data, dict):
        raise SpecError(list(tree.problems))
    tree = overrides.apply(tree, settings)
    if name is not None:
        tree.data.setdefault("name", name)
    found = list(tree.problems)
    try:
        spec = GatewaySpec.model_validate_json(json.dumps(tree.data), strict=True)
    except ValidationError as error:
        found += _told(error, tree)
        raise SpecError(_in_order(found)) from error
    found += [
        Problem(item.path, item.message, tree.place(_path(item.path)))
        for item in [*problems(spec), *rules.refusals(spec)]
    ]
    if found:
        raise SpecError(_in_order(found))
    return spec


def dump(spec: GatewaySpec) -> str:
    """Write a specification with every field."""
    return yaml.safe_dump(spec.to_data(), sort_keys=False, allow_unicode=True, width=120)


def _path(text: str) -> Path:
    parts: list[str | int] = []
    for name, index in overrides.PART.findall(text):
        parts.append(int(index) if index else name)
    return tuple(parts)


def _in_order(found: list[Problem]) -> list[Problem]:
    def position(problem: Problem) -> tuple[str, int]:
        file, _, line = problem.source.partition(":")
        number = line.partition(":")[0]
        return file, int(number) if number.isdigit() else 0

    return sorted(dict.fromkeys(found), key=position)


def _told(error: ValidationError, tree: Tree) -> list[Problem]:
    by_path: dict[Path, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        by_path.setdefault(_real(detail, tree.data), []).append(detail)
    return [Problem(dotted(path), _message(path, details), tree.place(path)) for path, details in by_path.items()]


def _real(detail: ErrorDetails, data: Any) -> Path:
    """Path of the value an error is about, without the marks that tell the alternatives of a union apart."""
    path: list[str | int] = []
    for part in detail["loc"]:
        if part in data if isinstance(data, dict) else isinstance(data, list) and isinstance(part, int):
            data = data[part]
        elif detail["type"] == "missing" and isinstance(data, dict):
            return (*path, part)
        else:
            break
        path.append(part)
    return tuple(path)


def _message(path: Path, details: list[ErrorDetails]) -> str:
    if len(details) > 1:
        specific = [detail for detail in details if not detail["type"].endswith(("_type", "_error", "_network"))]
        specific += [detail for detail in details if detail["type"] == "value_error" and _is_range(detail["input"])]
        if len(specific) != 1:
            annotation = spec_fields.annotation_at(path)
            return f"must be {spec_fields.wanted(annotation)}, not {_shown(details[0]['input'])}"
        details = specific
    detail = details[0]
    kind, context, value = detail["type"], detail.get("ctx", {}), detail["input"]
    if kind == "missing":
        return f"is missing; it takes {spec_fields.wanted(spec_fields.annotation_at(path))}"
    if kind == "extra_forbidden":
        return _unknown(path)
    if kind == "string_pattern_mismatch":
        wanted = spec_fields.PATTERNS.get(context["pattern"], f"a text that matches {context['pattern']}")
        return f"must be {wanted}, not {_shown(value)}"
    if kind in {"greater_than_equal", "less_than_equal", "greater_than", "less_than"}:
        words = {"ge": "at least", "le": "at most", "gt": "more than", "lt": "less than"}
        limits = " and ".join(f"{words[key]} {limit:g}" for key, limit in context.items() if key in words)
        return f"must be {limits}, not {_shown(value)}"
    if kind in {"string_too_long", "string_too_short"}:
        if "max_length" in context:
            return f"must have at most {context['max_length']} characters"
        least = context["min_length"]
        return "must not be empty" if least == 1 else f"must have at least {least} characters"
    if kind == "too_short":
        return "needs one entry or more"
    if kind == "value_error":
        return str(context["error"])
    return _wrong_kind(path, value)


def _is_range(value: Any) -> bool:
    try:
        IPv4Network(value, strict=False)
    except ValueError:
        return False
    return True


def _wrong_kind(path: Path, value: Any) -> str:
    annotation = spec_fields.annotation_at(path)
    text = f"must be {spec_fields.wanted(annotation)}, not {_shown(value)}"
    if str in spec_fields.plain(annotation) and isinstance(value, bool | int | float):
        return f"{text}; put it in quotes"
    choices = [str(getattr(item, "value", item)) for item in spec_fields.choices(annotation)]
    if isinstance(value, str) and (close := spec_fields.near(value, choices)):
        return f"{text}; did you mean {close[0]}?"
    return text


def _unknown(path: Path) -> str:
    model = spec_fields.model_of(spec_fields.annotation_at(path[:-1]))
    names = list(spec_fields.keys(model)) if model is not None else []
    key = str(path[-1])
    if "token" in key.lower():
        return "is unknown; the Hugging Face token is no part of a specification, set HF_TOKEN instead"
    if why := spec_fields.unsupported(key):
        return why
    return f"is unknown; {spec_fields.did_you_mean(key, names)}"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a block of keys"
    if isinstance(value, list):
        return "a list"
    return "nothing" if value is None else json.dumps(value) if not isinstance(value, str) else f'"{value}"'
