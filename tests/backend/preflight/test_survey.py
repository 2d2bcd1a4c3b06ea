"""Checks against an emulated world: one thing is wrong at a time, and exactly that one is found."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from backend.clients import Clients, quotas
from backend.clients.compute import Compute
from backend.clients.connect import emulated
from backend.emulator import faults
from backend.preflight import CHECKS, Survey, Topic, Verdict, readings
from tests.backend.preflight.conftest import Surveyed, spec_of

H100 = "PREEMPTIBLE_NVIDIA_H100_GPUS"
MODEL = "meta-llama/Llama-3.1-8B-Instruct"
FAULTS = {
    f"quota.us-east4.{H100}=0": f"quota/us-east4/{H100}",
    "quota.us-east4.C2_CPUS=24": "quota/us-east4/C2_CPUS",
    "quota.global.GPUS_ALL_REGIONS=1": "quota/global/GPUS_ALL_REGIONS",
    "iam.deny=container.pods.proxy": "permission/container.pods.proxy",
    f"model.{MODEL}.gated=refused": "huggingface/model",
    f"model.{MODEL}.gated=awaiting": "huggingface/model",
    f"model.{MODEL}=absent": "huggingface/model",
    "model.Kawon/llama3.1-food-finetune_v14_r8=absent": "huggingface/adapter/food-review-1",
    "capacity.us-east4-a.a3-highgpu-2g=0": "capacity/us-east4/a3-highgpu-2g",
    "versions.us-east4.RAPID=1.33.2-gke.1000": "version/gke/us-east4",
    "billing=disabled": "billing",
    "policy.compute.vmExternalIpAccess=deny": "policy/compute.vmExternalIpAccess",
    "policy.iam.disableServiceAccountCreation=enforced": "policy/iam.disableServiceAccountCreation",
}
"""What is set in the world, and the one check that must fail."""


async def test_nothing_fails_in_a_healthy_world(healthy: Surveyed) -> None:
    found = await healthy.found()
    told = {one.id: one.message for one in found.values() if one.status in {Verdict.FAIL, Verdict.UNKNOWN}}
    assert told == {}
    assert {one.topic for one in found.values()} == set(Topic)
    assert len(found) > 100


async def test_a_new_project_has_unknowns_and_no_failure(fresh: Surveyed) -> None:
    found = await fresh.found()
    assert found["api/compute.googleapis.com"].status is Verdict.WARN
    unknown = [one for one in found.values() if one.status is Verdict.UNKNOWN]
    assert unknown
    assert all(one.once_enabled and one.fix for one in unknown)
    assert not [one for one in found.values() if one.status is Verdict.FAIL]


@pytest.mark.parametrize(("setting", "check"), FAULTS.items(), ids=FAULTS)
async def test_one_thing_wrong_fails_one_check(healthy: Surveyed, setting: str, check: str) -> None:
    healthy.set(setting)
    found = await healthy.found()
    failing = [one for one in found.values() if one.status is Verdict.FAIL]
    assert [one.id for one in failing] == [check]
    assert failing[0].why
    assert failing[0].fix
    healthy.set(f"{setting.partition('=')[0]}=usual")
    assert (await healthy.found())[check].status is Verdict.OK


async def test_an_api_that_cannot_be_turned_on_fails(fresh: Surveyed) -> None:
    fresh.set("iam.deny=serviceusage.services.enable")
    found = await fresh.found(topics=(Topic.PROJECT,))
    assert found["api/compute.googleapis.com"].status is Verdict.FAIL
    fix = found["api/compute.googleapis.com"].fix or ""
    grant, _, enable = fix.partition(" && ")
    assert "--role=roles/serviceusage.serviceUsageAdmin" in grant
    assert enable == "gcloud services enable compute.googleapis.com --project=demo-project"


async def test_capacity_names_a_neighbour_that_has_some(healthy: Surveyed) -> None:
    healthy.set("capacity.us-east4-a.a3-highgpu-2g=0")
    finding = (await healthy.found(topics=(Topic.GPU,)))["capacity/us-east4/a3-highgpu-2g"]
    assert "us-east4-b likely" in finding.message
    assert finding.fix == "mcig doctor two-region-h100 --set 'clusters.gke-east.gpu_pool.zones=[us-east4-b]'"
    assert await healthy.failing("clusters.gke-east.gpu_pool.zones=[us-east4-b]") == []
    moving_on = await healthy.found("on_stockout=next-zone", topics=(Topic.GPU,))
    assert moving_on["capacity/us-east4/a3-highgpu-2g"].status is Verdict.WARN


async def test_a_network_that_is_not_there(healthy: Surveyed) -> None:
    finding = (await healthy.found("network.vpc=other"))["network/other"]
    assert finding.status is Verdict.FAIL
    assert finding.fix == "mcig doctor two-region-h100 --set network.vpc=default"


async def test_tokens(healthy: Surveyed) -> None:
    assert (await healthy.found(token=None))["huggingface/token"].status is Verdict.FAIL
    owner = await healthy.survey.token_owner(SecretStr("hf_rehearsal"))
    assert owner.valid
    assert owner.name
    healthy.set("huggingface.role=write")
    assert (await healthy.found())["huggingface/token"].status is Verdict.WARN
    healthy.set("huggingface.role=fineGrained-no-gated")
    assert await healthy.failing() == ["huggingface/model"]


async def test_no_finding_tells_the_token(healthy: Surveyed) -> None:
    secret = SecretStr("hf_thatNobodyMaySee")
    healthy.set(f"model.{MODEL}.gated=refused")
    found = await healthy.found(token=secret)
    assert secret.get_secret_value() not in repr(found)


async def test_regions_say_what_they_offer(healthy: Surveyed) -> None:
    healthy.set(f"quota.us-east4.{H100}=4")
    offers = {one.region: one for one in await healthy.survey.regions(spec_of(healthy.places), ["us-east1"])}
    west = offers["europe-west3"]
    assert west.zones == ("europe-west3-c",)
    assert (west.needed, west.fits, west.capacity) == (6.0, True, "likely")
    assert west.usd_per_hour == pytest.approx(3 * 18.376)
    assert west.price_date is not None
    assert (offers["us-east4"].limit, offers["us-east4"].fits) == (4.0, False)
    assert (offers["us-east1"].zones, offers["us-east1"].fits) == ((), False)
    assert offers["us-east1"].instead[0] in {"us-east4", "us-east5"}
    assert len(offers) > 15


async def test_what_a_stack_has_already_is_not_asked_of_a_quota_twice(healthy: Surveyed) -> None:
    spec = spec_of(healthy.places)
    clients = Clients(emulated(healthy.emulator.url, healthy.emulator.world.token, project="demo-project"))
    config = {
        "machineType": "a3-highgpu-2g",
        "spot": True,
        "accelerators": [{"acceleratorType": "nvidia-h100-80gb", "acceleratorCount": "2"}],
    }
    pool = {"name": "h100", "initialNodeCount": 2, "locations": ["us-east4-a"], "config": config}
    path = "/v1/projects/demo-project/locations/us-east4/clusters"
    body = {"cluster": {"name": "gke-east", "nodePools": [pool]}}
    await clients._google.rest("container", "POST", path, body, doing="making a cluster")
    await clients.close()
    healthy.set(f"quota.us-east4.{H100}=6")
    offers = {one.region: one for one in await healthy.survey.regions(spec)}
    east, west = offers["us-east4"], offers["europe-west3"]
    assert (east.used, east.needed, east.fits) == (4.0, 2.0, True)
    assert (west.used, west.needed) == (0.0, 6.0)


async def test_a_spot_price_is_googles_own_and_told_where_the_plan_counts_another(healthy: Surveyed) -> None:
    assert (await healthy.found())["price/us-east4/a3-highgpu-2g"].status is Verdict.OK
    healthy.set("price.us-east4.a3-highgpu-2g=12.5")
    told = (await healthy.found())["price/us-east4/a3-highgpu-2g"]
    assert told.status is Verdict.WARN
    assert "$12.50/h" in told.message
    assert "the plan counts $8.9" in told.message
    offers = {one.region: one for one in await healthy.survey.regions(spec_of(healthy.places))}
    assert offers["us-east4"].usd_per_hour == pytest.approx(3 * 12.5)
    assert offers["us-east4"].price_date == datetime.now(UTC).date()


@pytest.mark.parametrize(
    ("project", "token", "check"), [("no-such-project", None, "project"), ("demo-project", "expired", "credentials")]
)
async def test_a_wrong_project_or_login_is_a_finding(
    fresh: Surveyed, project: str, token: str | None, check: str
) -> None:
    connection = emulated(fresh.emulator.url, token or fresh.emulator.world.token, project=project)
    clients = Clients(connection)
    survey = Survey(clients, places=fresh.places, environ={})
    found = await survey.findings(spec_of(fresh.places), topics=[Topic.PROJECT])
    assert [one.id for one in found if one.status is Verdict.FAIL] == [check]
    await survey.close()
    await clients.close()


async def test_what_only_follows_from_a_wrong_region_is_no_failure_of_its_own(healthy: Surveyed) -> None:
    east = "clusters.gke-east"
    found = await healthy.found(
        "beyond_catalog=true", f"{east}.region=us-east44", f"{east}.gpu_pool.zones=[us-east44-a]"
    )
    (failure,) = (one for one in found.values() if one.status is Verdict.FAIL)
    assert failure.id == "region/us-east44"
    assert failure.fix is not None
    assert failure.fix.endswith(f"--set {east}.region=us-east4 --set '{east}.gpu_pool.zones=[us-east4-a]'")
    lost = [one for one in found.values() if one.follows]
    assert {one.follows for one in lost} == {"region/us-east44"}
    kinds = {one.id.partition("/")[0] for one in lost}
    assert kinds == {"quota", "machine-type", "capacity", "price", "network", "version"}
    assert not [one.id for one in found.values() if one.status is Verdict.UNKNOWN and not one.follows]


def test_a_quota_without_a_limit_or_a_name_is_missing_and_not_zero() -> None:
    entries = [{"metric": "CPUS"}, {"limit": 3.0}, {"metric": "C2_CPUS", "limit": 8.0, "surprise": []}]
    assert quotas._quotas({"quotas": entries}) == {"C2_CPUS": quotas.Quota(8.0, 0.0)}
    entry = {"dimensions": {"region": "us-east4", "moon": "7"}, "details": {"value": "5"}}
    assert quotas.limit_of({"dimensionsInfos": [entry, {}]}, {"region": "us-east4"}) is None


async def test_an_api_that_never_answers_is_unknown(healthy: Surveyed, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_: Compute) -> object:
        return await asyncio.Event().wait()

    await healthy.survey._readings.networks()
    monkeypatch.setattr(readings, "LIMIT_S", 0.05)
    monkeypatch.setattr(Compute, "all_subnetworks", never)
    found = await healthy.found(topics=(Topic.NETWORK,))
    assert found["subnet/us-east4"].status is Verdict.UNKNOWN
    assert "no answer within" in found["subnet/us-east4"].message
    assert found["network/default"].status is Verdict.OK


async def test_a_region_without_an_answer_is_not_taken_for_empty(healthy: Surveyed) -> None:
    """A list of all locations then comes without that region's clusters, and says so (``missingZones``)."""
    healthy.set(f"quota.us-east4.{H100}=1", f"quota.europe-west3.{H100}=1")
    faults.add(healthy.emulator.world, "internal-error step=cluster region=us-east4", healthy.emulator.world.pace)
    found = await healthy.found(topics=(Topic.NETWORK, Topic.GPU))
    told = found["name/cluster/gke-east"]
    assert (told.status, told.cause) == (Verdict.UNKNOWN, "Kubernetes Engine has no answer from us-east4")
    assert found["name/cluster/gke-west"].status is Verdict.OK
    short = found[f"quota/us-east4/{H100}"]
    assert short.status is Verdict.UNKNOWN
    assert short.message.endswith(
        "short by 5, unless this stack uses it already: Kubernetes Engine has no answer from us-east4"
    )
    assert found[f"quota/europe-west3/{H100}"].status is Verdict.FAIL
    healthy.survey.refresh()
    assert (await healthy.found(topics=(Topic.NETWORK,)))["name/cluster/gke-east"].status is Verdict.OK


async def test_an_answer_that_is_nonsense_is_unknown(healthy: Surveyed, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nonsense(_: Compute) -> object:
        return [{"surprise": True}, 7]

    monkeypatch.setattr(Compute, "all_subnetworks", nonsense)
    found = await healthy.found(topics=(Topic.NETWORK,))
    assert found["subnet/REGION"].status is Verdict.UNKNOWN
    assert "could not be understood" in found["subnet/REGION"].message


async def test_checks_are_three_round_trips_deep_and_read_nothing_twice(
    healthy: Surveyed, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds, asked, waiting, running = 0, 0, list[asyncio.Future[None]](), set[asyncio.Future[None]]()
    read_within_limit = readings._within_limit

    async def in_step(read: Callable[[], Awaitable[object]]) -> object:
        nonlocal asked
        asked += 1
        begin, done = asyncio.Future[None](), asyncio.Future[None]()
        waiting.append(begin)
        await begin
        running.add(done)
        try:
            return await read_within_limit(read)
        finally:
            running.discard(done)
            done.set_result(None)

    monkeypatch.setattr(readings, "_within_limit", in_step)
    healthy.set("capacity.us-east4-a.a3-highgpu-2g=0")
    examined = asyncio.create_task(healthy.found())
    while not examined.done():
        for _ in range(50):
            await asyncio.sleep(0)
        if running:
            await asyncio.wait(set(running))
        elif waiting:
            rounds += 1
            released, waiting = waiting, []
            for one in released:
                one.set_result(None)
    assert (await examined)["capacity/us-east4/a3-highgpu-2g"].status is Verdict.FAIL
    assert rounds <= 3
    assert asked < 45


def test_every_check_is_told_of() -> None:
    assert all(check.reads and check.saves for check in CHECKS)
