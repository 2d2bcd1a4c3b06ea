"""Planning for a stack: the rows of a run, and what the cloud says to them.

Invariant: planning reads only, and a plan that is good for looking only is never carried out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from backend import eta, manifest_check
from backend.engine.events import Action, Verb
from backend.engine.plan import Plan
from backend.engine.plan import plan as make_plan
from backend.engine.resource import Resource, ResourceId
from backend.errors import CloudError, ServiceDisabled, Unavailable
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
        self._spec = spec
        self.declared = tuple(resources)
        """The rows of the specification."""
        self.retirement = retirement
        """Those that it no longer has."""
        self._places = places

    def rows(self, verb: Verb) -> Sequence[Resource[Any]]:
        """All rows of a run: those of the specification, then those that it no longer has."""
        return self.declared if self.retirement is None else (*self.declared, *self.retirement.rows(verb))

    @property
    def following(self) -> frozenset[ResourceId]:
        """The rows that have no state of their own, because they only follow changes."""
        return frozenset(row.id for row in self.declared if row.only_after_change)

    async def plan(
        self,
        verb: Verb,
        *,
        only: str | None = None,
        passing: tuple[type[Exception], ...] = (),
        limit_s: float | None = None,
    ) -> Plan:
        """See ``Stack.plan``; ``passing`` and ``limit_s`` as in the engine's."""
        if self.retirement is not None:
            await self.retirement.check()
        if verb is Verb.DESTROY:
            passing = (*passing, Unavailable)
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
        """A plan to apply that is good for looking only: what does not answer or is denied is unseen.

        Raises ``ServiceDisabled`` where an API is off without which nobody can tell what stands.
        """
        made = await self.plan(Verb.APPLY, passing=(CloudError,), limit_s=LONGEST_LOOK_S)
        known_off = {row.id for row in self.rows(Verb.APPLY) if row.unread is not None}
        for step in made.steps:
            if isinstance(step.unseen, ServiceDisabled) and step.resource not in known_off:
                raise step.unseen
        return made

    async def look_for_drift(self) -> DriftSnapshot:
        """Where the cloud is not as wanted, by a look of its own."""
        return self.drift(await self.look())

    def drift(self, plan: Plan) -> DriftSnapshot:
        """Where the cloud is not as wanted, by a plan to apply."""
        from backend.monitor.drift import drift_of

        files = {row.id for row in self.rows(Verb.APPLY) if row.id.startswith(KUBECONFIG)}
        return drift_of(plan, self.following | files)


def adopted(plan: Plan, *, left: bool = False) -> tuple[str, ...]:
    """Names of the clusters that a plan to destroy would delete, or leaves, because mcig did not make them."""
    from backend.resources.cluster import ADOPTED

    wanted = Action.NO_OP if left else Action.DELETE
    return tuple(
        step.resource.partition("/")[2]
        for step in plan.steps
        if step.action is wanted and step.step.reason.startswith(ADOPTED)
    )
