"""Faults: what can be asked for, whom they hit, in which words, and for how long."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.emulator import control, faults
from backend.emulator.google.geography import ZONES
from backend.emulator.server import Emulator

REGION = "/container/v1/projects/demo-project/locations/europe-west3"
POOLS = f"{REGION}/clusters/gke-west/nodePools"
H100 = {
    "name": "h100",
    "initialNodeCount": 3,
    "locations": ["europe-west3-c"],
    "config": {
        "machineType": "a3-highgpu-2g",
        "spot": True,
        "accelerators": [{"acceleratorCount": "2", "acceleratorType": "nvidia-h100-80gb"}],
    },
}


def play(cloud: Any, fault: str) -> None:
    faults.add(cloud.world, fault, cloud.world.pace)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there is stockout, quota"),
        ("earthquake", "there is stockout, quota"),
        ("region-down zone=us-east4-a", "it takes after=..., limit=..., region=..."),
        ("rate-limited step=model-server", "model-server is no step"),
        ("stockout zone=mars", "mars is not a zone"),
        ("stockout region=mars", "mars is not a region"),
        ("stockout metric=X", "it takes after=..., region=..., times=..., zone=..."),
        ("stockout zone", "does not take 'zone'"),
        ("stockout times=0", "no whole number from 1"),
        ("stockout times=1.5", "no whole number from 1"),
        ("stockout after=-1", "no number from 0"),
        ("slow limit=0.5", "no number from 1"),
        ("slow limit=nan", "no number from 1"),
        ("rate-limited step=lunch", "there is services, iam, subnet"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(text: str, words: str) -> None:
    with pytest.raises(faults.FaultError, match=words.replace(".", r"\.")):
        faults.parse(text)


@st.composite
def told(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(sorted(faults.KINDS)))
    values = {
        "zone": st.sampled_from(sorted(ZONES)),
        "region": st.sampled_from(sorted(set(ZONES.values()))),
        "step": st.sampled_from([*faults.STEPS, "cluster/gke-west"]),
        "metric": st.just("C2_CPUS"),
        "limit": st.integers(1, 99).map(str),
        "times": st.integers(1, 99).map(str),
        "after": st.integers(0, 99).map(str),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(faults.KINDS[kind].parameters))))
    return " ".join([kind, *(f"{one}={draw(values[one])}" for one in sorted(chosen))])


@given(told())
def test_a_fault_says_itself_in_words_that_mean_the_same(text: str) -> None:
    fault = faults.parse(text)
    assert faults.parse(faults.words(fault)) == fault
    assert set(faults.words(fault).split()) == set(text.split())


async def test_a_stockout_goes_on_for_35_minutes_and_says_so_early(cloud: Any) -> None:
    await cloud.create_cluster()
    play(cloud, "stockout zone=europe-west3-c")
    operation = await cloud.ok("POST", POOLS, {"nodePool": H100})
    at = f"{REGION}/operations/{operation['name']}"
    assert "statusMessage" not in await cloud.ok("GET", at)
    assert "conditions" not in await cloud.ok("GET", f"{POOLS}/h100")

    cloud.now += 31
    running, pool = await cloud.ok("GET", at), await cloud.ok("GET", f"{POOLS}/h100")
    assert running["status"] == "RUNNING"
    assert "[GCE_STOCKOUT]: Instance 'gke-gke-west-h100-" in running["statusMessage"]
    assert (pool["status"], pool["conditions"][0]["code"]) == ("PROVISIONING", "GCE_STOCKOUT")
    refused = await cloud.refused(400, "DELETE", f"{POOLS}/h100")
    assert "is currently creating a node pool" in refused["message"]

    cloud.now += 34 * 60
    assert (await cloud.ok("GET", at))["status"] == "RUNNING"
    cloud.now += 60
    done, pool = await cloud.ok("GET", at), await cloud.ok("GET", f"{POOLS}/h100")
    assert (done["status"], done["error"]["code"], pool["status"]) == ("DONE", 8, "ERROR")
    assert done["error"]["message"].startswith(
        "Google Compute Engine: Not all instances running in IGM after 35m. Expected 3, running 0, transitioning 3. "
        "Current errors: [GCE_STOCKOUT]: Instance 'gke-gke-west-h100-"
    )
    assert done["error"]["message"].endswith(
        "creation failed: The zone 'projects/demo-project/zones/europe-west3-c' does not have enough resources "
        "available to fulfill the request.  Try a different zone, or try again later"
    )
    assert pool["statusMessage"] == done["error"]["message"]
    await cloud.ok("DELETE", f"{POOLS}/h100")


@pytest.mark.parametrize(
    ("fault", "pool"),
    [
        ("stockout zone=europe-west3-a", H100),
        ("stockout region=us-east4", H100),
        ("stockout after=60", H100),
        ("stockout", {"name": "plain", "initialNodeCount": 1, "config": {"machineType": "e2-standard-4"}}),
        ("stockout", H100 | {"initialNodeCount": 0}),
    ],
)
async def test_a_stockout_leaves_others_alone(cloud: Any, fault: str, pool: dict[str, Any]) -> None:
    await cloud.create_cluster()
    play(cloud, fault)
    await cloud.ok("POST", POOLS, {"nodePool": pool})
    cloud.now += 3600
    assert (await cloud.ok("GET", f"{POOLS}/{pool['name']}"))["status"] == "RUNNING"


async def test_a_fault_with_a_number_is_spent(cloud: Any) -> None:
    await cloud.create_cluster()
    play(cloud, "stockout times=1")
    for expected in ("ERROR", "RUNNING"):
        await cloud.ok("POST", POOLS, {"nodePool": H100})
        cloud.now += 3600
        assert (await cloud.ok("GET", f"{POOLS}/h100"))["status"] == expected
        await cloud.ok("DELETE", f"{POOLS}/h100")
        cloud.now += 3600
    (left,) = faults.listed(cloud.world)
    assert left["left"] == 0


async def test_a_lowered_quota_refuses_and_shows(cloud: Any) -> None:
    await cloud.create_cluster()
    play(cloud, "quota region=europe-west3 metric=PREEMPTIBLE_NVIDIA_H100_GPUS limit=4")
    error = await cloud.refused(403, "POST", POOLS, {"nodePool": H100})
    assert "request requires '6.0' and is short '2.0'. project has a quota of '4.0'" in error["message"]
    region = await cloud.ok("GET", "/compute/v1/projects/demo-project/regions/europe-west3")
    assert {"metric": "PREEMPTIBLE_NVIDIA_H100_GPUS", "limit": 4.0, "usage": 0.0} in region["quotas"]


@pytest.mark.parametrize(
    ("fault", "code", "status", "words"),
    [
        ("operation-busy", 400, "FAILED_PRECONDITION", "Please wait and try again once it is done."),
        ("too-many-operations", 429, "RESOURCE_EXHAUSTED", 'cluster "gke-west" hits the concurrent operations quota 5'),
        ("rate-limited", 429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'Read requests'"),
        ("permission-denied", 403, "PERMISSION_DENIED", 'Required "container.clusters.update" permission(s) for "'),
        ("service-disabled", 403, "PERMISSION_DENIED", "Kubernetes Engine API has not been used in project"),
        ("internal-error", 500, "INTERNAL", "Internal error encountered."),
        ("already-exists", 409, "ALREADY_EXISTS", "locations/europe-west3/clusters/gke-west/nodePools/h100."),
    ],
)
async def test_refusals_use_the_words_of_the_api(cloud: Any, fault: str, code: int, status: str, words: str) -> None:
    await cloud.create_cluster()
    play(cloud, f"{fault} step=node-pool/gke-west/h100 region=europe-west3 times=1")
    error = await cloud.refused(code, "POST", POOLS, {"nodePool": H100})
    assert error["status"] == status
    assert words in error["message"]
    known = await cloud.ok("GET", POOLS)
    assert ("h100" in [pool["name"] for pool in known["nodePools"]]) is (fault == "already-exists")


async def test_a_fault_of_one_step_does_not_hit_another(cloud: Any) -> None:
    await cloud.create_cluster()
    play(cloud, "permission-denied step=membership")
    play(cloud, "internal-error step=cluster/other")
    play(cloud, "rate-limited step=cluster region=us-east4")
    await cloud.ok("GET", f"{REGION}/clusters/gke-west")
    await cloud.ok("POST", POOLS, {"nodePool": H100})
    await cloud.refused(403, "GET", "/gkehub/v1/projects/demo-project/locations/-/memberships")


async def test_a_thing_is_not_found_once(cloud: Any) -> None:
    await cloud.create_cluster()
    play(cloud, "not-found step=cluster")
    error = await cloud.refused(404, "GET", f"{REGION}/clusters/gke-west")
    assert error["message"] == "Not found: projects/demo-project/locations/europe-west3/clusters/gke-west."
    await cloud.ok("GET", f"{REGION}/clusters/gke-west")


async def test_a_subnet_conflict_names_the_range(cloud: Any) -> None:
    play(cloud, "subnet-conflict region=us-east4 times=1")
    body = {
        "name": "us-east4-subnet",
        "ipCidrRange": "192.168.0.0/23",
        "purpose": "GLOBAL_MANAGED_PROXY",
        "role": "ACTIVE",
        "network": "projects/demo-project/global/networks/default",
    }
    at = "/compute/v1/projects/demo-project/regions/us-east4/subnetworks"
    error = await cloud.refused(400, "POST", at, body)
    assert "Invalid IPCidrRange: 192.168.0.0/23 conflicts with existing subnetwork" in error["message"]
    await cloud.ok("POST", at, body)


async def test_compute_engine_refuses_too_many_requests_with_403(cloud: Any) -> None:
    play(cloud, "rate-limited step=subnet times=1")
    error = await cloud.refused(403, "GET", "/compute/v1/projects/demo-project/aggregated/subnetworks")
    assert error["errors"][0]["reason"] == "rateLimitExceeded"
    assert error["details"][0]["reason"] == "RATE_LIMIT_EXCEEDED"
    assert "of service 'compute.googleapis.com'" in error["message"]


async def test_slow_operations_take_longer(cloud: Any) -> None:
    await cloud.create_cluster()
    play(cloud, "slow step=node-pool limit=4")
    operation = await cloud.ok("POST", POOLS, {"nodePool": H100})
    cloud.now += 301
    assert (await cloud.ok("GET", f"{REGION}/operations/{operation['name']}"))["status"] == "RUNNING"
    cloud.now += 900
    assert (await cloud.ok("GET", f"{REGION}/operations/{operation['name']}"))["status"] == "DONE"


async def test_faults_outlive_the_process(tmp_path: Path) -> None:
    async with Emulator(tmp_path) as first:
        faults.add(first.world, "stockout zone=europe-west3-c times=2", first.world.pace)
        before = faults.listed(first.world)
    async with Emulator(tmp_path) as second:
        assert faults.listed(second.world) == before
        await second.reset()
        assert faults.listed(second.world) == []


@pytest.fixture
def instance(emulator: Emulator, tmp_path: Path) -> Iterator[control.Instance]:
    yield control.Instance(emulator.url, emulator.token, 0, 0.0, emulator.ca_file, tmp_path)


async def test_faults_are_added_listed_and_cleared_from_outside(instance: control.Instance) -> None:
    added = await asyncio.to_thread(control.add_fault, instance, "stockout zone=europe-west3-c")
    assert added == {
        "fault": "stockout zone=europe-west3-c",
        "kind": "stockout",
        "zone": "europe-west3-c",
        "left": None,
    }
    await asyncio.to_thread(control.add_fault, instance, "internal-error")
    await asyncio.to_thread(control.add_fault, instance, "stockout zone=europe-west3-c")
    listed = await asyncio.to_thread(control.faults, instance)
    assert [fault["fault"] for fault in listed] == ["internal-error", "stockout zone=europe-west3-c"]
    assert (await asyncio.to_thread(control.status, instance))["faults"] == json.loads(json.dumps(listed))
    with pytest.raises(control.WrongWish, match="there is no fault 'nope'; there is stockout"):
        await asyncio.to_thread(control.add_fault, instance, "nope")
    await asyncio.to_thread(control.clear_faults, instance)
    assert await asyncio.to_thread(control.faults, instance) == []


async def test_a_request_may_find_nobody(cloud: Any) -> None:
    play(cloud, "timeout step=compute limit=0")
    error = await cloud.refused(504, "GET", "/compute/v1/projects/demo-project/regions")
    assert error["status"] == "DEADLINE_EXCEEDED"
    await cloud.ok("GET", "/compute/v1/projects/demo-project/regions")


async def test_a_silent_api_keeps_its_caller_waiting(cloud: Any) -> None:
    play(cloud, "timeout step=cloudquotas")
    cloud.enable("cloudquotas")
    path = "/cloudquotas/v1/projects/demo-project/locations/global/quotaPreferences"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await cloud.ok("GET", path)
    await cloud.ok("GET", path)


async def test_a_lost_connection_shows_at_the_fleets_feature(cloud: Any) -> None:
    fleet = "/gkehub/v1/projects/demo-project/locations/global"
    link = "//container.googleapis.com/projects/demo-project/locations/{}/clusters/{}"
    for name, region in (("gke-west", "europe-west3"), ("gke-east", "us-east4")):
        await cloud.create_cluster(name, region)
        member = {"endpoint": {"gkeCluster": {"resourceLink": link.format(region, name)}}}
        await cloud.ok("POST", f"{fleet}/memberships", member, membershipId=name)
    cloud.now += 3600
    config = {"configMembership": "projects/demo-project/locations/global/memberships/gke-west"}
    wanted = {"spec": {"multiclusteringress": config}}
    await cloud.ok("POST", f"{fleet}/features", wanted, featureId="multiclusteringress")
    for _ in range(2):
        cloud.now += 3600
        await cloud.ok("GET", f"{fleet}/features")
    play(cloud, "membership-lost-connection region=us-east4")
    feature = await cloud.ok("GET", f"{fleet}/features/multiclusteringress")
    states = {name.rpartition("/")[2]: one["state"] for name, one in feature["membershipStates"].items()}
    assert (states["gke-west"]["code"], states["gke-east"]["code"]) == ("OK", "ERROR")
    assert states["gke-east"]["description"] == "Lost connection"


def test_a_metric_is_missing_where_it_was_said(cloud: Any) -> None:
    play(cloud, "metric-missing region=us-east4")
    assert faults.unreported(cloud.world, "europe-west3") == ()
    assert faults.unreported(cloud.world, "us-east4") == faults.KV_USE
    play(cloud, "metric-missing metric=vllm:num_requests_waiting")
    assert faults.unreported(cloud.world, "europe-west3") == ("vllm:num_requests_waiting",)
