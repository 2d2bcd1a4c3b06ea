"""The token's Secret, and what keeps model servers from being ready."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from backend.clients.kinds import NAMESPACE, SECRET
from backend.clients.kube import Kube
from backend.emulator.kube.cluster import KubeCluster
from backend.engine.events import Action, Failure
from backend.errors import Conflict, OperationFailed, UsageError
from backend.resources.secret import HfTokenSecret, hf_token_secret
from backend.resources.serving import ModelServers, model_server
from backend.spec import GatewaySpec
from tests.backend.kubes import FakeClients, Notes, api_server, client_of

TOKEN = "hf_of_the_tests_0123456789"
Json = dict[str, Any]


@pytest.fixture
async def cluster() -> AsyncIterator[KubeCluster]:
    async with api_server() as running:
        yield running


@pytest.fixture
async def kube(cluster: KubeCluster) -> AsyncIterator[Kube]:
    made = client_of(cluster)
    yield made
    await made.close()


def secret_row(spec: GatewaySpec, kube: Kube, hf_token: str | None = TOKEN) -> HfTokenSecret:
    held = None if hf_token is None else SecretStr(hf_token)
    return hf_token_secret(spec, spec.config, FakeClients({"gke-west": kube}).as_clients(), hf_token=held)


def their_secret(**data: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "hf-token", "namespace": "default"},
        "stringData": data,
    }


async def make(row: HfTokenSecret) -> Action:
    step = row.diff(await row.observe())
    if step.action is not Action.NO_OP:
        await row.apply(step, Notes())
    return step.action


async def test_the_token_arrives_and_is_never_observed(spec: GatewaySpec, kube: Kube) -> None:
    row = secret_row(spec, kube)
    assert await make(row) is Action.CREATE
    stored = await kube.get(SECRET, "default", "hf-token")
    assert stored is not None
    assert base64.b64decode(stored["data"]["token"]).decode() == TOKEN
    seen = await row.wait(Notes())
    told = f"{seen} {row.about} {row.diff(seen)} {row.detail(seen)} {vars(row)}"
    assert TOKEN not in told
    assert stored["data"]["token"] not in told


async def test_an_existing_secret_needs_no_token(spec: GatewaySpec, kube: Kube) -> None:
    await make(secret_row(spec, kube))
    assert await make(secret_row(spec, kube, hf_token=None)) is Action.NO_OP
    assert await make(secret_row(spec, kube)) is Action.NO_OP


async def test_another_token_replaces_the_one_that_mcig_set(spec: GatewaySpec, kube: Kube) -> None:
    await make(secret_row(spec, kube))
    assert await make(secret_row(spec, kube, hf_token="hf_another")) is Action.UPDATE
    stored = await kube.get(SECRET, "default", "hf-token")
    assert stored is not None
    assert base64.b64decode(stored["data"]["token"]).decode() == "hf_another"


async def test_a_secret_made_by_hand_is_adopted_and_left_at_destroy(spec: GatewaySpec, kube: Kube) -> None:
    await kube.create(their_secret(token="hf_theirs"))
    row = secret_row(spec, kube)
    seen = await row.observe()
    assert (row.diff(seen).action, row.diff(seen).reason) == (Action.NO_OP, "adopted")
    assert row.removal(seen).action is Action.NO_OP


async def test_a_secret_without_the_key_gets_it_and_stays_theirs(spec: GatewaySpec, kube: Kube) -> None:
    await kube.create(their_secret(other="kept"))
    row = secret_row(spec, kube)
    assert await make(row) is Action.UPDATE
    seen = await row.observe()
    assert seen is not None
    assert set(seen["data"]) == {"other", "token"}
    assert row.removal(seen).action is Action.NO_OP


async def test_another_stacks_secret_is_used_and_never_changed(spec: GatewaySpec, kube: Kube) -> None:
    other = GatewaySpec.model_validate(spec.to_data() | {"name": "other"})
    assert await make(secret_row(other, kube)) is Action.CREATE
    row = secret_row(spec, kube)
    seen = await row.observe()
    assert (row.diff(seen).action, row.diff(seen).reason) == (Action.NO_OP, "adopted from the stack other")
    assert row.removal(seen).reason == "made for the stack other: left"
    with pytest.raises(Conflict, match="belongs to the stack other"):
        await row.apply(row.create(), Notes())
    assert await row.observe() == seen


async def test_no_token_says_where_to_get_one(spec: GatewaySpec, kube: Kube) -> None:
    row = secret_row(spec, kube, hf_token=None)
    with pytest.raises(UsageError, match="no Hugging Face token") as caught:
        await make(row)
    assert "HF_TOKEN" in caught.value.fix


async def test_a_refused_token_is_not_in_the_failure(spec: GatewaySpec, cluster: KubeCluster) -> None:
    async def wrong() -> str:
        return "wrong"

    kube = Kube(f"https://{cluster.endpoint}", cluster.ca_pem, wrong)
    try:
        with pytest.raises(Exception, match=r"(?i)unauthorized") as caught:
            await secret_row(spec, kube).apply(secret_row(spec, kube).create(), Notes())
        assert TOKEN not in repr(Failure.of(caught.value))
    finally:
        await kube.close()


async def test_a_namespace_of_mcigs_own_comes_and_goes_with_the_secret(spec: GatewaySpec, kube: Kube) -> None:
    elsewhere = GatewaySpec.model_validate(spec.to_data() | {"pool": {"namespace": "serving"}})
    row = secret_row(elsewhere, kube)
    assert await make(row) is Action.CREATE
    assert await kube.get(NAMESPACE, None, "serving") is not None
    await row.delete(Notes())
    assert await kube.get(SECRET, "serving", "hf-token") is None
    assert await kube.get(NAMESPACE, None, "serving") is None
    await row.delete(Notes())


async def test_a_namespace_of_somebody_else_stays(spec: GatewaySpec, kube: Kube) -> None:
    await kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "serving"}})
    elsewhere = GatewaySpec.model_validate(spec.to_data() | {"pool": {"namespace": "serving"}})
    row = secret_row(elsewhere, kube)
    await make(row)
    await row.delete(Notes())
    assert await kube.get(NAMESPACE, None, "serving") is not None


def servers_of(spec: GatewaySpec, *pods: Json, log: str = "") -> ModelServers:
    class Pods:
        async def list(self, *_: Any) -> list[Json]:
            return list(pods)

        async def logs(self, *_: Any) -> str:
            return log

    clients: Any = FakeClients({"gke-west": Pods()})  # type: ignore[dict-item]
    return model_server(spec, spec.config, clients)


def pod(name: str = "llama-a", *, scheduled: str = "True", **state: Json) -> Json:
    conditions = [
        {"type": "PodScheduled", "status": scheduled, "message": "0/1 nodes: insufficient nvidia.com/gpu"},
        {"type": "Ready", "status": "False"},
    ]
    containers = [{"name": "vllm", "state": state, "restartCount": 5}] if state else []
    return {"metadata": {"name": name}, "status": {"conditions": conditions, "containerStatuses": containers}}


async def test_what_keeps_the_pods_is_counted(spec: GatewaySpec) -> None:
    unscheduled = pod(scheduled="False")
    row = servers_of(
        spec,
        unscheduled,
        unscheduled,
        pod(running={}),
        pod(waiting={"reason": "ContainerCreating"}),
        {"metadata": {"name": "ready"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}},
    )
    assert await row.explain("1 of 5 model servers ready") == (
        "1 of 5 model servers ready; 1 ContainerCreating; 1 loading the model; "
        "2 not scheduled (0/1 nodes: insufficient nvidia.com/gpu)"
    )


async def test_a_server_that_only_crashes_ends_the_wait_with_its_last_words(spec: GatewaySpec) -> None:
    row = servers_of(spec, pod(waiting={"reason": "CrashLoopBackOff"}), log="INFO start\nOSError: gated repo\n\n")
    with pytest.raises(OperationFailed, match="vllm in llama-a on gke-west has crashed 5 times") as caught:
        await row.explain("0 of 1 model servers ready")
    assert caught.value.cause == "OSError: gated repo"
    assert "logs" in caught.value.fix
