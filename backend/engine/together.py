"""Doing several things side by side as one.

Invariant: when it is over none of them goes on, also after one has failed; and the error is that one's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Found = TypeVar("Found")


async def together(*asked: Coroutine[Any, Any, Found]) -> list[Found]:
    """Give what each returns; the first error of any stops the others and is raised once they have ended."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in asked]
    except BaseExceptionGroup as failures:
        error = first(failures)
        raise error from error.__cause__
    return [task.result() for task in tasks]


def first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first real error of a group, so that callers see it and not the group."""
    error = failures.exceptions[0]
    return first(error) if isinstance(error, BaseExceptionGroup) else error
