"""What a question of the specification is: its answer's kind, its help, and how an answer reads as text.

Invariants: help that is not given is the model's own docstring; ``parse`` and ``show`` undo each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from backend import spec_fields
from backend.draft import Draft
from backend.yaml_tree import Path


class Kind(StrEnum):
    """What sort of answer a field takes."""

    TEXT = "text"
    NUMBER = "number"
    CHOICE = "choice"
    YES_NO = "yes-no"
    LIST = "list"
    """Texts with commas between them."""
    PAIRS = "pairs"
    """``name=source`` with commas between them."""
    CLUSTERS = "clusters"
    """The regions that serve the model, which make up the clusters."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the answers that a field may have."""

    value: str
    label: str
    hint: str = ""
    """What taking it means, in one line."""


Choices = Callable[[Draft], Iterable[Choice]]


@dataclass(frozen=True)
class Field:
    """One question."""

    path: str
    label: str
    text: str = ""
    """Help in the place of the model's docstring."""
    options: Choices | None = None
    """What it may be, where that depends on other answers."""
    free: bool = False
    """Whether another answer than one of the choices may be typed."""
    advanced: bool = False
    """Whether most people leave it as it is."""
    each: bool = False
    """Whether every cluster has an answer of its own; others of the clusters' fields are usually the same in all."""
    unit: str = ""
    when: Callable[[Draft], bool] | None = None
    """When it means anything; always where ``None``."""

    @cached_property
    def annotation(self) -> Any:
        """The type that the specification gives it."""
        return spec_fields.annotation_at(_typed(self.path))

    @cached_property
    def kind(self) -> Kind:
        """What sort of answer it takes."""
        if self.path == "clusters":
            return Kind.CLUSTERS
        if (item := spec_fields.item_of(self.annotation)) is not None:
            return Kind.PAIRS if spec_fields.model_of(item) is not None else Kind.LIST
        plain = spec_fields.plain(self.annotation)
        if plain == [bool]:
            return Kind.YES_NO
        if (self.options is not None and not self.free) or (
            spec_fields.choices(self.annotation) and len(spec_fields.choices(self.annotation)) == len(_members(plain))
        ):
            return Kind.CHOICE
        return Kind.NUMBER if plain in ([int], [float]) else Kind.TEXT

    @cached_property
    def help(self) -> str:
        """One or two sentences on what it is."""
        return self.text or _docstring(_typed(self.path)).replace("``", "`")

    @property
    def optional(self) -> bool:
        """Whether it may be left empty."""
        return spec_fields.optional(self.annotation)

    @property
    def optional_block(self) -> bool:
        """Whether it belongs to a block that may be left out altogether, such as the guard."""
        above = _typed(self.path)[:-1]
        return bool(above) and spec_fields.optional(spec_fields.annotation_at(above))

    def choices(self, draft: Draft) -> tuple[Choice, ...]:
        """What it may be, given the other answers; empty where it takes anything."""
        if self.options is not None:
            return tuple(self.options(draft))
        return tuple(Choice(str(value), str(value)) for value in spec_fields.choices(self.annotation))

    def asked(self, draft: Draft) -> bool:
        """Whether it means anything, given the other answers."""
        return self.when is None or self.when(draft)

    def show(self, value: Any) -> str:
        """An answer as text, as a person would type it."""
        if value is None:
            return ""
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, float) and value.is_integer():
            return str(int(value))
        if not isinstance(value, list):
            return str(value)
        if self.kind is Kind.PAIRS:
            return ", ".join(f"{item['name']}={item['source']}" for item in value)
        return ", ".join(map(str, value))

    def parse(self, text: str) -> Any:
        """What was typed as an answer; a text that cannot be one is given as it is, for ``Draft.check`` to tell."""
        text = text.strip()
        kinds = spec_fields.plain(self.annotation)
        if self.kind in {Kind.LIST, Kind.PAIRS}:
            items = [item.strip() for item in re.split(r"[,\n]", text) if item.strip()]
            if not items and self.optional_block:
                return None
            return items if self.kind is Kind.LIST else [_pair(item) for item in items]
        if self.kind is Kind.YES_NO:
            return {"yes": True, "true": True, "y": True, "no": False, "false": False, "n": False}.get(
                text.lower(), text
            )
        if not text and self.optional:
            return None
        for kind, pattern in ((int, r"[+-]?\d{1,18}"), (float, r"[+-]?\d{1,18}(\.\d{1,18})?")):
            if kind in kinds and re.fullmatch(pattern, text):
                return kind(text)
        return text


@dataclass(frozen=True)
class Page:
    """One group of questions."""

    name: str
    title: str
    about: str
    """What is decided here, in a sentence or two."""
    fields: tuple[Field, ...]
    topics: tuple[str, ...] = ()
    """What of ``backend.preflight.Topic`` is checked here."""
    more: str = ""
    """Help in paragraphs."""


def _typed(path: str) -> Path:
    parts: list[str | int] = []
    for part in path.split("."):
        name, list_item, _ = part.partition("[]")
        parts += [name, 0] if list_item else [name]
    return tuple(parts)


def _docstring(path: Path) -> str:
    *above, last = path
    model = spec_fields.model_of(spec_fields.annotation_at(tuple(above)))
    fields = {} if model is None else {info.alias or name: info for name, info in model.model_fields.items()}
    return (fields[str(last)].description or "") if str(last) in fields else ""


def _members(plain: Sequence[Any]) -> list[Any]:
    """The words that the alternatives of an annotation amount to; one for an alternative that is no word."""
    return [found for part in plain for found in (spec_fields.choices(part) or [part])]


def _pair(text: str) -> dict[str, str]:
    name, _, source = text.partition("=")
    return {"name": name.strip(), "source": source.strip()}
