"""Schemas of the built-in kinds, read from the published ``kubernetes`` client's models.

The models are of the client's own release, which may know fields that the emulated version does not. They are closed
(an unknown field is an error) and carry the API's own descriptions, so nothing is restated here.
Invariant: importing this module costs nothing; the first schema that is asked for imports the models (about a quarter
of a second), which the API server does in a thread.
"""

from __future__ import annotations

import datetime
import re
import typing
from collections.abc import Mapping
from functools import cache, cached_property
from typing import Any

from backend.emulator.kube.schema import Schema
from backend.emulator.loading import load

_QUANTITY_MAPS = frozenset({"allocatable", "allocatedResources", "capacity", "hard", "limits", "overhead", "requests"})
_QUANTITIES = frozenset({"averageValue", "divisor", "sizeLimit"})
_PREFIX = re.compile(r"^(Core|Events)?V\d+((alpha|beta)\d+)?")
_OPEN = Schema({"x-kubernetes-preserve-unknown-fields": True})
_SCALARS: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    bytes: {"type": "string", "format": "byte"},
    datetime.datetime: {"type": "string", "format": "date-time"},
}


class ModelSchema(Schema):
    """An object whose fields are those of a pydantic model."""

    def __init__(self, model: Any) -> None:
        fields = model.model_fields
        super().__init__(
            {
                "type": "object",
                "title": _PREFIX.sub("", model.__name__),
                "required": [
                    info.serialization_alias or name
                    for name, info in fields.items()
                    if info.is_required() and info.annotation is not None
                ],
            }
        )
        self.model = model
        self.description: str = " ".join((model.__doc__ or "").split("\n\n")[0].split())

    @cached_property
    def properties(self) -> Mapping[str, Schema]:
        """The declared fields of an object."""
        return {
            (alias := info.serialization_alias or name): _of(info.annotation, alias, info.description)
            for name, info in self.model.model_fields.items()
        }


class _Container(Schema):
    """A list, or a map with free keys, whose members have a schema already."""

    def __init__(self, kind: str, member: Schema, description: str | None) -> None:
        super().__init__({"type": kind} | ({"description": description} if description else {}))
        self.member = member

    @cached_property
    def values(self) -> Schema | None:
        """What the values of a map look like."""
        return self.member if self.type == "object" else None

    @cached_property
    def items(self) -> Schema | None:
        """What the items of a list look like."""
        return self.member if self.type == "array" else None


def model_schema(name: str) -> Schema:
    """The schema of a built-in kind by the name of its model, for instance ``V1Deployment``."""
    return _model(getattr(load("kubernetes.client.models"), name))


@cache
def _model(model: Any) -> ModelSchema:
    return ModelSchema(model)


def _of(annotation: Any, field: str, description: str | None = None) -> Schema:
    said = {"description": description} if description else {}
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _of(typing.get_args(annotation)[0], field, description)
    if origin is list:
        return _Container("array", _of(typing.get_args(annotation)[0], field), description)
    if origin is dict:
        if field in _QUANTITY_MAPS:
            return _Container("object", Schema({"x-kubernetes-int-or-string": True}), description)
        member = typing.get_args(annotation)[1]
        return _Container("object", _OPEN if member is Any else _of(member, ""), description)
    if origin is typing.Union:
        options = [one for one in typing.get_args(annotation) if one is not type(None)]
        if len(options) == 1:
            return _of(options[0], field, description)
        plain = {typing.get_args(one)[0] if typing.get_origin(one) is typing.Annotated else one for one in options}
        if plain == {int, str}:
            return Schema({"x-kubernetes-int-or-string": True, **said})
        if plain == {int, float}:
            return Schema({"type": "number", **said})
        if plain == {bytes, str}:
            return Schema({"type": "string", "format": "byte", **said})
        return _OPEN
    if isinstance(annotation, type) and hasattr(annotation, "model_fields"):
        return _model(annotation)
    if field in _QUANTITIES and annotation is str:
        return Schema({"x-kubernetes-int-or-string": True, **said})
    scalar = _SCALARS.get(annotation)
    return Schema({**scalar, **said}) if scalar else _OPEN
