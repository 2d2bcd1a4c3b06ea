"""A stack's traffic: looking at it, saying why it is as it is, and making some.

Invariant: requests go through the gateway's own addresses, and only a load or a drill sends any.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from backend.address import Address
from backend.errors import ServiceDisabled
from backend.spec import GatewaySpec

if TYPE_CHECKING:
    from backend.clients import Clients
    from backend.clients.connect import Connection
    from backend.explain import Node
    from backend.load import Drill, DrillResult, Load, LoadResult, Point
    from backend.load.run import LoadTest
    from backend.money import Standing
    from backend.monitor import DriftSnapshot, Monitor


class Traffic:
    """What goes through one stack's gateway."""

    def __init__(
        self,
        spec: GatewaySpec,
        *,
        connection: Connection,
        clients: Clients,
        addresses: Callable[[], Awaitable[tuple[Address, ...]]],
    ) -> None:
        self._spec, self._connection, self._clients = spec, connection, clients
        self._addresses = addresses

    async def explain(self, drift: DriftSnapshot) -> Node:
        """See ``Stack.explain``."""
        from backend.explain import explain
        from backend.explain.evidence import gather

        evidence = await gather(self._spec, self._clients, self.monitor().look(), drift)
        return explain(self._spec, self._connection.project, evidence)

    def monitor(self, drift: Callable[[], Awaitable[DriftSnapshot]] | None = None) -> Monitor:
        """See ``Stack.monitor``; drift is looked for where there is a way to."""
        from backend.monitor import Monitor
        from backend.monitor.drift import DriftLook
        from backend.monitor.spending import Spending
        from backend.resources.standing import look

        async def stands() -> Sequence[Standing]:
            return await look(self._spec, self._clients)

        cost = Spending(self._spec, stands, rehearsed=self._connection.speed is not None)
        where = self._connection.description
        return Monitor(
            self._spec,
            self._clients,
            cost=cost,
            addresses=self._addresses,
            drift=None if drift is None else DriftLook(drift),
            where=where,
        )

    async def load(self, wish: Load, *, note: Callable[[str], None], each: Callable[[Point], None]) -> LoadResult:
        """See ``Stack.load``."""
        test = await self._test(wish, note)

        async def hear(point: Point) -> None:
            each(point)

        return await test.run(hear)

    async def drill(self, wish: Drill, *, note: Callable[[str], None]) -> DrillResult:
        """See ``Stack.drill``, which holds the stack's lock meanwhile."""
        from backend.load.drill import LOOK_S, DrillRun

        test = await self._test(wish.load, note, look_s=LOOK_S)
        return await DrillRun(self._spec, self._clients, wish, test=test, note=note).run()

    async def _test(self, wish: Load, note: Callable[[str], None], *, look_s: float = 1.0) -> LoadTest:
        from backend.load.run import LoadTest

        wish.check(self._spec)
        wish.source(self._spec)
        try:
            addresses = await self._addresses()
        except ServiceDisabled:
            addresses = ()
        return LoadTest(
            self._spec,
            self._clients,
            wish,
            addresses=addresses,
            monitor=self.monitor(),
            note=note,
            look_s=look_s,
        )
