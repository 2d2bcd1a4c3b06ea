"""What must be done before what: the graph of a run, for either verb."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from backend.engine.events import Verb
from backend.engine.resource import Resource, ResourceId

Graph = Mapping[ResourceId, frozenset[ResourceId]]
"""For each resource, those that must be done before it."""


class GraphError(ValueError):
    """The declared resources do not form a graph that could be carried out."""


def graph(resources: Sequence[Resource[Any]], verb: Verb) -> Graph:
    """Order the resources for a verb; raises ``GraphError`` for unknown names, duplicates and cycles."""
    known = {resource.id for resource in resources}
    if len(known) != len(resources):
        raise GraphError("two resources have the same id")
    forward = {resource.id: resource.depends_on | _parent(resource) for resource in resources}
    unknown = sorted(
        f"{resource.id} -> {name}"
        for resource in resources
        for name in (forward[resource.id] | resource.delete_after) - known
    )
    if unknown:
        raise GraphError(f"unknown resources: {', '.join(unknown)}")
    edges: Graph = forward
    if verb is Verb.DESTROY:
        backward: dict[ResourceId, set[ResourceId]] = {
            resource.id: set(resource.delete_after) for resource in resources
        }
        for later, befores in forward.items():
            for before in befores:
                backward[before].add(later)
        edges = {name: frozenset(befores) for name, befores in backward.items()}
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        raise GraphError(f"a cycle: {' -> '.join(error.args[1])}") from error
    return edges


def stable_order(edges: Graph, declared: Sequence[ResourceId]) -> list[ResourceId]:
    """Sort by dependency, and among equals in the order of declaration."""
    position = {name: index for index, name in enumerate(declared)}
    sorter = TopologicalSorter(edges)
    sorter.prepare()
    ordered: list[ResourceId] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=position.__getitem__)
        ordered.extend(ready)
        sorter.done(*ready)
    return ordered


def _parent(resource: Resource[Any]) -> frozenset[ResourceId]:
    return frozenset() if resource.within is None else frozenset({resource.within})
