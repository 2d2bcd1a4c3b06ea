"""Where the recipe differs from the document, told without any cloud.

Read off the resources themselves, so that what is told is what is done. Invariant: each departure is told once, with
all the rows it belongs to, in the order of the recipe.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backend.clients import Clients
from backend.clients.connect import Connection
from backend.engine.resource import Departure
from backend.resources import declare
from backend.spec import GatewaySpec

PROJECT = "PROJECT"
"""Stands for the project where none is named."""


@dataclass(frozen=True, slots=True)
class Departed:
    """A departure and the rows of the recipe that make it."""

    rows: tuple[str, ...]
    """Kinds of rows, such as ``node-pool`` and ``cluster``."""
    departure: Departure


def departures(spec: GatewaySpec) -> tuple[Departed, ...]:
    """List every departure of a specification's recipe."""
    found: dict[Departure, dict[str, None]] = {}
    for row, departure in _all(spec):
        found.setdefault(departure, {})[row] = None
    return tuple(Departed(tuple(rows), departure) for departure, rows in found.items())


def _all(spec: GatewaySpec) -> Iterator[tuple[str, Departure]]:
    nowhere = Connection(spec.target, spec.project or PROJECT, None, "no cloud", "", "")
    for resource in declare(spec, Clients(nowhere, spec), kubeconfig=Path("kubeconfig")):
        for departure in resource.about.departures:
            yield kind(resource.id), departure


def kind(resource: str) -> str:
    """The kind of row that a resource is, such as ``node-pool`` for ``node-pool/gke-west/h100``.

    >>> [kind(name) for name in ("iam/node-sa", "secret/hf-token@gke-west", "subnet/us-east4", "gateway")]
    ['iam/node-sa', 'secret/hf-token', 'subnet', 'gateway']
    """
    name, _, cluster = resource.partition("@")
    first, _, _ = name.partition("/")
    return name if cluster or first == "iam" else first
