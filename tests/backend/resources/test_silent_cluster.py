"""A stack is destroyed although the API server of one of its clusters answers nobody."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from backend.clients import Clients
from backend.clients.connect import Connection
from backend.emulator import faults
from backend.emulator.server import Emulator
from backend.engine.apply import Result, Run, apply
from backend.engine.events import Action, Outcome, Verb
from backend.engine.plan import Plan, plan
from backend.errors import Unavailable
from backend.resources import declare, leftovers, network
from backend.spec import GatewaySpec


@pytest.fixture
def small(spec: GatewaySpec) -> GatewaySpec:
    """The stack with one model server on each cluster."""
    return GatewaySpec.model_validate(spec.to_data() | {"model": {"replicas": 1}})


@pytest.fixture
async def clients(connection: Connection, small: GatewaySpec) -> AsyncIterator[Clients]:
    """Clients that soon take a silent server for one that stays so."""
    made = Clients(dataclasses.replace(connection, patience_s=0.3), small)
    yield made
    await made.close()


class Session:
    """Plans and carries out as separate commands would: each time with new rows."""

    def __init__(self, spec: GatewaySpec, clients: Clients) -> None:
        self._spec, self._clients = spec, clients

    async def plan(self, verb: Verb) -> Plan:
        return await plan(declare(self._spec, self._clients), verb, passing=(Unavailable,))

    async def run(self, verb: Verb) -> Result:
        rows = declare(self._spec, self._clients, hf_token=SecretStr("hf_of_the_tests_0123456789"))
        made = await plan(rows, verb, passing=(Unavailable,))
        return await apply(made, rows, run=Run("t", self._spec.name, "emulator"), emit=lambda event: None)


def told(made: Plan, name: str) -> tuple[Action, str]:
    step = next(step for step in made.steps if step.resource == name)
    return step.action, step.step.reason


async def test_what_a_silent_cluster_holds_goes_with_it_and_the_rest_goes_too(
    small: GatewaySpec, clients: Clients, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "LEFT_TIMEOUT_S", 0.0)
    session = Session(small, clients)
    assert (await session.run(Verb.APPLY)).outcome is Outcome.SUCCEEDED

    faults.add(emulator.world, "region-down region=us-east4", emulator.world.pace)
    made = await session.plan(Verb.DESTROY)
    assert told(made, "model-server@gke-east") == (Action.NO_OP, "goes with cluster/gke-east, which does not answer")
    assert told(made, "export@gke-east") == (
        Action.DELETE,
        "cluster/gke-east does not answer; if it stays so, its network endpoint groups may remain",
    )
    kept = {"services", "iam/mci-agent", "verify"}
    assert {str(step.resource) for step in made.steps if step.action is Action.NO_OP and not step.unseen} == kept
    faults.clear(emulator.world)

    faults.add(emulator.world, "region-down region=europe-west3", emulator.world.pace)
    result = await session.run(Verb.DESTROY)
    finished = {str(step.resource): step for step in result.finished}
    assert finished["gateway"].outcome is Outcome.SUCCEEDED
    assert "its load balancer may remain: cannot read" in finished["gateway"].reason
    assert {str(step.resource) for step in result.failures} == {"subnet/europe-west3", "subnet/us-east4"}
    assert not any(emulator.world.tables[table] for table in ("clusters", "memberships"))
    left = [part.name for part in await leftovers.find(small, clients) if part.kind == "forwarding-rules"]
    assert len(left) == 2
    for step in result.failures:
        assert step.error is not None
        assert any(f"forwarding-rules delete {name}" in step.error.fix for name in left)
