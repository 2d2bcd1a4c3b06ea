"""What a stack costs while it is watched.

Invariants: Google is asked at most once a minute and never for longer than a look at a cluster may take; what cannot be
asked is unknown, and what was known before goes on counting.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from backend import money
from backend.errors import McigError
from backend.money import Standing
from backend.monitor.snapshot import CostSnapshot
from backend.spec import GatewaySpec

EVERY_S = 60.0
"""Seconds between two looks at when the clusters were made."""
LIMIT_S = 4.0
"""Seconds that such a look may take."""


class Spending:
    """Counts what one stack has cost; called once a look."""

    def __init__(
        self,
        spec: GatewaySpec,
        standing: Callable[[], Awaitable[Sequence[Standing]]],
        *,
        rehearsed: bool,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._spec = spec
        self._standing = standing
        self._rehearsed = rehearsed
        self._clock = clock
        self._now = now
        self._rate = money.costs(spec).usd_per_hour
        self._found: tuple[Standing, ...] | None = None
        self._asked = float("-inf")

    async def __call__(self) -> CostSnapshot:
        """What it costs an hour, has cost so far, and how long the guard still lets it stand."""
        if self._clock() - self._asked >= EVERY_S:
            self._asked = self._clock()
            await self._look()
        blank = CostSnapshot(self._rate, None, rehearsed=self._rehearsed)
        if self._found is None:
            return blank
        so_far = money.spent(self._spec, self._found, self._now())
        return CostSnapshot(
            self._rate,
            so_far.usd,
            rehearsed=self._rehearsed,
            guard_left_s=money.reached_in_s(self._spec.guard, so_far, self._rate),
            guard_passed=money.over(self._spec.guard, so_far, rehearsed=self._rehearsed) or None,
        )

    async def _look(self) -> None:
        try:
            async with asyncio.timeout(LIMIT_S):
                self._found = tuple(await self._standing()) or None
        except (McigError, TimeoutError):
            return
