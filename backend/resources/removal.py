"""Deleting what Google deletes by an operation.

Invariant: a deletion that is under way, by whomever, is joined and not asked for again; "not found" is success.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from backend.clients.google import Json
from backend.errors import NotFound
from backend.resources.waiting import Watch


async def remove(
    watch: Watch,
    doing: str,
    *,
    going: bool,
    begun: str | None,
    ask: Callable[[], Awaitable[Json]],
    ended: Callable[[str], Awaitable[None]],
) -> None:
    """Ask for a deletion and return once its operation has ended.

    ``going`` says that one is under way, and ``begun`` is its operation where that is known; ``ended`` waits for an
    operation by name.
    """
    if not going:
        try:
            operation = await watch.when_free(ask)
        except NotFound:
            return
        watch.saw(doing, operation=operation["name"])
        await ended(operation["name"])
    elif begun is not None:
        await ended(begun)
