"""What changed, in order: the history that watches read.

Invariant: every write of a store appears here once, with the cluster-wide resourceVersion it made; the last
:data:`KEPT` are kept, and a watch from before them is told 410 so that its client lists again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from backend.emulator.kube.errors import expired

KEPT = 1000


@dataclass(frozen=True, slots=True)
class Event:
    """One write: the object after it (or its last state, when deleted) and before it."""

    revision: int
    type: str
    resource: str
    obj: Mapping[str, Any]
    before: Mapping[str, Any] | None


class History:
    """The recent writes of a store and those who follow them."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._followers: dict[str, set[asyncio.Queue[Event | None]]] = {}
        self.floor = 0

    def record(self, event: Event) -> None:
        """Keeps an event and hands it to the followers of its resource."""
        if len(self._events) == KEPT:
            self.floor = self._events[0].revision
        self._events.append(event)
        for queue in self._followers.get(event.resource, ()):
            queue.put_nowait(event)

    def forget(self, revision: int) -> None:
        """Starts anew at a revision: older ones are answered with 410."""
        self._events.clear()
        self.floor = revision

    def since(self, resource: str, revision: int) -> list[Event]:
        """The events of a resource after a revision; raises 410 when some of them are no longer kept."""
        if revision < self.floor:
            raise expired(revision, self.floor)
        return [event for event in self._events if event.revision > revision and event.resource == resource]

    def after(self, revision: int) -> list[Event]:
        """All events after a revision that are still kept, the oldest first."""
        found: list[Event] = []
        for event in reversed(self._events):
            if event.revision <= revision:
                break
            found.append(event)
        return found[::-1]

    @contextmanager
    def follow(self, resource: str) -> Iterator[asyncio.Queue[Event | None]]:
        """A queue of the events to come; None in it means that the server stops."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        followers = self._followers.setdefault(resource, set())
        followers.add(queue)
        try:
            yield queue
        finally:
            followers.discard(queue)

    def close(self) -> None:
        """Ends every follower."""
        for followers in self._followers.values():
            for queue in followers:
                queue.put_nowait(None)
