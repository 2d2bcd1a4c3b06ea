"""Other versions of a cluster and its pools, and the bounds of a pool, by the updates that gcloud sends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import ClientSession

from backend.clients import Clients
from backend.emulator.server import Emulator
from backend.resources.cluster import GkeCluster
from backend.resources.services import WANTED
from backend.spec import GatewaySpec
from tests.backend.resources.rows import make_node_account, silent

CLUSTER = "/container/v1/projects/demo-project/locations/europe-west3/clusters/gke-west"
RAPID = {"releaseChannel": {"channel": "RAPID"}, "initialClusterVersion": "1.33.5-gke.1125000"}


async def update(cloud: Any, **fields: Any) -> dict[str, Any]:
    operation: dict[str, Any] = await cloud.ok("PUT", CLUSTER, {"update": fields})
    return operation


async def test_the_control_plane_goes_first_and_nodes_follow(cloud: Any) -> None:
    await cloud.create_cluster(**RAPID)
    operation = await update(cloud, desiredMasterVersion="1.34")
    assert (operation["operationType"], operation["status"]) == ("UPGRADE_MASTER", "RUNNING")
    assert (await cloud.ok("GET", CLUSTER))["currentMasterVersion"] == "1.33.5-gke.1125000"
    error = await cloud.refused(400, "PUT", CLUSTER, {"update": {"desiredNodeVersion": "-"}})
    assert "is currently upgrading cluster gke-west" in error["message"]
    cloud.now += 3600
    after = await cloud.ok("GET", CLUSTER)
    assert (after["currentMasterVersion"], after["currentNodeVersion"]) == ("1.34.3-gke.1051000", "1.33.5-gke.1125000")

    operation = await update(cloud, desiredNodeVersion="-")
    assert operation["operationType"] == "UPGRADE_NODES"
    cloud.now += 3600
    after = await cloud.ok("GET", CLUSTER)
    assert (after["status"], after["currentNodeVersion"]) == ("RUNNING", "1.34.3-gke.1051000")
    assert [pool["version"] for pool in after["nodePools"]] == ["1.34.3-gke.1051000"]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"desiredMasterVersion": "1.33.5-gke.1125000"}, "not newer than the current version"),
        ({"desiredMasterVersion": "1.35"}, "more than one minor version at a time"),
        ({"desiredMasterVersion": "9.9"}, "unsupported"),
        ({"desiredNodeVersion": "1.34.3-gke.1051000"}, "greater than that of the master"),
        ({"desiredNodeVersion": "9.9"}, "unsupported"),
    ],
)
async def test_a_version_that_cannot_be_is_refused(cloud: Any, wanted: dict[str, str], words: str) -> None:
    await cloud.create_cluster(**RAPID)
    error = await cloud.refused(400, "PUT", CLUSTER, {"update": wanted})
    assert words in error["message"]


async def test_a_pool_gets_bounds_to_scale_in(cloud: Any) -> None:
    await cloud.create_cluster()
    bounds = {"enabled": True, "minNodeCount": 1, "maxNodeCount": 3}
    await update(cloud, desiredNodePoolId="default-pool", desiredNodePoolAutoscaling=bounds)
    cloud.now += 3600
    (pool,) = (await cloud.ok("GET", CLUSTER))["nodePools"]
    assert (pool["autoscaling"], pool["status"]) == (bounds, "RUNNING")
    wanted = {"desiredNodePoolId": "nobody", "desiredNodePoolAutoscaling": bounds}
    await cloud.refused(404, "PUT", CLUSTER, {"update": wanted})


async def test_the_api_server_and_the_nodes_tell_their_new_version(
    emulator: Emulator, clients: Clients, spec: GatewaySpec
) -> None:
    operation = await clients.services.enable(WANTED)
    await clients.services.operation(operation["name"])
    await make_node_account(spec, clients)
    row = GkeCluster(spec, spec.clusters[0], clients)
    await row.apply(row.create(), silent)
    await row.wait(silent)
    cluster = emulator.world.kube["europe-west3/gke-west"]
    definitions = "apiextensions.k8s.io/customresourcedefinitions"
    before = {one["metadata"]["name"]: one["spec"] for one in cluster.store.list(definitions)}

    async with ClientSession(headers={"Authorization": f"Bearer {emulator.token}"}) as session:
        for change in (
            {"desiredMasterVersion": "1.35"},
            {"desiredNodeVersion": "-", "desiredNodePoolId": "default-pool"},
        ):
            async with session.put(f"{emulator.url}{CLUSTER}", json={"update": change}) as answer:
                assert answer.status == 200, await answer.text()
            async with session.get(f"{emulator.url}{CLUSTER}") as answer:
                told = await answer.json()
    version = told["currentMasterVersion"]
    assert version.startswith("1.35.")
    assert cluster.version == version
    after = {one["metadata"]["name"]: one["spec"] for one in cluster.store.list(definitions)}
    assert [name for name in before if before[name] != after[name]] == ["autoscalingmetrics.autoscaling.gke.io"], (
        "the form of metrics changes with 1.35"
    )

    for _ in range(3000):
        kubelets = {one["status"]["nodeInfo"]["kubeletVersion"] for one in cluster.store.list("/nodes")}
        if kubelets == {f"v{version}"}:
            break
        await asyncio.sleep(0.02)
    assert kubelets == {f"v{version}"}
