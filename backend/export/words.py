"""Command lines for a shell script: from the words of a row's command to lines that people can read.

Invariant: a word goes into the script quoted for a POSIX shell, unless it was given as an ``Expansion``.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping

WIDTH = 110
"""Columns after which a command goes on in the next line."""


class Expansion(str):
    """A word that the shell is to expand, such as ``"$version"``."""

    __slots__ = ()


def command(text: str, *, put: Mapping[str, Expansion] | None = None, more: Iterable[str] = ()) -> list[str]:
    """Read a command line; the values of the flags in ``put`` become expansions, ``more`` words are appended.

    Raises ``LookupError`` for a flag in ``put`` that the command line does not have.
    """
    wanted = dict(put or {})
    words: list[str] = []
    for word in shlex.split(text):
        flag, equals, _ = word.partition("=")
        found = wanted.pop(flag, None) if equals else None
        words.append(word if found is None else Expansion(f"{flag}={found}"))
    if wanted:
        raise LookupError(f"no {', '.join(wanted)} in: {text}")
    return [*words, *more]


def line(words: Iterable[str], *, indent: str = "") -> str:
    """A command as a line of a script, continued where it is too long."""
    lines: list[str] = []
    here = indent
    for word in words:
        quoted = word if isinstance(word, Expansion) else quote(word)
        if here.strip() and len(here) + len(quoted) + 3 > WIDTH:
            lines.append(f"{here} \\")
            here = f"{indent}  {quoted}"
        else:
            here = f"{here} {quoted}" if here.strip() else f"{indent}{quoted}"
    return "\n".join([*lines, here])


def quote(word: str) -> str:
    """A word for the shell; of a flag only the value is quoted, and an apostrophe stays readable.

    >>> quote("--description=managed-by=mcig mcig-stack=demo")
    "--description='managed-by=mcig mcig-stack=demo'"
    >>> quote("the nodes' account")
    '"the nodes\' account"'
    """
    flag, equals, value = word.partition("=")
    if equals and flag.startswith("--") and shlex.quote(flag) == flag:
        return f"{flag}={shlex.quote(value)}" if value else word
    if "'" in word and not set(word) & set('"$`!\\'):
        return f'"{word}"'
    return shlex.quote(word)
