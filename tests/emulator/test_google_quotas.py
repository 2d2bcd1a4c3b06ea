"""Cloud Quotas: the limits that it shows, by dimensions, and what a request for more does."""

from __future__ import annotations

from typing import Any

import pytest

from backend.emulator import settings

AT = "/cloudquotas/v1/projects/demo-project/locations/global"
INFOS = f"{AT}/services/compute.googleapis.com/quotaInfos"
H100 = "PREEMPTIBLE-NVIDIA-H100-GPUS-per-project-region"
FAMILY = "GPUS-PER-GPU-FAMILY-per-project-region"


@pytest.fixture
def quotas(cloud: Any) -> Any:
    cloud.enable("cloudquotas")
    return cloud


def limits(info: dict[str, Any], **dimensions: str) -> list[str | None]:
    """Limits of the entries that match, the most specific first."""
    entries = [
        one
        for one in info["dimensionsInfos"]
        if one.get("dimensions", {}).items() <= dimensions.items()
        and dimensions["region"] in one["applicableLocations"]
    ]
    entries.sort(key=lambda one: -len(one.get("dimensions", {})))
    return [one["details"].get("value") for one in entries]


async def test_a_limit_of_all_regions_is_one_entry_and_an_own_one_another(quotas: Any) -> None:
    settings.put(quotas.world, "quota.us-east4.PREEMPTIBLE_NVIDIA_H100_GPUS=4")
    info = await quotas.ok("GET", f"{INFOS}/{H100}")
    assert (info["metric"], info["dimensions"]) == (
        "compute.googleapis.com/preemptible_nvidia_h100_gpus",
        ["region"],
    )
    assert limits(info, region="us-east4") == ["4"]
    assert limits(info, region="europe-west3") == ["32"]


async def test_gpus_and_their_disks_on_demand_are_limited_by_family_and_only_here(quotas: Any) -> None:
    settings.put(quotas.world, "quota.us-east4.GPUS_PER_GPU_FAMILY/NVIDIA_H100=2")
    info = await quotas.ok("GET", f"{INFOS}/{FAMILY}")
    assert limits(info, region="us-east4", gpu_family="NVIDIA_H100") == ["2", "16", "0"]
    assert limits(info, region="us-east4", gpu_family="NVIDIA_H200") == ["16", "0"]
    region = await quotas.ok("GET", "/compute/v1/projects/demo-project/regions/us-east4")
    assert not [one for one in region["quotas"] if "FAMILY" in one["metric"] or one["metric"] == "NVIDIA_H100_GPUS"]

    await quotas.create_cluster(region="us-east4")
    config = {
        "machineType": "a3-highgpu-8g",
        "accelerators": [{"acceleratorCount": "8", "acceleratorType": "nvidia-h100-80gb"}],
    }
    pool = {"name": "h100", "initialNodeCount": 1, "locations": ["us-east4-c"], "config": config}
    path = "/container/v1/projects/demo-project/locations/us-east4/clusters/gke-west/nodePools"
    error = await quotas.refused(403, "POST", path, {"nodePool": pool})
    assert "resource \"GPUS_PER_GPU_FAMILY\": request requires '8.0' and is short '6.0'" in error["message"]

    settings.put(quotas.world, "quota.us-east4.GPUS_PER_GPU_FAMILY/NVIDIA_H100=8")
    settings.put(quotas.world, "quota.us-east4.LOCAL_SSD_TOTAL_GB_PER_VM_FAMILY/A3=3000")
    info = await quotas.ok("GET", f"{INFOS}/LOCAL-SSD-TOTAL-GB-PER-VM-FAMILY-per-project-region")
    assert limits(info, region="us-east4", vm_family="A3") == ["3000", "40960", "0"]
    error = await quotas.refused(403, "POST", path, {"nodePool": pool})
    assert "\"LOCAL_SSD_TOTAL_GB_PER_VM_FAMILY\": request requires '6000.0' and is short '3000.0'" in error["message"]


@pytest.mark.parametrize("version", ["v1", "v1beta"])
async def test_gcloud_and_the_library_ask_under_different_versions(quotas: Any, version: str) -> None:
    found = await quotas.ok("GET", INFOS.replace("/v1/", f"/{version}/"), pageSize="10")
    assert len(found["quotaInfos"]) == 10
    following = await quotas.ok("GET", INFOS, pageSize="10", pageToken=found["nextPageToken"])
    assert following["quotaInfos"][0]["quotaId"] not in [one["quotaId"] for one in found["quotaInfos"]]


async def test_what_there_is_not_is_404_and_an_api_that_is_off_says_so(cloud: Any) -> None:
    cloud.world.tables["services"]["cloudquotas.googleapis.com"] = {"state": "DISABLED"}
    error = await cloud.refused(403, "GET", f"{INFOS}/{H100}")
    assert error["details"][0]["reason"] == "SERVICE_DISABLED"
    cloud.enable("cloudquotas")
    await cloud.refused(404, "GET", f"{INFOS}/LUNCH-per-project")
    await cloud.refused(404, "GET", f"{AT}/quotaPreferences/none")


def wanted(value: object, **more: Any) -> dict[str, Any]:
    return {
        "service": "compute.googleapis.com",
        "quotaId": H100,
        "dimensions": {"region": "us-east4"},
        "quotaConfig": {"preferredValue": value},
        "contactEmail": "rehearsal@example.com",
    } | more


async def test_a_request_for_more_is_granted_after_a_while_and_then_holds(quotas: Any) -> None:
    settings.put(quotas.world, "quota.us-east4.PREEMPTIBLE_NVIDIA_H100_GPUS=0")
    path = f"{AT}/quotaPreferences"
    asked = await quotas.ok("POST", path, wanted("6"), quotaPreferenceId="h100")
    assert asked["reconciling"] is True
    assert "grantedValue" not in asked["quotaConfig"]
    assert limits(await quotas.ok("GET", f"{INFOS}/{H100}"), region="us-east4") == ["0"]
    assert len((await quotas.ok("GET", path, filter="reconciling=true"))["quotaPreferences"]) == 1

    quotas.now += 600
    granted = await quotas.ok("GET", f"{path}/h100")
    assert (granted["reconciling"], granted["quotaConfig"]["grantedValue"]) == (False, "6")
    assert limits(await quotas.ok("GET", f"{INFOS}/{H100}"), region="us-east4") == ["6"]
    region = await quotas.ok("GET", "/compute/v1/projects/demo-project/regions/us-east4")
    assert {"metric": "PREEMPTIBLE_NVIDIA_H100_GPUS", "limit": 6.0, "usage": 0.0} in region["quotas"]
    assert await quotas.ok("GET", path, filter="reconciling=true") == {}

    await quotas.refused(409, "POST", path, wanted("8"), quotaPreferenceId="h100-again")
    more = {"quotaConfig": {"preferredValue": "8"}}
    await quotas.refused(400, "PATCH", f"{path}/h100", more)
    again = await quotas.ok("PATCH", f"{path}/h100", more | {"contactEmail": "rehearsal@example.com"})
    assert (again["reconciling"], again["quotaConfig"]["grantedValue"]) == (True, "6")
    assert "contactEmail" not in again
    quotas.now += 600
    assert limits(await quotas.ok("GET", f"{INFOS}/{H100}"), region="us-east4") == ["8"]


async def test_an_email_address_is_wanted_for_more_and_not_for_less(quotas: Any) -> None:
    settings.put(quotas.world, "quota.us-east4.PREEMPTIBLE_NVIDIA_H100_GPUS=4")
    path = f"{AT}/quotaPreferences"
    error = await quotas.refused(400, "POST", path, wanted("6", contactEmail=""), quotaPreferenceId="h100")
    assert error["details"][0]["fieldViolations"][0]["field"] == "quota_preference.contact_email"
    await quotas.ok("POST", path, wanted("2", contactEmail=""), quotaPreferenceId="h100")


@pytest.mark.parametrize(
    "body",
    [
        wanted("many"),
        wanted([1]),
        wanted("6", service="run.googleapis.com"),
        wanted("6", dimensions={"region": "mars"}),
        wanted("6", dimensions={"zone": "us-east4-c"}),
        wanted("6", dimensions=["region"]),
        {},
    ],
)
async def test_a_request_that_makes_no_sense_is_400(quotas: Any, body: dict[str, Any]) -> None:
    await quotas.refused(400, "POST", f"{AT}/quotaPreferences", body, quotaPreferenceId="h100")
