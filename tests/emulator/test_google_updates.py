"""Changes of what exists: node pools, and clusters where only a part of a message is sent."""

from __future__ import annotations

from typing import Any

import pytest

CLUSTER = "/container/v1/projects/demo-project/locations/europe-west3/clusters/gke-west"
POOL = f"{CLUSTER}/nodePools/default-pool"


@pytest.mark.parametrize(
    ("update", "field", "kept"),
    [
        ({"labels": {"labels": {"a": "b"}}}, "labels", {"a": "b"}),
        ({"resourceLabels": {"labels": {"team": "red"}}}, "resourceLabels", {"team": "red"}),
        ({"workloadMetadataConfig": {"mode": "GKE_METADATA"}}, "workloadMetadataConfig", {"mode": "GKE_METADATA"}),
    ],
)
async def test_a_pool_changes_once_its_operation_is_done(cloud: Any, update: Any, field: str, kept: Any) -> None:
    await cloud.create_cluster()
    operation = await cloud.ok("PUT", POOL, update)
    pool = await cloud.ok("GET", POOL)
    assert (operation["status"], pool["status"], pool["config"].get(field)) == ("RUNNING", "RECONCILING", None)
    await cloud.refused(400, "PUT", POOL, update)
    cloud.now += 3600
    pool = await cloud.ok("GET", POOL)
    assert (pool["status"], pool["config"][field]) == ("RUNNING", kept)
    assert pool["config"]["machineType"] == "e2-standard-4"


async def test_zones_and_management_of_a_pool(cloud: Any) -> None:
    await cloud.create_cluster()
    await cloud.ok("PUT", POOL, {"locations": ["europe-west3-a"]})
    cloud.now += 3600
    await cloud.ok("POST", f"{POOL}:setManagement", {"management": {"autoRepair": True}})
    cloud.now += 3600
    pool = await cloud.ok("GET", POOL)
    assert (pool["locations"], pool["management"]) == (["europe-west3-a"], {"autoRepair": True})


@pytest.mark.parametrize(
    ("update", "code"),
    [({}, 400), ({"nodeVersion": "1.35"}, 501), ({"rockets": 1}, 400), ({"locations": ["us-east4-a"]}, 400)],
)
async def test_an_update_of_a_pool_that_is_none(cloud: Any, update: Any, code: int) -> None:
    await cloud.create_cluster()
    await cloud.refused(code, "PUT", POOL, update)
    await cloud.refused(404, "PUT", f"{CLUSTER}/nodePools/nobody", {"locations": ["europe-west3-a"]})


async def test_a_part_of_the_control_planes_endpoints_leaves_the_rest(cloud: Any) -> None:
    before = (await cloud.create_cluster())["controlPlaneEndpointsConfig"]
    wanted = {"dnsEndpointConfig": {"allowExternalTraffic": True}}
    await cloud.ok("PUT", CLUSTER, {"update": {"desiredControlPlaneEndpointsConfig": wanted}})
    cloud.now += 3600
    after = (await cloud.ok("GET", CLUSTER))["controlPlaneEndpointsConfig"]
    assert after == before | {"dnsEndpointConfig": before["dnsEndpointConfig"] | {"allowExternalTraffic": True}}


async def test_a_null_counts_as_not_sent(cloud: Any) -> None:
    wanted = {"name": "other", "autoCreateSubnetworks": False, "description": None}
    await cloud.ok("POST", "/compute/v1/projects/demo-project/global/networks", wanted)
    network = await cloud.ok("GET", "/compute/v1/projects/demo-project/global/networks/other")
    assert "description" not in network
