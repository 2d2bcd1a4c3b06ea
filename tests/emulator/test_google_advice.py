"""Advice on capacity and the history of Spot machines."""

from __future__ import annotations

from typing import Any

import pytest

from backend.emulator import faults, settings

AT = "/compute/v1/projects/demo-project/regions/us-east4/advice"
SPOT = {"scheduling": {"provisioningModel": "SPOT"}}


def body(*zones: str, machine: str = "a3-highgpu-2g", **more: Any) -> dict[str, Any]:
    return {
        "size": 3,
        "instanceProperties": SPOT,
        "instanceFlexibilityPolicy": {"instanceSelections": {"wanted": {"machineTypes": [machine]}}},
        "distributionPolicy": {"targetShape": "ANY_SINGLE_ZONE", "zones": [{"zone": f"zones/{one}"} for one in zones]},
    } | more


async def score(cloud: Any, *zones: str) -> tuple[float, str]:
    (found,) = (await cloud.ok("POST", f"{AT}/capacity", body(*zones)))["recommendations"]
    (shard,) = found["shards"]
    assert (shard["instanceCount"], shard["machineType"]) == (3, "a3-highgpu-2g")
    return found["scores"]["obtainability"], shard["zone"].rpartition("/")[2]


async def test_the_zone_in_which_machines_are_likeliest_is_advised(cloud: Any) -> None:
    settings.put(cloud.world, "capacity.us-east4-a.a3-highgpu-2g=0.3")
    settings.put(cloud.world, "capacity.us-east4-b.a3-highgpu-2g=0.9")
    assert await score(cloud) == (0.9, "us-east4-b")
    assert await score(cloud, "us-east4-a") == (0.3, "us-east4-a")


async def test_a_zone_that_ran_out_of_machines_is_at_zero_and_gives_none(cloud: Any) -> None:
    faults.add(cloud.world, "stockout zone=us-east4-c", cloud.world.pace)
    settings.put(cloud.world, "capacity.us-east4-b.a3-highgpu-2g=0")
    assert (await score(cloud, "us-east4-b", "us-east4-c"))[0] == 0
    await cloud.create_cluster(region="us-east4")
    accelerators = [{"acceleratorCount": "2", "acceleratorType": "nvidia-h100-80gb"}]
    config = {"machineType": "a3-highgpu-2g", "spot": True, "accelerators": accelerators}
    pool = {"name": "h100", "initialNodeCount": 1, "locations": ["us-east4-b"], "config": config}
    path = "/container/v1/projects/demo-project/locations/us-east4/clusters/gke-west/nodePools"
    await cloud.ok("POST", path, {"nodePool": pool})
    cloud.now += 3600
    assert (await cloud.ok("GET", f"{path}/h100"))["status"] == "ERROR"


async def test_history_has_the_spot_price_of_the_region(cloud: Any) -> None:
    asked = {"types": ["PRICE", "PREEMPTION"], "instanceProperties": SPOT | {"machineType": "a3-highgpu-2g"}}
    told = await cloud.ok("POST", f"{AT}/capacityHistory", asked)
    assert told["priceHistory"][0]["listPrice"] == {"currencyCode": "USD", "units": "8", "nanos": 910_000_000}
    assert 0 <= told["preemptionHistory"][0]["preemptionRate"] <= 1
    settings.put(cloud.world, "price.us-east4.a3-highgpu-2g=12.5")
    told = await cloud.ok("POST", f"{AT}/capacityHistory", asked)
    assert told["priceHistory"][0]["listPrice"] == {"currencyCode": "USD", "units": "12", "nanos": 500_000_000}


@pytest.mark.parametrize(
    "wrong",
    [
        body("mars-a"),
        body(machine="a9-highgpu-2g"),
        body(size=0),
        body(size="many"),
        body(instanceProperties={}),
        body(instanceFlexibilityPolicy={}),
        body(instanceFlexibilityPolicy={"instanceSelections": {"wanted": 3}}),
        body(distributionPolicy={"targetShape": "ROUND"}),
        body(distributionPolicy={"zones": ["us-east4-c"]}),
    ],
)
async def test_a_question_that_makes_no_sense_is_400(cloud: Any, wrong: dict[str, Any]) -> None:
    await cloud.refused(400, "POST", f"{AT}/capacity", wrong)


async def test_a_region_that_there_is_not_is_404(cloud: Any) -> None:
    await cloud.refused(404, "POST", AT.replace("us-east4", "mars") + "/capacity", body())
