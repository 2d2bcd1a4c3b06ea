"""CEL, the language of admission rules: compiling and evaluating expressions as the API server does.

The language itself is a library's. Invariant: importing this module costs nothing, the library is loaded with the first
expression; a failure is worded as the API server words it. Types are not checked beforehand: a field that does not
exist is found out when the expression is evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from backend.emulator.loading import load


class ExpressionError(ValueError):
    """An expression that cannot be compiled or evaluated; the text says why."""


def check(expression: str) -> None:
    """Raises ExpressionError when an expression is not CEL."""
    try:
        _compiled(expression)
    except ValueError as error:
        text = str(error).removeprefix(f"Failed to parse expression '{expression}': ")
        raise ExpressionError(f"compilation failed: {text}") from None


def evaluate(expression: str, variables: Mapping[str, Any]) -> Any:
    """The value of an expression; raises ExpressionError."""
    context = load("cel").Context()
    load("cel.stdlib").add_stdlib_to_context(context)
    for name, value in variables.items():
        context.add_variable(name, value)
    try:
        return _compiled(expression).execute(context)
    except KeyError as error:
        raise ExpressionError(_failed(expression, f"no such key: {error.args[0]}")) from None
    except Exception as error:
        raise ExpressionError(_failed(expression, str(error).partition(". Check that")[0])) from None


def _failed(expression: str, why: str) -> str:
    return f"expression '{expression}' resulted in error: {why}"


@lru_cache(maxsize=256)
def _compiled(expression: str) -> Any:
    return load("cel").compile(expression)
