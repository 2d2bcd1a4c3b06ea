"""What the tests of rows share: declaring the cloud's part of the recipe, and carrying it out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backend.clients import Clients
from backend.engine.apply import Result, Run, apply
from backend.engine.events import Event, StepNote, Verb
from backend.engine.plan import Plan, plan
from backend.engine.resource import Resource
from backend.resources.cluster import GkeCluster
from backend.resources.fleet import Membership
from backend.resources.fleet_ingress import FleetIngress
from backend.resources.iam import IngressAgent, NodeAccount
from backend.resources.network import ProxySubnet
from backend.resources.node_pool import NodePool
from backend.resources.services import EnabledServices
from backend.resources.sharing import OWN, Teardown
from backend.spec import GatewaySpec


def cloud_rows(spec: GatewaySpec, clients: Clients, teardown: Teardown = OWN) -> list[Resource[Any]]:
    """The rows that live in Google's APIs; without exports nothing has to go before the agent's grant."""
    rows: list[Resource[Any]] = [EnabledServices(spec, clients, teardown), NodeAccount(spec, clients, teardown)]
    rows += [ProxySubnet(spec, cluster, clients) for cluster in spec.targets]
    for cluster in spec.clusters:
        rows += [GkeCluster(spec, cluster, clients, teardown), Membership(spec, cluster, clients, teardown)]
    rows += [NodePool(spec, cluster, clients) for cluster in spec.targets]
    agent = IngressAgent(spec, clients, teardown)
    agent.delete_after = frozenset()
    return [*rows, FleetIngress(spec, clients), agent]


class Session:
    """Plans and applies as separate commands would: each time with new resources."""

    def __init__(self, spec: GatewaySpec, clients: Clients, teardown: Teardown = OWN) -> None:
        self.teardown = teardown
        self.spec = spec
        self.clients = clients
        self.events: list[Event] = []

    async def plan(self, verb: Verb = Verb.APPLY) -> Plan:
        return await plan(cloud_rows(self.spec, self.clients, self.teardown), verb)

    async def actions(self, verb: Verb = Verb.APPLY) -> dict[str, tuple[str, str]]:
        """Action and reason of each row."""
        made = await self.plan(verb)
        return {step.resource: (str(step.action), step.step.reason) for step in made.steps}

    async def run(self, verb: Verb = Verb.APPLY) -> Result:
        return await self.carry_out(await self.plan(verb))

    async def carry_out(self, made: Plan) -> Result:
        rows = cloud_rows(self.spec, self.clients, self.teardown)
        return await apply(made, rows, run=Run("test", self.spec.name, "emulator"), emit=self.events.append)

    @property
    def notes(self) -> Sequence[StepNote]:
        return [event.payload for event in self.events if isinstance(event.payload, StepNote)]


async def make_node_account(spec: GatewaySpec, clients: Clients) -> None:
    """Make who nodes run as; without it no cluster is accepted."""
    row = NodeAccount(spec, clients)
    await row.apply(row.create(), silent)


def silent(text: str, *, operation: str | None = None) -> None:
    """A note that nobody reads."""


class Told:
    """A note that remembers what it was told."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.operations: list[str] = []

    def __call__(self, text: str, *, operation: str | None = None) -> None:
        self.texts.append(text)
        if operation is not None:
            self.operations.append(operation)


def with_cluster(spec: GatewaySpec, index: int, **changes: Any) -> GatewaySpec:
    """The spec with one cluster's fields changed."""
    data = spec.to_data()
    data["clusters"][index] |= changes
    return GatewaySpec.model_validate(data)
