"""Looking at all resources side by side.

Invariant: nothing is asked of what lives inside something that is absent, or could not be seen itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

from backend.engine.resource import Resource, ResourceId
from backend.engine.together import first


class Unanswered(Exception):
    """A resource that was not seen in the time that there was for it."""

    def __init__(self, resource: ResourceId, limit_s: float) -> None:
        super().__init__(f"no answer within {limit_s:g} s")
        self.resource = resource


@dataclass(frozen=True, slots=True)
class Unseen:
    """A resource that could not be looked at."""

    error: Exception


async def observe(
    resources: Sequence[Resource[Any]],
    *,
    parallel: int = 32,
    passing: tuple[type[Exception], ...] = (),
    limit_s: float | None = None,
) -> dict[ResourceId, Any]:
    """Look at everything side by side; what lives inside something absent is absent without asking.

    What lives inside something and takes longer than ``limit_s`` is left unseen, as ``Unanswered``; so is what was
    only taken for absent, by an error of the kinds in ``passing``.
    """
    by_id = {resource.id: resource for resource in resources}
    bound = asyncio.Semaphore(parallel)
    looks: dict[ResourceId, asyncio.Task[Any]] = {}

    async def look(resource: Resource[Any]) -> Any:
        if resource.within is not None and ((home := await looks[resource.within]) is None or type(home) is Unseen):
            return home
        async with bound:
            try:
                async with asyncio.timeout(None if resource.within is None else limit_s) as limit:
                    seen = await resource.observe()
            except passing as error:
                return Unseen(error)
            except TimeoutError:
                if not limit.expired() or limit_s is None:
                    raise
                return Unseen(Unanswered(resource.id, limit_s))
            if seen is None and resource.unread is not None and isinstance(resource.unread, passing):
                return Unseen(resource.unread)
            return seen

    try:
        async with asyncio.TaskGroup() as group:
            for name in _parents_first(by_id):
                looks[name] = group.create_task(look(by_id[name]), name=f"observe {name}")
    except BaseExceptionGroup as failures:
        error = first(failures)
        raise error from error.__cause__
    return {name: task.result() for name, task in looks.items()}


def _parents_first(by_id: Mapping[ResourceId, Resource[Any]]) -> Iterable[ResourceId]:
    homes = {name: () if one.within is None else (one.within,) for name, one in by_id.items()}
    return TopologicalSorter(homes).static_order()
