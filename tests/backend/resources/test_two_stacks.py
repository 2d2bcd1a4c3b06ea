"""Two stacks on the same clusters: the second uses what the first has, changes nothing of it and takes nothing away."""

from __future__ import annotations

from copy import deepcopy

import pytest
from pydantic import SecretStr

from backend.clients import Clients
from backend.clients.kinds import BACKEND_POLICY
from backend.emulator.server import Emulator
from backend.engine.apply import Result, Run, apply
from backend.engine.events import Action, Verb
from backend.engine.plan import Plan, plan
from backend.errors import Conflict
from backend.resources import declare, marks
from backend.spec import GatewaySpec
from tests.backend.resources.rows import silent

TOKEN = SecretStr("hf_of_the_tests_0123456789")


@pytest.fixture
def first(spec: GatewaySpec) -> GatewaySpec:
    """The stack whose things are used, with one model server on each cluster."""
    return GatewaySpec.model_validate(spec.to_data() | {"model": {"replicas": 1}})


@pytest.fixture
def second(first: GatewaySpec) -> GatewaySpec:
    """The same under another name."""
    return GatewaySpec.model_validate(first.to_data() | {"name": "second"})


async def planned(spec: GatewaySpec, clients: Clients, verb: Verb = Verb.APPLY) -> Plan:
    return await plan(declare(spec, clients, hf_token=TOKEN), verb)


async def carry_out(spec: GatewaySpec, clients: Clients, verb: Verb = Verb.APPLY) -> Result:
    rows = declare(spec, clients, hf_token=TOKEN)
    return await apply(await plan(rows, verb), rows, run=Run("t", spec.name, "emulator"), emit=lambda event: None)


def reasons(made: Plan) -> dict[str, tuple[Action, str]]:
    return {step.resource: (step.action, step.step.reason) for step in made.steps}


async def test_a_second_stack_shares_changes_nothing_and_its_end_leaves_the_first_as_it_was(
    first: GatewaySpec, second: GatewaySpec, clients: Clients, emulator: Emulator
) -> None:
    assert (await carry_out(first, clients)).outcome == "succeeded"
    await refused(second, clients, emulator)
    shared = reasons(await planned(second, clients))
    for row in ("gateway", "export@gke-west", "node-pool/gke-west/h100", "cluster/gke-east", "fleet-ingress"):
        assert shared[row] == (Action.NO_OP, "adopted from the stack two-regions"), row

    result = await carry_out(second, clients)

    assert result.outcome == "succeeded", [(step.resource, step.error) for step in result.failures]
    gone = reasons(await planned(second, clients, Verb.DESTROY))
    assert gone["export@gke-west"] == (Action.NO_OP, "exported for the stack two-regions: left")
    assert gone["gateway"] == (Action.NO_OP, "made for the stack two-regions: left")
    assert {row for row, (action, _) in gone.items() if action is Action.DELETE} == {"iam/node-sa"}
    assert (await carry_out(second, clients, Verb.DESTROY)).outcome == "succeeded"
    assert {row for row, (action, _) in reasons(await planned(first, clients)).items() if action != "no-op"} == set()


async def refused(second: GatewaySpec, clients: Clients, emulator: Emulator) -> None:
    """What the second stack wants otherwise is refused, and stays as it is."""
    data = second.to_data() | {"balancing": {"mode": "IN_FLIGHT"}}
    for cluster in data["clusters"]:
        cluster["gpu_pool"] |= {"machine_type": "a3-highgpu-1g", "accelerators_per_node": 1}
    rows = declare(GatewaySpec.model_validate(data), clients, hf_token=TOKEN)
    made = await plan(rows, Verb.APPLY)
    clusters = deepcopy(emulator.world.tables["clusters"])
    policies = await clients.kube("gke-west").list(BACKEND_POLICY, "default")
    differing = {"backend-policy", "node-pool/gke-west/h100", "node-pool/gke-east/h100"}

    assert {row: reasons(made)[row] for row in differing} == dict.fromkeys(
        differing, (Action.UPDATE, marks.refused("two-regions"))
    )
    for row in rows:
        if row.id in differing:
            with pytest.raises(Conflict, match="belongs to the stack two-regions"):
                await row.apply(row.create(), silent)

    assert await clients.kube("gke-west").list(BACKEND_POLICY, "default") == policies
    assert emulator.world.tables["clusters"] == clusters
