"""Long-running operations: a record with a due time, and an effect that is applied when it is due.

Level-triggered: `settle` applies whatever is due, in order of due time, and is called before every read and by the
controllers' loop. So an operation survives a restart, and at infinite speed it is done at its first poll.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from backend.emulator import faults
from backend.emulator.world import World

Json = dict[str, Any]
Effect = Callable[[World, Json], Awaitable[None] | None]

EFFECTS: dict[str, Effect] = {}
"""What happens when an operation of a kind is due, by the operation's `what`."""
_KEPT = 500
_log = logging.getLogger(__name__)


def effect(what: str) -> Callable[[Effect], Effect]:
    """Register the decorated function as the effect of operations of kind `what`."""

    def register(function: Effect) -> Effect:
        EFFECTS[what] = function
        return function

    return register


def start(
    world: World, *, api: str, location: str, what: str, key: str, name: str | None = None, pace: str = "", **view: Any
) -> Json:
    """Begin an operation on `key`, due after the pace of `pace`, by default of `what`; `view` is what the API shows."""
    now = world.now()
    name = name or f"operation-{int(now * 1000)}-{uuid.uuid4()}"
    record: Json = {
        "api": api,
        "name": name,
        "location": location,
        "what": what,
        "key": key,
        "startedAt": now,
        "doneAt": now + world.pace.seconds(pace or what, key) * faults.slowness(world, what, key),
        "done": False,
        "error": None,
        "view": view,
    }
    table = world.tables["operations"]
    table[name] = record
    finished = [old for old, one in table.items() if one["done"]]
    for old in finished[: max(0, len(table) - _KEPT)]:
        del table[old]
    world.touch()
    return record


def find(world: World, api: str, name: str, location: str) -> Json | None:
    """The operation of one API in one location."""
    record = world.tables["operations"].get(name)
    if record is None or record["api"] != api or record["location"] != location:
        return None
    return dict(record)


def of(world: World, api: str, location: str = "-") -> list[Json]:
    """Operations of one API, oldest first; location `-` means everywhere."""
    return [
        one for one in world.tables["operations"].values() if one["api"] == api and location in {"-", one["location"]}
    ]


def running(world: World, api: str, key: str) -> Iterator[Json]:
    """Operations of one API that still work on `key` or on something below it."""
    for one in world.tables["operations"].values():
        if not one["done"] and one["api"] == api and (one["key"] == key or one["key"].startswith(f"{key}/")):
            yield one


def next_due(world: World) -> float | None:
    """Unix time of the first operation that is still to be settled."""
    return min((one["doneAt"] for one in world.tables["operations"].values() if not one["done"]), default=None)


async def settle(world: World) -> None:
    """Apply the effect of every operation that is due."""
    async with world.settling:
        while due := [
            one for one in world.tables["operations"].values() if not one["done"] and one["doneAt"] <= world.now()
        ]:
            record = min(due, key=lambda one: float(one["doneAt"]))
            try:
                pending = EFFECTS[record["what"]](world, record)
                if pending is not None:
                    await pending
            except Exception:
                _log.exception("the effect of %s on %s failed", record["what"], record["key"])
                record["error"] = {"code": 13, "message": "Internal error."}
            record["done"] = True
            world.touch()


@lru_cache(maxsize=1024)
def stamp(seconds: float) -> str:
    """A time as the APIs write it: RFC 3339 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
