"""Filter expressions of Compute Engine's lists, in both of its spellings.

A comparison is `field OPERATOR value`. `eq` and `ne` take a regular expression over the whole value (RE2), the signs
take a value; `:` asks whether a text holds the value, a list has it, or, with `*`, whether the field is there.
Comparisons join with `AND`, `OR`, `NOT` or `-` and parentheses; two without a word between both have to hold.
Reference: https://cloud.google.com/compute/docs/reference/rest/v1/instances/list, parameter `filter`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from backend.emulator.google.errors import ApiError

Json = dict[str, Any]
Predicate = Callable[[Json], bool]
_TOKEN = re.compile(
    r"""\s*(?:(?P<bracket>[()])|(?P<sign>!=|<=|>=|[=<>:])|"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'"""
    r"""|(?P<word>[^\s()=<>:!"']+))"""
)
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda one, other: bool(one < other),
    "<=": lambda one, other: bool(one <= other),
    ">": lambda one, other: bool(one > other),
    ">=": lambda one, other: bool(one >= other),
}
_Token = tuple[str, str]


def predicate(text: str) -> Predicate:
    """The test that a filter expression stands for; an empty one lets everything through. Raises ApiError 400."""
    if not text.strip():
        return lambda _item: True
    try:
        return _Parser(_tokens(text)).whole()
    except (ValueError, IndexError, re.error, RecursionError):
        message = f"Invalid value for field 'filter': '{text}'. Invalid list filter expression."
        raise ApiError(400, message, reason="invalid") from None


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at, text = 0, text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(text[at:])
        kind = str(match.lastgroup)
        value = match[kind]
        if kind in {"double", "single"}:
            kind, value = "text", value.replace('\\"', '"').replace("\\'", "'")
        found.append((kind, value))
        at = match.end()
    return found


class _Parser:
    """Recursive descent over the tokens; an IndexError means that the expression ends too early."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def whole(self) -> Predicate:
        found = self._either()
        if self._at < len(self._tokens):
            raise ValueError(self._tokens[self._at])
        return found

    def _next(self) -> _Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _take(self, *wanted: _Token) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] in wanted:
            self._at += 1
            return True
        return False

    def _either(self) -> Predicate:
        parts = [self._both()]
        while self._take(("word", "OR")):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else lambda item: any(part(item) for part in parts)

    def _both(self) -> Predicate:
        parts = [self._one()]
        while self._at < len(self._tokens) and self._tokens[self._at] not in {("bracket", ")"), ("word", "OR")}:
            self._take(("word", "AND"))
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda item: all(part(item) for part in parts)

    def _one(self) -> Predicate:
        if self._take(("word", "NOT"), ("word", "-")):
            inner = self._one()
            return lambda item: not inner(item)
        if self._take(("bracket", "(")):
            inner = self._either()
            if self._next() != ("bracket", ")"):
                raise ValueError("a parenthesis is not closed")
            return inner
        return self._comparison()

    def _comparison(self) -> Predicate:
        kind, field = self._next()
        if kind != "word":
            raise ValueError(field)
        if field.startswith("-"):
            self._at -= 1
            self._tokens[self._at] = ("word", field[1:])
            inner = self._comparison()
            return lambda item: not inner(item)
        kind, operator = self._next()
        if kind != "sign" and operator not in {"eq", "ne"}:
            raise ValueError(operator)
        kind, value = self._next()
        if kind not in {"word", "text"}:
            raise ValueError(value)
        path = field.split(".")
        test = _test(operator, value)
        return lambda item: test(list(_values(item, path)))


def _test(operator: str, value: str) -> Callable[[list[Any]], bool]:
    """The test of a field's values: none when it is absent, several when it is a list."""
    if operator in {"eq", "ne"}:
        pattern = re.compile(value)
        return lambda found: any(pattern.fullmatch(_text(one)) for one in found or [""]) == (operator == "eq")
    if operator in {"=", "!="}:
        return lambda found: any(_text(one) == value for one in found or [""]) == (operator == "=")
    if operator == ":":
        if value == "*":
            return bool
        return lambda found: any(value.lower() in _text(one).lower() for one in found)
    order = _ORDER[operator]
    return lambda found: any(_compared(order, one, value) for one in found)


def _compared(order: Callable[[Any, Any], bool], one: Any, value: str) -> bool:
    try:
        return order(float(one), float(value))
    except (TypeError, ValueError):
        return order(_text(one), value)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _values(item: Any, path: list[str]) -> Iterable[Any]:
    if isinstance(item, list):
        for one in item:
            yield from _values(one, path)
    elif not path:
        yield item
    elif isinstance(item, dict) and path[0] in item:
        yield from _values(item[path[0]], path[1:])
