"""A stack that changes later, on the emulated cloud: each change shows as its fields, is done alone, and settles."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from backend.clients import Clients
from backend.clients.connect import Connection
from backend.clients.kinds import BACKEND_POLICY, DEPLOYMENT, GATEWAY, POD
from backend.emulator.server import Emulator
from backend.engine.apply import Run, apply
from backend.engine.events import Action, Event, Outcome, StepFinished, Verb
from backend.engine.plan import Plan, plan
from backend.resources import declare
from backend.resources.gateway import addresses_of
from backend.spec import GatewaySpec

Json = dict[str, Any]


@pytest.fixture
def spec(spec: GatewaySpec) -> GatewaySpec:
    """The stack with a model server on every one of two GPUs of each cluster."""
    data = spec.to_data()
    for cluster in data["clusters"]:
        cluster["gpu_pool"]["nodes"] = 1
    return GatewaySpec.model_validate(data)


class Life:
    """A stack over several runs, each with clients and rows of its own, as commands have them."""

    def __init__(self, connection: Connection, folder: Path) -> None:
        self.connection, self.folder = connection, folder

    async def plan(self, spec: GatewaySpec, verb: Verb = Verb.APPLY) -> Plan:
        clients = Clients(self.connection, spec)
        try:
            return await plan(self.rows(spec, clients), verb)
        finally:
            await clients.close()

    async def run(self, spec: GatewaySpec, verb: Verb = Verb.APPLY) -> dict[str, Any]:
        """Plan, carry out and see that nothing is left to do; gives the changed fields by resource."""
        clients = Clients(self.connection, spec)
        events: list[Event] = []
        try:
            rows = self.rows(spec, clients)
            made = await plan(rows, verb)
            await apply(made, rows, run=Run("test", spec.name, "emulator"), emit=events.append)
        finally:
            await clients.close()
        ends = [event.payload for event in events if isinstance(event.payload, StepFinished)]
        assert [f"{end.resource}: {end.error}" for end in ends if end.outcome is not Outcome.SUCCEEDED] == []
        if verb is Verb.APPLY:
            assert changes(await self.plan(spec)) == {}
        return changes(made)

    def rows(self, spec: GatewaySpec, clients: Clients) -> Any:
        return declare(spec, clients, hf_token=SecretStr("hf_x"), kubeconfig=self.folder / "kubeconfig")


def changes(made: Plan) -> dict[str, Any]:
    """What a plan would do: the changed fields of each update, else the action."""
    return {
        step.resource: {change.field.rpartition(": ")[2] for change in step.step.changes}
        if step.action is Action.UPDATE
        else str(step.action)
        for step in made.steps
        if step.action is not Action.NO_OP
    }


@pytest.fixture
def life(connection: Connection, tmp_path: Path) -> Life:
    return Life(connection, tmp_path)


def changed(spec: GatewaySpec, **parts: Any) -> GatewaySpec:
    return GatewaySpec.model_validate(spec.to_data() | parts)


async def test_mode_image_replicas_and_a_region_change_one_after_the_other(
    spec: GatewaySpec, clients: Clients, life: Life
) -> None:
    await life.run(spec)
    west = clients.kube("gke-west")

    in_flight = changed(spec, balancing={"mode": "IN_FLIGHT"})
    moves = await life.run(in_flight)
    fields = {"balancingMode", "customMetrics", "maxInFlightRequestsPerEndpoint"}
    assert moves.pop("backend-policy") == {f"spec.default.{field}" for field in fields}
    assert moves == {"verify": "create"}
    policy = await west.get(BACKEND_POLICY, "default", "my-backend-policy")
    assert policy is not None
    assert set(policy["spec"]["default"]) == {*fields - {"customMetrics"}, "timeoutSec", "trafficDuration"}

    model = in_flight.to_data()["model"]
    newer = changed(in_flight, model=model | {"image": "vllm/vllm-openai:v0.9.2"})
    moves = await life.run(newer)
    image = "spec.template.spec.containers[vllm].image"
    assert moves.pop("model-server@gke-west") == moves.pop("model-server@gke-east") == {image}
    picker = "spec.template.spec.containers[epp].args"
    assert moves.pop("pool@gke-west") == moves.pop("pool@gke-east") == {picker}
    assert moves == {"verify": "create"}
    pods = await west.list(POD, "default", {"app": spec.model.name})
    assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {"vllm/vllm-openai:v0.9.2"}
    assert len(pods) == 2

    fewer = changed(newer, model=newer.to_data()["model"] | {"replicas": 1})
    moves = await life.run(fewer)
    assert moves["model-server@gke-east"] == {"spec.replicas"}
    servers = await west.get(DEPLOYMENT, "default", spec.model.name)
    assert servers is not None
    assert servers["spec"]["replicas"] == 1

    data = fewer.to_data()
    third = data["clusters"][1] | {"name": "gke-north", "region": "europe-west4"}
    third["gpu_pool"] = third["gpu_pool"] | {"zones": ["europe-west4-b"]}
    wider = changed(fewer, clusters=[*data["clusters"], third])
    before = addresses_of(await west.get(GATEWAY, "default", spec.gateway.name) or {})
    moves = await life.run(wider)
    assert moves["gateway"] == {"spec.addresses"}
    made = {name for name, move in moves.items() if move == "create"}
    assert {"cluster/gke-north", "export@gke-north", "model-server@gke-north", "kubeconfig/gke-north"} <= made
    assert not {name for name in moves if name.endswith(("@gke-east", "/gke-east"))}
    after = addresses_of(await west.get(GATEWAY, "default", spec.gateway.name) or {})
    assert len(after) == 3
    assert set(before) <= set(after)
    await life.run(wider, Verb.DESTROY)


async def test_a_third_cluster_may_hold_the_gateway_in_a_namespace_of_its_own(
    spec: GatewaySpec, life: Life, emulator: Emulator
) -> None:
    data = spec.to_data() | {"config_cluster": "gke-config", "pool": {"namespace": "serving"}, "model": {"replicas": 1}}
    data["clusters"].append({"name": "gke-config", "region": "europe-west1", "gpu_pool": None})
    data["guardrail"] = {"namespaces": ["serving"], "compute_classes": ["h100"]}
    third = GatewaySpec.model_validate(data)
    moves = await life.run(third)
    assert {"namespace@gke-config", "guardrail@gke-config", "kubeconfig/gke-config"} <= set(moves)
    assert not {"metrics@gke-config", "pool@gke-config", "model-server@gke-config"} & set(moves)
    await life.run(third, Verb.DESTROY)
    kept = {"operations", "timers", "services", "iam"}
    assert {name for name, table in emulator.world.tables.items() if table} <= kept
