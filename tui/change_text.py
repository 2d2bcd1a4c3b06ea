"""Fields that differ, as lines of text: before and after, readable at 80 columns.

Invariant: a value is never cut; of a text of several lines and of a list only what goes and what comes is shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from difflib import ndiff
from itertools import groupby

from tui.style import Style

_MANY = 4
"""Fields that change in the same way and share one line."""
Field = tuple[str, object, object]
"""Field, value before, value after; a field of an object reads ``Kind/name: path``."""


def change_lines(changes: Iterable[Field], style: Style, *, indent: str) -> Iterator[str]:
    """Each change on a line of its own where it fits, below the object that it belongs to."""
    for owner, fields in groupby(changes, key=lambda change: change[0].rpartition(": ")[0]):
        deeper = indent
        if owner:
            yield f"{indent}{owner}"
            deeper = f"{indent}  "
        for field, before, after in _together(list(fields)):
            lists = isinstance(before, list) and isinstance(after, list)
            told = [_items(value) if lists else _value(value) for value in (before, after)]
            yield from _change(field.rpartition(": ")[2], *told, style=style, indent=deeper)


def _together(fields: list[Field]) -> Iterator[Field]:
    """The fields, those that change from the same value to the same one as one, where they are many."""
    alike: dict[str, list[Field]] = {}
    for one in fields:
        alike.setdefault(repr(one[1:]), []).append(one)
    for many in alike.values():
        if len(many) < _MANY:
            yield from many
        else:
            names = ", ".join(field.rpartition(": ")[2] for field, _, _ in many)
            yield names, many[0][1], many[0][2]


def _change(field: str, before: str, after: str, *, style: Style, indent: str) -> Iterator[str]:
    line = f"{indent}{field}: {before} -> {after}"
    if "\n" in before + after:
        yield f"{indent}{field}:"
        for one in ndiff(before.splitlines(), after.splitlines()):
            if one[0] in "+-":
                yield from style.wrap(one, first=f"{indent}  ", indent=f"{indent}    ")
    elif len(line) <= style.width:
        yield line
    else:
        yield from style.wrap(f"{field}:", first=indent, indent=indent)
        yield from style.wrap(before, first=f"{indent}  ", indent=f"{indent}  ")
        yield from style.wrap(after, first=f"{indent}  -> ", indent=f"{indent}     ")


def _items(value: object) -> str:
    return "\n".join(map(_value, value)) if isinstance(value, list) and value else "nothing"


def _value(value: object) -> str:
    if value is None:
        return "nothing"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
