"""Partial answers: the `fields` parameter that every JSON API of Google takes.

`a,b/c,d(e,f/g)` keeps what it names; `*` stands for every name of a map. A list keeps the fields of each of its items.
A name that an answer does not have is left out in silence: the answers here do not carry their schema.
"""

from __future__ import annotations

import re
from typing import Any

from backend.emulator.google.errors import ApiError

Mask = dict[str, "Mask"]
_TOKEN = re.compile(r"[(),/]|[\w*.:@$-]+")


def mask(text: str) -> Mask:
    """The fields that a selection names, nested; what is below an empty one is kept whole. Raises ApiError 400."""
    tokens = _TOKEN.findall(text)
    try:
        if "".join(tokens) != re.sub(r"\s", "", text):
            raise ValueError(text)
        found, left = _several(tokens)
        if left:
            raise ValueError(left)
    except (ValueError, IndexError, RecursionError):
        raise ApiError(400, f"Invalid field selection {text}", reason="invalidParameter") from None
    return found


def _several(tokens: list[str]) -> tuple[Mask, list[str]]:
    found: Mask = {}
    while True:
        name, tokens = tokens[0], tokens[1:]
        if name in "(),/":
            raise ValueError(name)
        below = found.setdefault(name, {})
        while tokens[:1] == ["/"]:
            if tokens[1] in "(),/":
                raise ValueError(tokens[1])
            below, tokens = below.setdefault(tokens[1], {}), tokens[2:]
        if tokens[:1] == ["("]:
            inner, tokens = _several(tokens[1:])
            if tokens[:1] != [")"]:
                raise ValueError("a parenthesis is not closed")
            below.update(inner)
            tokens = tokens[1:]
        if tokens[:1] != [","]:
            return found, tokens
        tokens = tokens[1:]


def select(answer: Any, wanted: Mask) -> Any:
    """What a mask keeps of an answer."""
    if not wanted:
        return answer
    if isinstance(answer, list):
        return [select(one, wanted) for one in answer]
    if not isinstance(answer, dict):
        return answer
    rest = wanted.get("*")
    return {
        name: select(value, wanted.get(name, rest or {}))
        for name, value in answer.items()
        if name in wanted or rest is not None
    }
