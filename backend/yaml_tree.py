"""YAML text as plain data that remembers where each value stands.

Invariants: what is wrong with the text itself (broken syntax, a key given twice, a tag or a value that plain data does
not have) is told as problems with file and line; the data returned is JSON-able.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from backend.errors import Problem

Path = tuple[str | int, ...]
"""Keys and list positions from the top of the document to a value."""

_TOO_MANY_VALUES = 20_000
_TAGS = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
_FAST: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times as fast where PyYAML has it, in other words when something is wrong, and no match for deep nesting."""
_NESTING = "[{-?"
_SURELY_SHALLOW = 2000
"""So many characters that may begin a deeper level do no harm."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A document: its data, and the place of everything in it."""

    data: Any
    places: Mapping[Path, str]
    """``file:line`` of values, or ``--set``."""
    problems: tuple[Problem, ...] = ()

    def place(self, path: Path) -> str:
        """Where a value stands; for one that is absent, where its nearest parent does."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return ""


def dotted(path: Iterable[str | int]) -> str:
    """Spell a path as people write it: ``clusters[1].region``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def known(data: Any, file: str) -> Tree:
    """Data that is no text, all of it on one line; ``file`` is how messages name where it comes from."""
    places: dict[Path, str] = {}

    def note(value: Any, path: Path) -> None:
        places[path] = f"{file}:1"
        for key, inner in value.items() if isinstance(value, dict) else ():
            note(inner, (*path, key))
        for index, inner in enumerate(value) if isinstance(value, list) else ():
            note(inner, (*path, index))

    note(data, ())
    return Tree(data, places)


def read(text: str, file: str) -> Tree:
    """Read one document; ``file`` is how messages name it."""
    if sum(map(text.count, _NESTING)) < _SURELY_SHALLOW:
        with contextlib.suppress(yaml.YAMLError, RecursionError):
            loader = _FAST(text)
            if (node := loader.get_single_node()) is not None:
                walk = _Walk(loader, file)
                return Tree(walk.value(node, ()), walk.places, tuple(walk.problems))
    return _read_slowly(text, file)


def _read_slowly(text: str, file: str) -> Tree:
    try:
        loader = yaml.SafeLoader(text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return Tree(None, {}, (Problem("", f"holds the control character U+{error.character:04X}", f"{file}:{line}"),))
    try:
        node = loader.get_single_node()
        if node is None:
            return Tree(None, {}, (Problem("", "is empty; a specification is expected", f"{file}:1"),))
        walk = _Walk(loader, file)
        data = walk.value(node, ())
    except yaml.MarkedYAMLError as error:
        return Tree(None, {}, (_broken(error, file),))
    except RecursionError:
        return Tree(None, {}, (Problem("", "is nested too deeply", f"{file}:1"),))
    finally:
        loader.dispose()
    return Tree(data, walk.places, tuple(walk.problems))


def _broken(error: yaml.MarkedYAMLError, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    where = file if mark is None else f"{file}:{mark.line + 1}:{mark.column + 1}"
    told = ", ".join(part for part in (error.context, error.problem) if part)
    return Problem("", f"this is not valid YAML: {told}", where)


@dataclass
class _Walk:
    """Turns nodes into data while noting places and problems."""

    loader: yaml.SafeLoader
    file: str
    places: dict[Path, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _open: set[int] = field(default_factory=set)

    def value(self, node: yaml.Node, path: Path) -> Any:
        self.places.setdefault(path, f"{self.file}:{node.start_mark.line + 1}")
        if id(node) in self._open:
            raise yaml.MarkedYAMLError(problem="a block that contains itself", problem_mark=node.start_mark)
        if len(self.places) > _TOO_MANY_VALUES:
            raise yaml.MarkedYAMLError(problem="far too many values", problem_mark=node.start_mark)
        if node.tag not in _TAGS and not isinstance(node, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(problem=f"the tag {node.tag} has no meaning here", problem_mark=node.start_mark)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
            return self._scalar(node)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key must be a single word", problem_mark=key.start_mark)
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                message = f"is given twice, first on line {seen[key.value]}; keep one of them"
                self.problems.append(Problem(dotted((*path, key.value)), message, f"{self.file}:{line}"))
            seen.setdefault(key.value, line)
        self.loader.flatten_mapping(node)
        data: dict[str, Any] = {}
        for key, value in node.value:
            self.places[*path, key.value] = f"{self.file}:{key.start_mark.line + 1}"
            data[key.value] = self.value(value, (*path, key.value))
        return data

    def _scalar(self, node: yaml.Node) -> Any:
        try:
            value = self.loader.construct_object(node)
        except ValueError as error:
            raise yaml.MarkedYAMLError(problem=str(error), problem_mark=node.start_mark) from error
        if isinstance(value, float) and not math.isfinite(value):
            told = f"{node.value} is not a number to count with"
            raise yaml.MarkedYAMLError(problem=told, problem_mark=node.start_mark)
        if value is None or isinstance(value, str | bool | int | float):
            return value
        return node.value
