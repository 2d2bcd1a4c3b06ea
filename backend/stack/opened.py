"""An open stack: what can be seen of it, and what can be done with it.

Invariant: ``apply``, ``load``, ``drill`` and ``prompt`` act; every other call only reads.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from typing import TYPE_CHECKING

from backend import manifest_check, rules
from backend.address import Address
from backend.engine.apply import Result
from backend.engine.events import Emit, Verb
from backend.engine.forecast import Forecast
from backend.engine.plan import Plan
from backend.errors import McigError, UsageError
from backend.lock import StackLock
from backend.places import Places
from backend.prompting import GATEWAY, PromptListener, Prompts
from backend.retire import Declare, Retirement
from backend.rules import SpecNote
from backend.spec import GatewaySpec
from backend.stack.accounts import StackMoney
from backend.stack.planning import Planning
from backend.stack.running import Runs, get_ready
from backend.stack.traffic import Traffic
from backend.status import Status, statuses, unread

if TYPE_CHECKING:
    from pydantic import SecretStr

    from backend.clients import Clients
    from backend.clients.answers import Answer
    from backend.clients.connect import Connection
    from backend.explain import Node
    from backend.load import Drill, DrillResult, Load, LoadResult, Point
    from backend.monitor import DriftSnapshot, Monitor
    from backend.preflight import Finding, Survey, Topic
    from backend.resources.leftovers import Leftover
    from backend.resources.sharing import Teardown


class Stack:
    """An open stack."""

    def __init__(
        self,
        spec: GatewaySpec,
        *,
        connection: Connection,
        clients: Clients,
        declare: Declare,
        places: Places,
        survey: Survey | None = None,
        token: SecretStr | None = None,
        another: Callable[[Teardown], Stack] | None = None,
    ) -> None:
        """``declare`` gives new rows of a specification; raises what ``Retirement`` raises."""
        self.spec = spec
        """The specification, with its project filled in."""
        self.connection = connection
        """The cloud it lives in."""
        self.money = StackMoney(spec, connection=connection, clients=clients)
        """What it costs."""
        self._clients = clients
        self._declare = declare
        self._places = places
        self._survey = survey
        self._token = token
        self._another = another
        self._runs = Runs(
            spec, planning=self._planning, places=places, connection=connection, survey=survey, token=token
        )
        self._prompts = Prompts(spec, connection=connection, clients=clients, resources=self._planning().declared)
        self._traffic = Traffic(spec, connection=connection, clients=clients, addresses=self.addresses)

    @property
    def notes(self) -> tuple[SpecNote, ...]:
        """What should be known of the specification before it is carried out."""
        return tuple(rules.notes(self.spec))

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
        return await self._planning().plan(verb, only=only)

    def notes_on(self, plan: Plan) -> tuple[SpecNote, ...]:
        """What should be known before a plan is carried out: of the specification, and of how it was checked."""
        return (*self.notes, *manifest_check.notes(self._planning().rows(plan.verb), plan))

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

    def get_ready(self, plan: Plan) -> None:
        """Begin to load what carrying out a plan needs, while somebody reads it; returns at once."""
        get_ready(plan)

    async def apply(
        self,
        plan: Plan,
        *,
        emit: Emit,
        note: Callable[[str], None] = lambda _: None,
        ignore: Collection[str] = (),
        take_over: bool = False,
    ) -> Result:
        """Carry out a plan of either verb, after a look whether the cloud is still as it was planned for.

        Raises ``LockHeld`` when another run works on the stack; one on another host is taken over with ``take_over``,
        and a dead one of this host in any case. Raises ``Conflict`` when there is more to do now than in the plan.

        ``note`` gets what people should know and is no event of the run. A plan with nothing to do leaves no journal.
        Operations that a killed run left behind are waited for by name. Where the first step turns APIs on, what could
        not be checked before is checked then, and all but the failures in ``ignore`` end the run.
        """
        return await self._runs.carry_out(plan, emit=emit, note=note, ignore=ignore, take_over=take_over)

    async def leftovers(self) -> tuple[Leftover, ...]:
        """Parts of load balancers that a vanished Gateway of the stack probably left; they are never deleted."""
        from backend.resources import leftovers

        return await leftovers.find(self.spec, self._clients)

    async def status(self) -> Status:
        """Look at the cloud and say how the stack stands; what lives on a cluster that does not answer is unknown.

        Raises ``Unavailable`` when the clusters themselves cannot be looked up.
        """
        planning = self._planning()
        plan = await planning.look()
        unseen = {step.resource: step.unseen for step in plan.steps if step.unseen is not None}
        for name, error in unseen.items():
            if name.startswith("cluster/"):
                raise error
        resources = statuses(plan, planning.following)
        present = {item.resource for item in resources if item.state != "absent"}
        cost = sum(step.about.usd_per_hour for step in plan.steps if step.resource in present)
        gateway = GATEWAY in present
        addresses: tuple[Address, ...] = ()
        if gateway and GATEWAY not in unseen:
            addresses = await self.addresses()
        left = () if gateway else await self.leftovers()
        standing = any(name.startswith("cluster/") for name in present)
        so_far = await self.money.spent() if standing else None
        passed = "" if so_far is None else self.money.guard_passed(so_far)
        why = await self._traffic.explain(planning.drift(plan)) if standing else None
        return Status(
            self.spec.name,
            self.spec.target,
            resources,
            addresses,
            cost,
            self.money.prices_dated,
            left,
            spent=so_far,
            guard=self.spec.guard,
            guard_passed=passed,
            why=why,
            unread=unread(plan, self.spec),
        )

    async def explain(self) -> Node:
        """What the cloud says of the stack's fleet, gateway, clusters and Pods, with cause and fix; reads only."""
        try:
            drift = await self._look_for_drift()
        except McigError as error:
            from backend.monitor import DriftSnapshot

            drift = DriftSnapshot(reason=str(error))
        return await self._traffic.explain(drift)

    def monitor(self) -> Monitor:
        """Give what looks at the stack's traffic, again and again; it changes nothing."""
        return self._traffic.monitor(self._look_for_drift)

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
        return await self._traffic.load(wish, note=note, each=each)

    async def drill(self, wish: Drill, *, note: Callable[[str], None] = lambda _: None) -> DrillResult:
        """Drain a region under a light load, measure what that does, and restore it; one run a stack, as ``apply``.

        Raises ``UsageError`` for a region that cannot be drained, ``LockHeld``, ``Conflict`` when the policy is not
        mcig's or is drained already, and what ``load`` raises.
        """
        wish.check(self.spec)
        with StackLock(self._places.lock(self.spec.name), self.spec.name):
            return await self._traffic.drill(wish, note=note)

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

    def _planning(self) -> Planning:
        """Rows of their own for a look, a plan or a run."""
        return Planning(
            self.spec,
            resources=self._declare(self.spec),
            places=self._places,
            retirement=Retirement(self._places, self.spec, self._declare),
        )

    async def _look_for_drift(self) -> DriftSnapshot:
        return await self._planning().look_for_drift()

    async def close(self) -> None:
        """Give connections and threads back."""
        await self._clients.close()
