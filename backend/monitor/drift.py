"""What is no more as specified, looked for now and then beside the looks at the traffic.

Invariants: a look for drift is a plan that is not applied, so that ``mcig plan`` says the same; no snapshot waits long
for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import asdict

from backend.drill_mark import drilled
from backend.engine.events import Action
from backend.engine.plan import Plan
from backend.engine.resource import STATUS
from backend.errors import McigError
from backend.monitor.snapshot import DriftedSnapshot, DriftSnapshot

EVERY_S = 30.0
"""Seconds between two looks, which are about sixty requests each."""
WAIT_S = 1.0
"""Seconds that a snapshot waits for a look that is under way."""


def drift_of(plan: Plan, aside: Collection[str]) -> DriftSnapshot:
    """What differs from the specification, by a plan to apply it.

    ``aside`` are resources that say nothing of how the stack is: checks that follow changes, files of this machine.
    """
    found = []
    for step in plan.steps:
        changes = tuple(asdict(change) for change in step.step.changes if change.field != STATUS)
        if step.unseen is not None or step.action is Action.NO_OP or step.resource in aside:
            continue
        if step.action is Action.CREATE:
            if not step.step.reason:
                found.append(DriftedSnapshot(step.resource, "absent"))
        elif step.action is Action.DELETE:
            found.append(DriftedSnapshot(step.resource, "unwanted"))
        else:
            drill, others = drilled(changes)
            if drill is not None:
                found.append(DriftedSnapshot(step.resource, "drained", words=drill.said))
            if others:
                found.append(DriftedSnapshot(step.resource, "drifted", others))
    unseen = [step for step in plan.steps if step.unseen is not None]
    reason = f"{len(unseen)} of {len(plan.steps)} resources cannot be read: {unseen[0].unseen}" if unseen else None
    return DriftSnapshot(tuple(found), reason)


class DriftLook:
    """Looks for one stack's drift; called once a look at its traffic."""

    def __init__(
        self, read: Callable[[], Awaitable[DriftSnapshot]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._clock = clock
        self._seen: DriftSnapshot | None = None
        self._asked = float("-inf")
        self._task: asyncio.Task[None] | None = None

    async def __call__(self) -> DriftSnapshot | None:
        """What is known of it by now; None before the first look has ended."""
        if (self._task is None or self._task.done()) and self._clock() - self._asked >= EVERY_S:
            self._asked = self._clock()
            self._task = asyncio.create_task(self._look(), name="look for drift")
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=WAIT_S)
        return self._seen

    async def close(self) -> None:
        """Give a look up that is under way."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _look(self) -> None:
        try:
            self._seen = await self._read()
        except McigError as error:
            self._seen = DriftSnapshot(reason=str(error))
