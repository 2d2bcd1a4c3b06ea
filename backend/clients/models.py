"""Built-in Kubernetes objects against the published models, without asking any cluster.

The models are those of the Kubernetes client. They know fields and types, those of newer API servers too, but not which
values are allowed; an unknown field or a wrong type is an error. Invariant: importing this loads no model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from backend.clients.loading import load

_MODELS = "kubernetes.aio.client.models"
UNKNOWN = "there is no such field"
MISSING = "is required"
_WORDS = {"missing": MISSING, "extra_forbidden": UNKNOWN}


def misfits(obj: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield where an object of a built-in kind differs from its model, and how.

    The first call of a kind loads its model, up to half a second of CPU, so call it in a thread. Raises ``LookupError``
    for a kind that has no model.
    """
    version = obj["apiVersion"].rpartition("/")[2]
    name = f"{version.capitalize()}{obj['kind']}"
    try:
        model = getattr(load(_MODELS), name)
    except AttributeError:
        raise LookupError(f"no model of {obj['apiVersion']} {obj['kind']}") from None
    try:
        model.model_validate(obj, by_alias=True, by_name=False)
    except ValidationError as error:
        for found in error.errors(include_url=False, include_context=False):
            place = _inside(obj, found["loc"], missing=found["type"] == "missing")
            if not _quantity(place, found["input"]):
                yield place, _WORDS.get(found["type"], found["msg"])


def _quantity(place: tuple[str | int, ...], value: Any) -> bool:
    """Whether a number stands where API servers take one for a quantity, though the models want text."""
    return len(place) > 1 and place[-2] in {"limits", "requests"} and isinstance(value, int | float)


def _inside(value: Any, place: tuple[str | int, ...], *, missing: bool) -> tuple[str | int, ...]:
    """A place without the names of the types that were tried there."""
    walked: list[str | int] = []
    for index, part in enumerate(place):
        known = part in value if isinstance(value, Mapping) else isinstance(value, list) and isinstance(part, int)
        if not known and not (missing and index == len(place) - 1):
            break
        walked.append(part)
        value = value[part] if known else None
    return tuple(walked)
