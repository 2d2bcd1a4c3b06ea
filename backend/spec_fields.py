"""The fields of a specification by path: what there is, and what a wrong value should have been.

Read off the pydantic models, so that a field added there is known here. Invariant: messages use the words of the YAML
file (text, number, list, block), never those of the validation library.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from backend.spec import GatewaySpec
from backend.yaml_tree import Path, dotted

_MOST_EXAMPLES = 3

PATTERNS = {
    r"^[a-z]([-a-z0-9]*[a-z0-9])?$": "a name of lower-case letters, digits and hyphens that starts with a letter",
    r"^[a-z]([-a-z0-9]*[a-z0-9])$": "a project id of lower-case letters, digits and hyphens, such as my-project",
    r"^[a-z]+-[a-z]+[0-9]+$": "a region, such as europe-west3",
    r"^[a-z]+-[a-z]+[0-9]+-[a-z]$": "a zone, such as europe-west3-c",
    r"^[\w.-]+/[\w.-]+$": "a Hugging Face repository, such as meta-llama/Llama-3.1-8B-Instruct",
    r"^\S+:\S+$": "an image with a tag, such as vllm/vllm-openai:v0.8.5",
    r"^/\S*$": "a path that starts with /",
    r"^(>=)?\d+\.\d+(\.\d+-gke\.\d+)?$": "a GKE version, such as 1.34.1-gke.1127000, with >= in front for the lowest",
}
"""What a text must be, for each pattern that the models use."""

_NODES = "nodes have public addresses, as in Google's guide"
_CONTROL_PLANE = "the control planes have public endpoints that ask for Google credentials, as in Google's guide"
UNSUPPORTED = {
    "private_nodes": _NODES,
    "enable_private_nodes": _NODES,
    "cloud_nat": _NODES,
    "nat": _NODES,
    "private_cluster": _CONTROL_PLANE,
    "private_endpoint": _CONTROL_PLANE,
    "dns_endpoint": _CONTROL_PLANE,
    "authorized_networks": _CONTROL_PLANE,
    "master_authorized_networks": _CONTROL_PLANE,
    "autopilot": "clusters are Standard ones with node pools of their own",
    "zone": "clusters are regional; the zones of the GPUs are named in gpu_pool.zones",
    "tensor_parallel_size": "each model server takes one GPU",
    "autoscaling": "pools and model servers have the size that is written down",
    "model_armor": "multi-cluster gateways do not support it",
}
"""Keys for what mcig does not do, each with how it is instead."""


def unsupported(key: str) -> str | None:
    """Say why there is no such field, where people might expect one; ``None`` for any other key."""
    why = UNSUPPORTED.get(key.lower().replace("-", "_"))
    return None if why is None else f"is not supported: {why}"


def plain(annotation: Any) -> list[Any]:
    """List the alternatives of an annotation without ``None`` and without constraints."""
    if get_origin(annotation) is Annotated:
        return plain(get_args(annotation)[0])
    if get_origin(annotation) in {Union, types.UnionType}:
        return [found for part in get_args(annotation) if part is not type(None) for found in plain(part)]
    return [annotation]


def optional(annotation: Any) -> bool:
    """Whether a field may be ``null``."""
    return type(None) in get_args(annotation)


def choices(annotation: Any) -> list[Any]:
    """The words that a field may be one of; empty where it takes anything."""
    found: list[Any] = []
    for part in plain(annotation):
        if get_origin(part) is Literal:
            found += get_args(part)
        elif isinstance(part, type) and issubclass(part, Enum):
            found += list(part)
    return found


def model_of(annotation: Any) -> type[BaseModel] | None:
    """The block that an annotation stands for; ``None`` for anything else."""
    for part in plain(annotation):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None


def item_of(annotation: Any) -> Any:
    """The annotation of a list's items; ``None`` for what is no list."""
    for part in plain(annotation):
        if get_origin(part) is tuple:
            return get_args(part)[0]
    return None


def keys(model: type[BaseModel]) -> dict[str, Any]:
    """The keys of a block as YAML spells them, each with its annotation."""
    return {info.alias or name: info.annotation for name, info in model.model_fields.items()}


def annotation_at(path: Path) -> Any:
    """The annotation of the field at a path; ``LookupError`` where there is no such field."""
    here: Any = GatewaySpec
    for part in path:
        if isinstance(part, int):
            here = item_of(here)
            if here is None:
                raise LookupError(part)
        else:
            model = model_of(here)
            if model is None:
                raise LookupError(part)
            here = keys(model)[part]
    return here


def all_paths() -> Iterator[str]:
    """Every field of a specification, with ``[0]`` for list items."""

    def below(annotation: Any, path: Path) -> Iterator[str]:
        if path:
            yield dotted(path)
        if (model := model_of(annotation)) is not None:
            for key, inner in keys(model).items():
                yield from below(inner, (*path, key))
        elif (item := item_of(annotation)) is not None and model_of(item) is not None:
            yield from below(item, (*path, 0))

    return below(GatewaySpec, ())


def near(wanted: str, names: Iterable[str]) -> list[str]:
    """The names that look most like what was written, best first."""
    lower = {name.lower(): name for name in names}
    return [lower[found] for found in difflib.get_close_matches(wanted.lower(), lower, _MOST_EXAMPLES, 0.6)]


def did_you_mean(wanted: str, names: Sequence[str]) -> str:
    """A sentence that names the closest match, else everything there is."""
    if found := near(wanted, names):
        return f"did you mean {' or '.join(found)}?"
    return f"there is {', '.join(names)}" if names else "there is none"


def wanted(annotation: Any) -> str:
    """Say in the words of YAML what a field takes."""
    return " or ".join(dict.fromkeys(_wanted(part) for part in plain(annotation)))


def _wanted(part: Any) -> str:
    if get_origin(part) is Literal:
        return _one_of(get_args(part))
    if get_origin(part) is tuple:
        item = get_args(part)[0]
        if (model := model_of(item)) is not None:
            return f"a list of blocks, each with {', '.join(keys(model))}"
        return f"a list of {_wanted(plain(item)[0]).removeprefix('a ')}s"
    if isinstance(part, type) and issubclass(part, Enum):
        return _one_of([member.value for member in part])
    if isinstance(part, type) and issubclass(part, BaseModel):
        return f"a block with {', '.join(keys(part))}"
    words = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
    return words.get(part, "a range such as 192.168.0.0/23")


def _one_of(values: Sequence[Any]) -> str:
    return str(values[0]) if len(values) == 1 else f"one of {', '.join(map(str, values))}"
