"""Terraform's language, as far as it is written here: blocks of attributes, laid out as ``terraform fmt`` does.

Invariant: a text is never read as a template; only an ``Expr`` is Terraform's to work out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


class Expr(str):
    """An expression of Terraform's language, such as ``google_service_account.nodes.email``."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Block:
    """A block: its kind, its labels, attributes and the blocks in it."""

    kind: str
    labels: tuple[str, ...] = ()
    attributes: Mapping[str, object] = field(default_factory=dict)
    blocks: tuple[Block, ...] = ()
    comment: str = ""


def text(blocks: Iterable[Block]) -> str:
    """The blocks as a file."""
    return "\n".join("\n".join(_block(block, "")) + "\n" for block in blocks)


def block(kind: str, /, *labels: str, of: Sequence[Block] = (), comment: str = "", **attributes: object) -> Block:
    """A block, with its attributes by name; those that are ``None`` are left out."""
    present = {name: value for name, value in attributes.items() if value is not None}
    return Block(kind, labels, present, tuple(of), comment)


def _block(one: Block, indent: str) -> list[str]:
    head = " ".join([one.kind, *(json.dumps(label) for label in one.labels)])
    lines = [f"{indent}# {line}" for line in one.comment.splitlines()]
    inner = indent + "  "
    parts = [*_attributes(one.attributes, inner), *(_block(child, inner) for child in one.blocks)]
    if not parts:
        return [*lines, f"{indent}{head} {{}}"]
    lines.append(f"{indent}{head} {{")
    for number, part in enumerate(parts):
        lines += ([""] if number else []) + part
    return [*lines, f"{indent}}}"]


def _attributes(attributes: Mapping[str, object], indent: str) -> list[list[str]]:
    """Runs of attributes: those of one line stand together with their signs in a column, longer ones alone."""
    runs: list[list[str]] = []
    short: list[tuple[str, str]] = []

    def close() -> None:
        if short:
            width = max(len(name) for name, _ in short)
            runs.append([f"{indent}{name.ljust(width)} = {value}" for name, value in short])
            short.clear()

    for name, value in attributes.items():
        lines = _value(value, indent)
        if len(lines) == 1:
            short.append((name, lines[0]))
        else:
            close()
            runs.append([f"{indent}{name} = {lines[0]}", *lines[1:]])
    close()
    return runs


def _value(value: object, indent: str) -> list[str]:
    if isinstance(value, Expr):
        return value.splitlines()
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, int):
        return [str(value)]
    if isinstance(value, str):
        return [json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")]
    inner = indent + "  "
    if isinstance(value, Mapping):
        width = max(len(key) for key in map(_key, value))
        items = [f"{inner}{_key(key).ljust(width)} = {_line(item)}" for key, item in value.items()]
        return ["{", *items, f"{indent}}}"]
    if isinstance(value, Sequence):
        whole = _line(value)
        return [whole] if len(whole) <= 80 else ["[", *(f"{inner}{_line(item)}," for item in value), f"{indent}]"]
    raise TypeError(f"{value!r} has no form in Terraform's language")


def _line(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(_line(item) for item in value)}]"
    (line,) = _value(value, "")
    return line


def _key(key: str) -> str:
    return key if key.replace("_", "").isalnum() and not key[0].isdigit() else json.dumps(key)
