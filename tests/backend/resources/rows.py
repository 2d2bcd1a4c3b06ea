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
from backend.resources.network import ProxySubnet
from backend.resources.node_pool import NodePool
from backend.resources.services import EnabledServices
from backend.spec import GatewaySpec


def cloud_rows(spec: GatewaySpec, clients: Clients) -> list[Resource[Any]]:
    """The rows that live in Google's APIs."""
    rows: list[Resource[Any]] = [EnabledServices(spec, clients)]
    for cluster in spec.clusters:
        rows += [
            ProxySubnet(spec, cluster, clients),
            GkeCluster(spec, cluster, clients),
            NodePool(spec, cluster, clients),
            Membership(spec, cluster, clients),
        ]
    return [*rows, FleetIngress(spec, clients)]


class Session:
    """Plans and applies as separate commands would: each time with new resources."""

    def __init__(self, spec: GatewaySpec, clients: Clients) -> None:
        self.spec = spec
        self.clients = clients
        self.events: list[Event] = []

    async def plan(self, verb: Verb = Verb.APPLY) -> Plan:
        return await plan(cloud_rows(self.spec, self.clients), verb)

    async def actions(self, verb: Verb = Verb.APPLY) -> dict[str, tuple[str, str]]:
        """Action and reason of each row."""
        made = await self.plan(verb)
        return {step.resource: (str(step.action), step.step.reason) for step in made.steps}

    async def run(self, verb: Verb = Verb.APPLY) -> Result:
        return await self.carry_out(await self.plan(verb))

    async def carry_out(self, made: Plan) -> Result:
        rows = cloud_rows(self.spec, self.clients)
        return await apply(made, rows, run=Run("test", self.spec.name, "emulator"), emit=self.events.append)

    @property
    def notes(self) -> Sequence[StepNote]:
        return [event.payload for event in self.events if isinstance(event.payload, StepNote)]


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
