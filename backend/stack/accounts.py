"""What one stack costs, has cost, and what its guard says to that.

Invariant: reads only; money so far is what ``backend.money`` counts of what stands in the cloud now.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from backend import catalog, money
from backend.money import Costs, Spent
from backend.spec import GatewaySpec

if TYPE_CHECKING:
    from backend.clients import Clients
    from backend.clients.connect import Connection


class StackMoney:
    """The money of one stack, in US dollars."""

    def __init__(self, spec: GatewaySpec, *, connection: Connection, clients: Clients) -> None:
        self._spec, self._connection, self._clients = spec, connection, clients

    @property
    def costs(self) -> Costs:
        """What the specification costs while it stands: an estimate."""
        return money.costs(self._spec)

    @property
    def prices_dated(self) -> tuple[date, date]:
        """Dates of the oldest and the newest price behind the estimates."""
        return catalog.prices_dated()

    async def spent(self) -> Spent:
        """What the stack has cost so far, at most, by what stands of it; nothing while it has no cluster."""
        from backend.resources.standing import look

        return money.spent(self._spec, await look(self._spec, self._clients))

    def guard_left_s(self, so_far: Spent) -> float | None:
        """Seconds until the specification's guard is passed, 0 when it is; ``None`` without one."""
        return money.reached_in_s(self._spec.guard, so_far, self.costs.usd_per_hour)

    def guard_passed(self, so_far: Spent) -> str:
        """Which limits of the specification's guard are passed, in words; empty when none is."""
        return money.over(self._spec.guard, so_far, rehearsed=self._connection.speed is not None)
