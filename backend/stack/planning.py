"""Planning for a stack: the rows of a run, and what the cloud says to them.

Invariant: planning reads only, and a plan that is good for looking only is never carried out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from backend import eta, manifest_check
from backend.engine.events import Verb
from backend.engine.plan import Plan
from backend.engine.plan import plan as make_plan
from backend.engine.resource import Resource
from backend.errors import Unavailable
from backend.only import known, restrict
from backend.places import Places
from backend.retire import Retirement
from backend.spec import GatewaySpec

if TYPE_CHECKING:
    from backend.monitor import DriftSnapshot

KUBECONFIG = "kubeconfig/"
"""How ids of rows that are files of this machine begin."""
LONGEST_LOOK_S = 8.0
"""Seconds that a look at something inside a cluster may take where an answer can be done without."""


class Planning:
    """The plans of one stack."""

    def __init__(
        self, spec: GatewaySpec, *, resources: Sequence[Resource[Any]], places: Places, retirement: Retirement | None
    ) -> None:
        self._spec, self._resources = spec, tuple(resources)
        self._places = places
        self._retirement = retirement

    def rows(self, verb: Verb) -> Sequence[Resource[Any]]:
        """All rows of a run: those of the specification, then those that it no longer has."""
        return self._resources if self._retirement is None else (*self._resources, *self._retirement.rows(verb))

    async def plan(
        self,
        verb: Verb,
        *,
        only: str | None = None,
        passing: tuple[type[Exception], ...] = (),
        limit_s: float | None = None,
    ) -> Plan:
        """See ``Stack.plan``; ``passing`` and ``limit_s`` as in the engine's."""
        if self._retirement is not None:
            await self._retirement.check()
        rows = self.rows(verb)
        named = None if only is None else known(only, rows)
        read = asyncio.to_thread(eta.History.read, self._places.journals, str(self._spec.target))
        made, history = await asyncio.gather(make_plan(rows, verb, passing=passing, limit_s=limit_s), read)
        made = eta.estimated(made, history)
        if named is not None:
            made = restrict(made, named, stack=self._spec.name)
        if not self._spec.beyond_catalog:
            await manifest_check.refuse(rows, made)
        return made

    async def look(self) -> Plan:
        """A plan to apply that is good for looking only: what does not answer is unseen."""
        return await self.plan(Verb.APPLY, passing=(Unavailable,), limit_s=LONGEST_LOOK_S)

    async def look_for_drift(self) -> DriftSnapshot:
        """Where the cloud is not as wanted, by a look of its own."""
        return self.drift(await self.look())

    def drift(self, plan: Plan) -> DriftSnapshot:
        """Where the cloud is not as wanted, by a plan to apply."""
        from backend.monitor.drift import drift_of

        rows = self.rows(Verb.APPLY)
        aside = {row.id for row in rows if row.only_after_change or row.id.startswith(KUBECONFIG)}
        return drift_of(plan, aside)
