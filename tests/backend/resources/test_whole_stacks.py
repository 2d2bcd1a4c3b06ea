"""Whole stacks of other shapes than the usual: what the rows of both halves only show together."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from backend.clients import Clients
from backend.clients.google import Google
from backend.clients.kube import Kube
from backend.emulator.server import Emulator
from backend.engine.apply import Result, Run, apply
from backend.engine.events import Action, Verb
from backend.engine.plan import Plan, plan
from backend.resources import declare
from backend.resources.sharing import OWN, Teardown
from backend.spec import GatewaySpec

TOKEN = SecretStr("hf_of_the_tests_0123456789")


async def made_plan(spec: GatewaySpec, clients: Clients, verb: Verb = Verb.APPLY, teardown: Teardown = OWN) -> Plan:
    return await plan(declare(spec, clients, hf_token=TOKEN, teardown=teardown), verb)


async def carry_out(spec: GatewaySpec, clients: Clients, verb: Verb = Verb.APPLY, teardown: Teardown = OWN) -> Result:
    rows = declare(spec, clients, hf_token=TOKEN, teardown=teardown)
    result = await apply(await plan(rows, verb), rows, run=Run("t", spec.name, "emulator"), emit=lambda event: None)
    assert result.outcome == "succeeded", [(step.resource, step.error) for step in result.failures]
    return result


def changes(made: Plan) -> dict[str, str]:
    return {step.resource: str(step.action) for step in made.steps if step.action is not Action.NO_OP}


@pytest.fixture
def small(spec: GatewaySpec) -> GatewaySpec:
    """The stack with one model server on each cluster."""
    return GatewaySpec.model_validate(spec.to_data() | {"model": {"replicas": 1}})


@pytest.fixture
def third(small: GatewaySpec) -> GatewaySpec:
    """The stack with a config cluster that serves nothing, in a region of its own."""
    data = small.to_data()
    data["clusters"].append({"name": "gke-config", "region": "us-central1"})
    return GatewaySpec.model_validate(data | {"config_cluster": "gke-config"})


async def test_a_config_cluster_that_serves_nothing_holds_the_gateway(
    third: GatewaySpec, connection: Any, emulator: Emulator
) -> None:
    clients = Clients(connection, third)
    try:
        result = await carry_out(third, clients)
        details = {step.resource: step.detail for step in result.finished}
        served = [answer["served_by"]["cluster"] for answer in details["verify"]["answers"]]
        assert served == ["gke-west", "gke-east"]
        assert [one["region"] for one in details["gateway"]["addresses"]] == ["europe-west3", "us-east4"]
        assert set(emulator.world.tables["subnetworks"]) == {
            "europe-west3/europe-west3-subnet",
            "us-east4/us-east4-subnet",
        }
        assert changes(await made_plan(third, clients)) == {}

        await carry_out(third, clients, Verb.DESTROY)
        kept = {"operations", "timers", "services", "iam"}
        assert {name for name, table in emulator.world.tables.items() if table and name not in kept} == set()
    finally:
        await clients.close()


async def test_a_plan_with_nothing_to_do_is_cheap_and_sees_that_the_agents_grant_is_gone(
    small: GatewaySpec, clients: Clients, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    await carry_out(small, clients)
    asked: list[str] = []
    tried, opened = Google._tried, Kube._open

    async def google(self: Google, service: Any, run: Any, *, doing: str, repeat: bool) -> Any:
        asked.append(doing)
        return await tried(self, service, run, doing=doing, repeat=repeat)

    async def kube(self: Kube, method: str, url: str, *args: Any, **options: Any) -> Any:
        asked.append(f"{method} {url}")
        return await opened(self, method, url, *args, **options)

    monkeypatch.setattr(Google, "_tried", google)
    monkeypatch.setattr(Kube, "_open", kube)
    assert changes(await made_plan(small, clients)) == {}

    assert len(asked) <= 60, "\n".join(sorted(asked))

    member = next(iter(emulator.world.tables["iam"]["agents"]))
    await clients.projects.revoke(f"serviceAccount:{member}", ["roles/container.admin"])
    without = changes(await made_plan(small, clients))
    assert without["iam/mci-agent"] == "create", "no gateway would be programmed without it"


async def test_nothing_is_asked_of_a_cluster_that_is_gone_and_a_greedy_destroy_leaves_nothing_but_the_basic_apis(
    small: GatewaySpec, clients: Clients, emulator: Emulator
) -> None:
    await carry_out(small, clients)
    await carry_out(small, clients, Verb.DESTROY)

    assert clients.container.seen("us-east4", "gke-east") is None
    again = await carry_out(small, clients)
    assert {str(step.outcome) for step in again.finished} == {"succeeded"}

    last = await carry_out(small, clients, Verb.DESTROY, Teardown(shared=True))

    order = [step.resource for step in last.finished]
    assert order.index("gateway") < order.index("export@gke-west") < order.index("iam/mci-agent")
    assert order.index("iam/mci-agent") < order.index("fleet-ingress") < order.index("membership/gke-west")
    assert order.index("membership/gke-west") < order.index("cluster/gke-west") < order.index("iam/node-sa")
    assert order.index("cluster/gke-west") < order.index("subnet/europe-west3")
    bindings = emulator.world.tables["iam"]["bindings"]
    assert bindings == [{"role": "roles/owner", "members": ["user:rehearsal@example.com"]}]
    enabled = await clients.services.enabled()
    assert "gkehub.googleapis.com" not in enabled
    assert {"compute.googleapis.com", "container.googleapis.com"} <= enabled
