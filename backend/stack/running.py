"""Carrying out a plan of a stack: under its lock, with a journal, going on where a killed run stopped.

Invariants: a stack has one run at a time; every run has rows of its own, so that nothing of an earlier one is left in
them; it does nothing that the plan did not name; what is applied is kept as the stack's specification, and the token
never is; a plan with nothing to do leaves no journal.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.agreed import confirmed
from backend.clients import ahead
from backend.engine import journal
from backend.engine.apply import Result, Run, apply
from backend.engine.events import Emit, Event, Outcome, Verb
from backend.engine.plan import Plan
from backend.engine.resource import Resource
from backend.lock import StackLock
from backend.places import Places, private_folder, write_private
from backend.spec import GatewaySpec
from backend.stack.planning import Planning

if TYPE_CHECKING:
    from pydantic import SecretStr

    from backend.clients.connect import Connection
    from backend.preflight import Finding, Survey

Rows = Sequence[Resource[Any]]
SERVICES = "services"
"""Id of the row that turns APIs on."""
APIS = {
    "subnet": "compute",
    "cluster": "container",
    "node-pool": "container",
    "membership": "gkehub",
    "fleet-ingress": "gkehub",
}
"""Google's APIs through which rows are changed whose ids begin so."""
RUNS_RESUMED = 5
"""Latest journals in which operations under way are looked for."""


def get_ready(plan: Plan) -> None:
    """Begin to load what carrying out a plan needs."""
    ahead.for_changes(APIS.get(step.resource.partition("/")[0], "") for step in plan.changes)


class Runs:
    """The runs of one stack."""

    def __init__(
        self,
        spec: GatewaySpec,
        *,
        planning: Callable[[], Planning],
        places: Places,
        connection: Connection,
        survey: Survey | None,
        token: SecretStr | None,
    ) -> None:
        """``planning`` declares the rows of a run."""
        self._spec, self._planning = spec, planning
        self._places = places
        self._connection = connection
        self._survey, self._token = survey, token

    async def carry_out(
        self, plan: Plan, *, emit: Emit, note: Callable[[str], None], ignore: Collection[str], take_over: bool
    ) -> Result:
        """See ``Stack.apply``."""
        name = self._spec.name
        report = f"`mcig support-bundle {name}` gathers a bug report; `mcig {plan.verb} {name}` tries again"
        run = Run(_run_id(), name, str(self._spec.target), self._speed, report)
        with StackLock(self._places.lock(name), name, take_over=take_over) as lock:
            if (before := lock.taken_from) is not None:
                note(f"taking over from a run {'that died' if before.here else 'on another host'}: {before}")
            planning = self._planning()
            plan = confirmed(plan, await planning.plan(plan.verb), following=planning.following, stack=name)
            saved, retirement = self._places.stack(name), planning.retirement
            if plan.verb is Verb.APPLY:
                if retirement is not None:
                    retirement.remember()
                write_private(saved, self._saved_text())
            result = await self._recorded(plan, planning, run, emit, note=note, ignore=ignore)
            if plan.verb is Verb.DESTROY and result.outcome is Outcome.SUCCEEDED:
                saved.unlink(missing_ok=True)
            if retirement is not None and result.outcome is Outcome.SUCCEEDED and not plan.left_out:
                retirement.forget()
            if result.unheard is not None:
                raise result.unheard
            return result

    async def _recorded(
        self,
        plan: Plan,
        planning: Planning,
        run: Run,
        emit: Emit,
        *,
        note: Callable[[str], None],
        ignore: Collection[str],
    ) -> Result:
        rows = planning.rows(plan.verb)
        if not plan.changes:
            return await apply(plan, rows, run=run, emit=emit)
        get_ready(plan)
        self._resume(plan, planning.declared)
        record = self._places.journal(self._spec.name, run.id)
        private_folder(record.parent)
        with journal.Journal(record) as written:
            lost = False

            def keep(event: Event) -> None:
                nonlocal lost
                try:
                    if not lost:
                        written(event)
                except OSError as error:
                    lost = True
                    note(f"the journal cannot be written any more, the run goes on: {error}")

            return await apply(plan, self._gated(plan, rows, ignore), run=run, emit=emit, record=keep)

    def _gated(self, plan: Plan, rows: Rows, ignore: Collection[str]) -> Rows:
        """The rows of a run, with a second look behind the first of them where that turns APIs on."""
        survey = self._survey
        first = next((step for step in plan.changes if step.resource == SERVICES), None)
        if survey is None or first is None or plan.verb is not Verb.APPLY or plan.left_out:
            return rows
        from backend.preflight import gate, refusing

        async def look() -> Sequence[Finding]:
            survey.refresh()
            return refusing(await survey.findings(self._spec, token=self._token), tuple(ignore))

        return [gate.Gate(row, look) if row.id == SERVICES else row for row in rows]

    def _resume(self, plan: Plan, rows: Rows) -> None:
        """Give resources the operations that earlier runs of the same verb left under way."""
        earlier = sorted(self._places.journal(self._spec.name, "*").parent.glob("*.jsonl"), reverse=True)[:RUNS_RESUMED]
        left = journal.under_way(map(_readable, earlier), verb=plan.verb, target=str(self._spec.target))
        changes = {step.resource for step in plan.changes}
        for resource in rows:
            if resource.id in changes and resource.id in left:
                resource.resume(left[resource.id])

    @property
    def _speed(self) -> float | None:
        """See ``RunStarted.speed``."""
        speed = 1.0 if self._connection.speed is None else self._connection.speed
        return None if math.isinf(speed) else speed

    def _saved_text(self) -> str:
        from backend.spec_yaml import dump

        return f"# The stack {self._spec.name} as it was last applied.\n{dump(self._spec)}"


def _readable(path: Path) -> Iterator[Event]:
    """A journal's events up to the first that cannot be read."""
    with suppress(OSError, ValueError):
        yield from journal.read(path)


def _run_id() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}-{secrets.token_hex(3)}"
