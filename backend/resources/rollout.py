"""Model servers are updated in one cluster after the other.

With a server on every GPU an update takes one away before the new one has loaded its model; done everywhere at once, a
stack with one server a region would answer nobody. Invariants: at most one cluster's model servers are being replaced
at any time; after an update that failed no other cluster is touched, so that what still serves goes on serving.
"""

from __future__ import annotations

import asyncio

from backend.engine.resource import Note
from backend.errors import OperationFailed


class Rollouts:
    """The updates of one stack's model servers, which take turns."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._updating = ""
        self._failed = ""

    async def begin(self, cluster: str, note: Note) -> None:
        """Return when it is this cluster's turn; raises ``OperationFailed`` when another's update has failed."""
        if self._turn.locked():
            note(f"waiting until the model servers on {self._updating} are updated, so that one region always serves")
        await self._turn.acquire()
        if self._failed:
            self._turn.release()
            raise OperationFailed(
                f"the model servers on {cluster} were left as they are",
                cause=f"their update on {self._failed} failed, and {cluster} goes on serving with the former one",
                fix="mend what the failed step says, then `mcig apply`",
            )
        self._updating = cluster

    def end(self, *, failed: bool) -> None:
        """Give the turn to the next cluster."""
        self._failed = self._updating if failed else ""
        self._turn.release()
