"""Which failures may be ignored: names of checks, as people type them.

Invariant: a name that no check can have is refused before anything is looked at, so that no failure is met at the end
because of a typing error.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from difflib import get_close_matches

from backend.errors import UsageError
from backend.preflight.survey import CHECKS


def check_ignored(ignored: Collection[str]) -> None:
    """Raise ``UsageError`` for what is neither the id of a check nor the beginning of one, such as ``capacity``."""
    shapes = [one.split("/") for check in CHECKS for one in check.ids.split(", ")]
    for name in ignored:
        if any(_begins(shape, name.split("/")) for shape in shapes):
            continue
        near = get_close_matches(name, dict.fromkeys(_beginnings(shapes)), n=1)
        raise UsageError(
            f"--ignore {name}: there is no such check",
            cause=f"did you mean {near[0]}?" if near else "it takes the id of a check, or the beginning of one",
            fix="`mcig doctor` shows the ids, `mcig doctor --list` what each kind reads",
        )


def _begins(shape: list[str], parts: list[str]) -> bool:
    """Whether parts of a name fit the form of an id; what is in capital letters there stands for anything."""
    fits = all(part and (form.isupper() or part == form) for form, part in zip(shape, parts, strict=False))
    return len(parts) <= len(shape) and fits


def _beginnings(shapes: list[list[str]]) -> Iterator[str]:
    for shape in shapes:
        for length in range(1, len(shape) + 1):
            if not shape[length - 1].isupper():
                yield "/".join(shape[:length])
