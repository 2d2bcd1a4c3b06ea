"""A stack: one specification, the cloud it lives in, and everything that can be done with it.

The one door for every front end. Invariants: opening a stack changes nothing in its cloud; only ``apply`` does, under
the stack's lock and with a journal; what is applied is kept as the stack's specification, and the token never is.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend import catalog, eta, manifest_check, money, rules
from backend.departures import Departed, departures
from backend.engine import journal
from backend.engine.apply import Result, Run
from backend.engine.apply import apply as carry_out
from backend.engine.events import Action, Emit, Event, Outcome, Verb
from backend.engine.forecast import Forecast
from backend.engine.plan import Plan
from backend.engine.plan import plan as make_plan
from backend.engine.resource import Resource
from backend.errors import ServiceDisabled, StockOut, Unavailable, UsageError
from backend.lock import StackLock
from backend.money import Costs, Spent
from backend.only import known, restrict
from backend.places import Places, private_folder, write_private
from backend.prompting import GATEWAY, PromptListener, Prompts
from backend.retire import Retirement
from backend.rules import SpecNote
from backend.spec import GatewaySpec, OnStockout
from backend.status import Address, ResourceStatus, Status
from backend.stockout import Alternative, alternatives
from backend.surroundings import hugging_face_token, kubeconfig_of, project_of

__all__ = ["Costs", "Departed", "PromptListener", "SpecNote", "Spent", "Stack", "departures", "open_stack"]

if TYPE_CHECKING:
    from pydantic import SecretStr

    from backend.clients import Clients
    from backend.clients.connect import Connection
    from backend.clients.inference import Answer
    from backend.explain import Node
    from backend.load import Drill, DrillResult, Load, LoadResult, Point
    from backend.load.run import LoadTest
    from backend.monitor import Monitor
    from backend.preflight import Finding, Survey, Topic
    from backend.resources.leftovers import Leftover
    from backend.resources.sharing import Teardown

SERVICES = "services"
"""Id of the row that turns APIs on."""
RUNS_RESUMED = 5
"""Latest journals in which operations under way are looked for."""


class Stack:
    """An open stack."""

    def __init__(
        self,
        spec: GatewaySpec,
        *,
        connection: Connection,
        clients: Clients,
        resources: Sequence[Resource[Any]],
        places: Places,
        retirement: Retirement | None = None,
        survey: Survey | None = None,
        token: SecretStr | None = None,
        another: Callable[[Teardown], Stack] | None = None,
    ) -> None:
        self.spec = spec
        """The specification, with its project filled in."""
        self.connection = connection
        """The cloud it lives in."""
        self._clients = clients
        self._resources = tuple(resources)
        self._places = places
        self._retirement = retirement
        self._survey = survey
        self._token = token
        self._another = another
        self._ignore: tuple[str, ...] = ()
        self._prompts = Prompts(spec, connection=connection, clients=clients, resources=self._resources)

    @property
    def notes(self) -> tuple[SpecNote, ...]:
        """What should be known of the specification before it is carried out."""
        return tuple(rules.notes(self.spec))

    @property
    def prices_dated(self) -> tuple[date, date]:
        """Dates of the oldest and the newest price behind the plans' costs."""
        return catalog.prices_dated()

    @property
    def costs(self) -> Costs:
        """What the specification costs while it stands: an estimate."""
        return money.costs(self.spec)

    async def spent(self) -> Spent:
        """What the stack has cost so far, at most, by the creation times of its clusters; nothing while it has none."""
        try:
            listed = await self._clients.container.clusters()
        except ServiceDisabled:
            return money.spent(self.spec, ())
        return money.spent(self.spec, listed.found.values())

    def guard_left_s(self, so_far: Spent) -> float | None:
        """Seconds until the specification's guard is passed, 0 when it is; ``None`` without one."""
        return money.reached_in_s(self.spec.guard, so_far, self.costs.usd_per_hour)

    def guard_passed(self, so_far: Spent) -> str:
        """Which limits of the specification's guard are passed, in words; empty when none is."""
        return money.over(self.spec.guard, so_far, rehearsed=self.connection.speed is not None)

    def taking(self, *, shared: bool = False, adopted: bool = False) -> Stack:
        """The same stack over the same connections, whose destroy takes more; see ``open_stack``.

        Raises ``UsageError`` for a stack that ``open_stack`` did not make.
        """
        from backend.resources.sharing import Teardown

        if self._another is None:
            raise UsageError("what a destroy takes is settled already", fix=f"mcig destroy {self.spec.name} -h")
        return self._another(Teardown(shared=shared, adopted=adopted))

    async def plan(self, verb: Verb = Verb.APPLY, *, only: str | None = None) -> Plan:
        """Look at the cloud and say what a run would do, and how long it would take.

        With ``only`` one resource's step is kept and all others are left out. Raises ``UsageError`` for an unknown one
        and ``Conflict`` when it needs something that is not as wanted. Raises ``UsageError`` also for a gateway that
        would have to move to another config cluster, and for manifests of a cluster to come that no API server would
        take, unless the specification asks beyond the catalogue.
        """
        return await self._plan(verb, only=only)

    async def _plan(self, verb: Verb, *, only: str | None = None, passing: tuple[type[Exception], ...] = ()) -> Plan:
        """See ``plan``; ``passing`` as in the engine's."""
        if self._retirement is not None:
            await self._retirement.check()
        rows = self._rows(verb)
        named = None if only is None else known(only, rows)
        read = asyncio.to_thread(eta.History.read, self._places.journals, str(self.spec.target))
        made, history = await asyncio.gather(make_plan(rows, verb, passing=passing), read)
        made = eta.estimated(made, history)
        if named is not None:
            made = restrict(made, named, stack=self.spec.name)
        if not self.spec.beyond_catalog:
            await manifest_check.refuse(rows, made)
        return made

    def notes_on(self, plan: Plan) -> tuple[SpecNote, ...]:
        """What should be known before a plan is carried out: of the specification, and of how it was checked."""
        return (*self.notes, *manifest_check.notes(self._rows(plan.verb), plan))

    async def preflight(
        self,
        *,
        token: SecretStr | None = None,
        topics: Collection[Topic] | None = None,
        again: Callable[..., str] | None = None,
    ) -> AsyncIterator[Finding]:
        """What stands in the specification's way, as it is found; reads anew and changes nothing.

        ``token`` is the Hugging Face token, the machine's own without one; ``again`` writes the command that looks
        again with other options.
        """
        if self._survey is None:
            return
        self._survey.refresh()
        async for one in self._survey.examine(self.spec, token=token or self._token, topics=topics, again=again):
            yield one

    def forecast(self, plan: Plan) -> Forecast:
        """A listener for a run of the plan that knows how long it still needs."""
        return Forecast(plan, speed=self.connection.speed)

    async def apply(
        self,
        plan: Plan,
        *,
        emit: Emit,
        note: Callable[[str], None] = lambda _: None,
        ignore: Collection[str] = (),
    ) -> Result:
        """Carry out a plan of either verb; raises ``LockHeld`` when another run works on the stack.

        ``note`` gets what people should know and is no event of the run. A plan with nothing to do leaves no journal.
        Operations that a killed run left behind are waited for by name. Where the first step turns APIs on, what could
        not be checked before is checked then, and all but the failures in ``ignore`` end the run.
        """
        self._ignore = tuple(ignore)
        run = Run(_run_id(), self.spec.name, str(self.spec.target), self._speed)
        with StackLock(self._places.lock(self.spec.name), self.spec.name) as lock:
            if lock.taken_from is not None:
                note(f"taking over from a run that died: {lock.taken_from}")
            saved = self._places.stack(self.spec.name)
            if plan.verb is Verb.APPLY:
                if self._retirement is not None:
                    self._retirement.remember()
                write_private(saved, self._saved_text())
            result = await self._recorded(plan, run, emit) if plan.changes else await self._carry_out(plan, run, emit)
            if plan.verb is Verb.DESTROY and result.outcome is Outcome.SUCCEEDED:
                saved.unlink(missing_ok=True)
            if self._retirement is not None and result.outcome is Outcome.SUCCEEDED and not plan.left_out:
                self._retirement.forget()
            return result

    async def _recorded(self, plan: Plan, run: Run, emit: Emit) -> Result:
        self._resume(plan)
        record = self._places.journal(self.spec.name, run.id)
        private_folder(record.parent)
        with journal.Journal(record) as written:

            def both(event: Event) -> None:
                written(event)
                emit(event)

            return await self._carry_out(plan, run, both)

    async def _carry_out(self, plan: Plan, run: Run, emit: Emit) -> Result:
        return await carry_out(plan, self._gated(plan), run=run, emit=emit)

    def _gated(self, plan: Plan) -> Sequence[Resource[Any]]:
        """The rows of a run, with a second look behind the first of them where that turns APIs on."""
        rows, survey = self._rows(plan.verb), self._survey
        first = next((step for step in plan.changes if step.resource == SERVICES), None)
        if survey is None or first is None or plan.verb is not Verb.APPLY or plan.left_out:
            return rows
        from backend.preflight import gate, refusing

        async def look() -> Sequence[Finding]:
            survey.refresh()
            return refusing(await survey.findings(self.spec, token=self._token), self._ignore)

        return [gate.Gate(row, look) if row.id == SERVICES else row for row in rows]

    def _rows(self, verb: Verb) -> Sequence[Resource[Any]]:
        """All rows of a run: those of the specification, then those that it no longer has."""
        return self._resources if self._retirement is None else (*self._resources, *self._retirement.rows(verb))

    def _resume(self, plan: Plan) -> None:
        """Give resources the operations that earlier runs of the same verb left under way."""
        earlier = sorted(self._places.journal(self.spec.name, "*").parent.glob("*.jsonl"), reverse=True)[:RUNS_RESUMED]
        left = journal.under_way(map(_readable, earlier), verb=plan.verb, target=str(self.spec.target))
        changes = {step.resource for step in plan.changes}
        for resource in self._resources:
            if resource.id in changes and resource.id in left:
                resource.resume(left[resource.id])

    @property
    def _speed(self) -> float | None:
        """See ``RunStarted.speed``."""
        speed = 1.0 if self.connection.speed is None else self.connection.speed
        return None if math.isinf(speed) else speed

    def out_of_stock(self, result: Result) -> tuple[str, ...]:
        """Names of the clusters whose node pools could not be had in a run, because zones had no machines."""
        return tuple(
            step.resource.split("/")[1]
            for step in result.failures
            if step.error is not None
            and step.error.kind == StockOut.__name__
            and step.resource.startswith("node-pool/")
        )

    def alternatives(self, spec: GatewaySpec, cluster: str) -> list[Alternative]:
        """What else there is for a cluster's node pool, the nearest first; a specification for each."""
        mine = next(one for one in spec.clusters if one.name == cluster)
        tried = spec.on_stockout is OnStockout.NEXT_ZONE
        out = [
            zone for zone in catalog.zones(mine.serving_pool.accelerator) or () if zone.startswith(f"{mine.region}-")
        ]
        return alternatives(spec, cluster, out=out if tried else ())

    def adopted(self, plan: Plan, *, left: bool = False) -> tuple[str, ...]:
        """Names of the clusters that a plan to destroy would delete, or leaves, because mcig did not make them."""
        from backend.resources.cluster import ADOPTED

        wanted = Action.NO_OP if left else Action.DELETE
        return tuple(
            step.resource.partition("/")[2]
            for step in plan.steps
            if step.action is wanted and step.step.reason.startswith(ADOPTED)
        )

    async def leftovers(self) -> tuple[Leftover, ...]:
        """Parts of load balancers that a vanished Gateway of the stack probably left; they are never deleted."""
        from backend.resources import leftovers

        return await leftovers.find(self.spec, self._clients)

    async def status(self) -> Status:
        """Look at the cloud and say how the stack stands; what lives on a cluster that does not answer is unknown.

        Raises ``Unavailable`` when the clusters themselves cannot be looked up.
        """
        plan = await self._plan(Verb.APPLY, passing=(Unavailable,))
        unseen = {step.resource: step.unseen for step in plan.steps if step.unseen is not None}
        for name, error in unseen.items():
            if name.startswith("cluster/"):
                raise error
        resources = tuple(ResourceStatus.of(step) for step in plan.steps)
        present = {item.resource for item in resources if item.state != "absent"}
        cost = sum(step.about.usd_per_hour for step in plan.steps if step.resource in present)
        gateway = GATEWAY in present
        addresses: tuple[Address, ...] = ()
        if gateway and GATEWAY not in unseen:
            addresses = await self.addresses()
        left = () if gateway else await self.leftovers()
        standing = any(name.startswith("cluster/") for name in present)
        so_far = await self.spent() if standing else None
        passed = "" if so_far is None else self.guard_passed(so_far)
        why = await self.explain() if standing else None
        return Status(
            self.spec.name,
            self.spec.target,
            resources,
            addresses,
            cost,
            self.prices_dated,
            left,
            spent=so_far,
            guard=self.spec.guard,
            guard_passed=passed,
            why=why,
            unread=_unread(plan, self.spec),
        )

    async def explain(self) -> Node:
        """What the cloud says of the stack's fleet, gateway, clusters and Pods, with cause and fix; reads only."""
        from backend.explain import explain
        from backend.explain.evidence import gather

        snapshot = await self.monitor().look()
        return explain(self.spec, self.connection.project, await gather(self.spec, self._clients, snapshot))

    def monitor(self) -> Monitor:
        """Give what looks at the stack's traffic, again and again; it changes nothing."""
        from backend.monitor import Monitor
        from backend.monitor.spending import Spending

        async def clusters() -> Sequence[Mapping[str, Any]]:
            return tuple((await self._clients.container.clusters()).found.values())

        cost = Spending(self.spec, clusters, rehearsed=self.connection.speed is not None)
        return Monitor(self.spec, self._clients, cost=cost, addresses=self.addresses, where=self.connection.description)

    async def load(
        self,
        wish: Load,
        *,
        note: Callable[[str], None] = lambda _: None,
        each: Callable[[Point], None] = lambda _: None,
    ) -> LoadResult:
        """Send requests from inside the VPC and see where they go; ``each`` gets every look at the clusters.

        Stopped in the middle it takes its Job with it. Raises ``UsageError`` for a wish that cannot be, ``Conflict``
        while another test runs and ``PromptError`` without an address.
        """
        test = await self._test(wish, note)

        async def hear(point: Point) -> None:
            each(point)

        return await test.run(hear)

    async def drill(self, wish: Drill, *, note: Callable[[str], None] = lambda _: None) -> DrillResult:
        """Drain a region under a light load, measure what that does, and restore it; one run a stack, as ``apply``.

        Raises ``UsageError`` for a region that cannot be drained, ``LockHeld``, ``Conflict`` when the policy is not
        mcig's or is drained already, and what ``load`` raises.
        """
        from backend.load.drill import LOOK_S, DrillRun

        wish.check(self.spec)
        with StackLock(self._places.lock(self.spec.name), self.spec.name):
            test = await self._test(wish.load, note, look_s=LOOK_S)
            return await DrillRun(self.spec, self._clients, wish, test=test, note=note).run()

    async def _test(self, wish: Load, note: Callable[[str], None], *, look_s: float = 1.0) -> LoadTest:
        from backend.load.run import LoadTest

        wish.check(self.spec)
        wish.source(self.spec)
        try:
            addresses = await self.addresses()
        except ServiceDisabled:
            addresses = ()
        return LoadTest(
            self.spec,
            self._clients,
            wish,
            addresses=addresses,
            monitor=self.monitor(),
            note=note,
            look_s=look_s,
        )

    async def addresses(self) -> tuple[Address, ...]:
        """The gateway's addresses as they are now; empty while it has none."""
        return await self._prompts.addresses()

    async def prompt(
        self,
        text: str,
        *,
        model: str | None = None,
        region: str | None = None,
        count: int = 1,
        max_tokens: int | None = None,
        temperature: float | None = None,
        objective: bool = True,
        listener: PromptListener | None = None,
        each: Callable[[Answer], None] | None = None,
    ) -> list[Answer]:
        """Ask the model through the gateway; see ``Prompts.request`` and ``Prompts.ask``."""
        ask = self._prompts.request(
            text, model=model, max_tokens=max_tokens, temperature=temperature, objective=objective
        )
        return await self._prompts.ask(ask, region=region, count=count, listener=listener, each=each)

    def curl(
        self,
        text: str,
        base_url: str,
        *,
        model: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        objective: bool = True,
    ) -> str:
        """What ``prompt`` would send, as a curl command for somebody who may reach an address's ``base_url``."""
        ask = self._prompts.request(
            text, model=model, max_tokens=max_tokens, temperature=temperature, objective=objective
        )
        return ask.curl(base_url)

    async def close(self) -> None:
        """Give connections and threads back."""
        await self._clients.close()

    def _saved_text(self) -> str:
        from backend.spec_yaml import dump

        return f"# The stack {self.spec.name} as it was last applied.\n{dump(self.spec)}"


@asynccontextmanager
async def open_stack(
    spec: GatewaySpec,
    *,
    environ: Mapping[str, str],
    places: Places,
    speed: float | None = None,
    shared: bool = False,
    include_adopted: bool = False,
) -> AsyncIterator[Stack]:
    """Connect to a spec's cloud; an emulated one is started where none runs, at ``speed`` or at the spec's own.

    ``shared`` and ``include_adopted`` say that a destroy takes, beside what was made for the stack, also what it shares
    with nobody who is left, and clusters that mcig did not make.
    Raises ``UsageError`` without a project, ``CredentialsError`` and ``RehearsalError``.
    """
    from backend.clients import Clients
    from backend.clients.connect import connect
    from backend.preflight.survey import Survey
    from backend.resources import declare
    from backend.resources.sharing import Teardown

    project = project_of(spec, environ)
    spec = spec.model_copy(update={"project": project})
    connection = await connect(spec, project=project, home=places.emulator, speed=speed)
    clients = Clients(connection, spec)
    survey = Survey(clients, places=places, environ=environ)
    try:
        token = hugging_face_token(spec.target, environ)

        def made(teardown: Teardown) -> Stack:
            def rows(of: GatewaySpec) -> Sequence[Resource[Any]]:
                clients.know(of)
                kubeconfig = kubeconfig_of(of, environ, places)
                return declare(of, clients, hf_token=token, kubeconfig=kubeconfig, teardown=teardown)

            return Stack(
                spec,
                connection=connection,
                clients=clients,
                resources=rows(spec),
                places=places,
                retirement=Retirement(places, spec, rows),
                survey=survey,
                token=token,
                another=made,
            )

        yield made(Teardown(shared=shared, adopted=include_adopted))
    finally:
        await survey.close()
        await clients.close()


def _unread(plan: Plan, spec: GatewaySpec) -> str:
    """Why steps of a plan are unknown, once for every cluster."""
    errors: dict[str, Unavailable] = {}
    for error in (step.unseen for step in plan.steps):
        if isinstance(error, Unavailable):
            errors.setdefault(next((one.name for one in spec.clusters if one.name in error.message), ""), error)
    return "; ".join(f"{each.message} ({each.cause})" if each.cause else each.message for each in errors.values())


def _readable(path: Path) -> Iterator[Event]:
    """A journal's events up to the first that cannot be read."""
    with suppress(OSError, ValueError):
        yield from journal.read(path)


def _run_id() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}-{secrets.token_hex(3)}"
