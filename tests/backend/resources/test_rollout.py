"""Updates of model servers: one cluster after the other, and none after one that failed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from backend.clients.kinds import DEPLOYMENT
from backend.clients.kube import Kube
from backend.emulator.kube.cluster import KubeCluster
from backend.errors import OperationFailed, StepTimeout
from backend.resources.rollout import Rollouts
from backend.resources.serving import ModelServers, model_server
from backend.spec import GatewaySpec
from tests.backend.kubes import FakeClients, Notes, api_server, client_of

NAMES = ("gke-west", "gke-east")
IMAGE = "vllm/vllm-openai:v0.9.2"


@pytest.fixture
async def clusters() -> AsyncIterator[dict[str, tuple[KubeCluster, Kube]]]:
    async with AsyncExitStack() as stack:
        made = {}
        for name in NAMES:
            cluster = await stack.enter_async_context(api_server(name))
            made[name] = cluster, client_of(cluster)
            stack.push_async_callback(made[name][1].close)
        yield made


@pytest.fixture
def newer(spec: GatewaySpec) -> GatewaySpec:
    return GatewaySpec.model_validate(spec.to_data() | {"model": {"image": IMAGE}})


def rows(spec: GatewaySpec, clusters: dict[str, tuple[KubeCluster, Kube]]) -> list[ModelServers]:
    clients = FakeClients({name: kube for name, (_, kube) in clusters.items()}).as_clients()
    rollouts = Rollouts()
    return [model_server(spec, cluster, clients, rollouts=rollouts) for cluster in spec.clusters]


async def update(row: ModelServers, notes: Notes) -> None:
    await row.apply(row.diff(await row.observe()), notes)


class Heard(Notes):
    """Notes that can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = asyncio.Event()

    def __call__(self, text: str, *, operation: str | None = None) -> None:
        super().__call__(text, operation=operation)
        self.heard.set()


async def image(spec: GatewaySpec, kube: Kube) -> Any:
    found = await kube.get(DEPLOYMENT, "default", spec.model.name)
    assert found is not None
    return found["spec"]["template"]["spec"]["containers"][0]["image"]


def become_ready(spec: GatewaySpec, cluster: KubeCluster) -> None:
    found = cluster.store.get("apps/deployments", "default", spec.model.name)
    assert found is not None
    counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), found["spec"]["replicas"])
    status = counts | {"observedGeneration": found["metadata"]["generation"]}
    cluster.store.set_status("apps/deployments", "default", spec.model.name, status, manager="kcm")


async def test_the_second_cluster_is_updated_once_the_first_serves_again(
    spec: GatewaySpec, newer: GatewaySpec, clusters: dict[str, tuple[KubeCluster, Kube]]
) -> None:
    await asyncio.gather(*(row.apply(row.create(), Notes()) for row in rows(spec, clusters)))
    west, east = rows(newer, clusters)
    await update(west, Notes())
    notes = Heard()
    second = asyncio.create_task(update(east, notes))
    await asyncio.wait_for(notes.heard.wait(), 10)
    assert "until the model servers on gke-west are updated" in notes.texts[0]
    assert await image(newer, clusters["gke-east"][1]) != IMAGE
    become_ready(newer, clusters["gke-west"][0])
    await west.wait(Notes())
    await second
    assert await image(newer, clusters["gke-east"][1]) == IMAGE
    become_ready(newer, clusters["gke-east"][0])
    await east.wait(Notes())


async def test_after_a_failed_update_the_other_cluster_goes_on_serving(
    spec: GatewaySpec, newer: GatewaySpec, clusters: dict[str, tuple[KubeCluster, Kube]]
) -> None:
    await asyncio.gather(*(row.apply(row.create(), Notes()) for row in rows(spec, clusters)))
    west, east = rows(newer, clusters)
    await update(west, Notes())
    west.timeout_s = 0.01
    with pytest.raises(StepTimeout):
        await west.wait(Notes())
    with pytest.raises(OperationFailed, match="gke-east were left as they are") as caught:
        await update(east, Notes())
    assert "gke-west failed" in caught.value.cause
    assert await image(newer, clusters["gke-east"][1]) != IMAGE
