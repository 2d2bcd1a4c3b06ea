from __future__ import annotations

import ipaddress
import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.emulator.google import subnetworks
from backend.emulator.google.errors import ApiError
from backend.emulator.google.geography import AUTO_SUBNETS, MACHINES, REGIONS, ZONES
from backend.emulator.google.routing import Call
from backend.emulator.pace import Pace
from backend.emulator.world import World

PROJECT = "/compute/v1/projects/demo-project"
NETWORK = "https://www.googleapis.com/compute/v1/projects/demo-project/global/networks/default"


def proxy_only(name: str = "proxies", cidr: str = "10.0.0.0/23", **fields: str) -> dict[str, str]:
    base = {"name": name, "ipCidrRange": cidr, "network": NETWORK, "purpose": "GLOBAL_MANAGED_PROXY", "role": "ACTIVE"}
    return base | fields


async def test_a_region_shows_zones_and_what_is_used_of_its_quotas(cloud: Any) -> None:
    await cloud.create_cluster()
    region = await cloud.ok("GET", f"{PROJECT}/regions/europe-west3")
    assert [zone.rpartition("/")[2] for zone in region["zones"]] == list(REGIONS["europe-west3"])
    quotas = {one["metric"]: one for one in region["quotas"]}
    assert quotas["CPUS"]["usage"] == 12
    assert quotas["PREEMPTIBLE_NVIDIA_H100_GPUS"]["limit"] >= 6
    assert quotas["C2_CPUS"]["limit"] >= 144
    other = await cloud.ok("GET", f"{PROJECT}/regions/us-east4")
    assert {one["metric"]: one["usage"] for one in other["quotas"]}["CPUS"] == 0
    await cloud.refused(404, "GET", f"{PROJECT}/regions/moon-1")


async def test_the_project_has_global_quotas(cloud: Any) -> None:
    project = await cloud.ok("GET", PROJECT)
    assert {"GPUS_ALL_REGIONS", "CPUS_ALL_REGIONS"} <= {one["metric"] for one in project["quotas"]}


async def test_a_machine_type_is_where_it_is(cloud: Any) -> None:
    machine = await cloud.ok("GET", f"{PROJECT}/zones/europe-west3-c/machineTypes/a3-highgpu-2g")
    assert machine["accelerators"] == [{"guestAcceleratorType": "nvidia-h100-80gb", "guestAcceleratorCount": 2}]
    assert (machine["guestCpus"], machine["memoryMb"]) == (52, 468 * 1024)
    await cloud.refused(404, "GET", f"{PROJECT}/zones/europe-west3-a/machineTypes/a3-highgpu-2g")
    await cloud.refused(404, "GET", f"{PROJECT}/zones/europe-west3-q/machineTypes")


@pytest.mark.parametrize(
    "text", ['name eq ".*\\ba3\\-highgpu\\-2g\\b.*"', "name = a3-highgpu-2g", 'name="a3-highgpu-2g"']
)
async def test_lists_are_filtered(cloud: Any, text: str) -> None:
    answer = await cloud.ok("GET", f"{PROJECT}/zones/us-east4-a/machineTypes", filter=text)
    assert [one["name"] for one in answer["items"]] == ["a3-highgpu-2g"]


async def test_a_filter_that_is_none_is_refused(cloud: Any) -> None:
    await cloud.refused(400, "GET", f"{PROJECT}/zones/us-east4-a/machineTypes", filter="name ~~ x AND")


async def test_accelerator_types_of_all_zones(cloud: Any) -> None:
    answer = await cloud.ok("GET", f"{PROJECT}/aggregated/acceleratorTypes", includeAllScopes="True")
    assert set(answer["items"]) == {f"zones/{zone}" for zone in ZONES}
    names = {one["name"] for one in answer["items"]["zones/us-east4-a"]["acceleratorTypes"]}
    assert "nvidia-h100-80gb" in names
    assert answer["items"]["zones/us-west2-a"]["warning"]["code"] == "NO_RESULTS_ON_PAGE"


async def test_the_default_network_is_automatic(cloud: Any) -> None:
    network = await cloud.ok("GET", f"{PROJECT}/global/networks/default")
    assert network["autoCreateSubnetworks"] is True
    assert len(network["subnetworks"]) == len(AUTO_SUBNETS)
    await cloud.refused(404, "GET", f"{PROJECT}/global/networks/other")
    answer = await cloud.ok("GET", f"{PROJECT}/regions/us-east4/subnetworks")
    assert [(one["name"], one["ipCidrRange"]) for one in answer["items"]] == [("default", "10.150.0.0/20")]


async def test_a_proxy_only_subnetwork_is_made_waited_for_and_deleted(cloud: Any) -> None:
    subnets = f"{PROJECT}/regions/us-east4/subnetworks"
    operation = await cloud.ok("POST", subnets, proxy_only(description="managed-by=mcig"))
    assert operation["status"] == "RUNNING"
    assert "state" not in await cloud.ok("GET", f"{subnets}/proxies")
    cloud.now += 16
    done = await cloud.ok("POST", f"{PROJECT}/regions/us-east4/operations/{operation['name']}/wait")
    assert (done["status"], done["operationType"]) == ("DONE", "insert")
    subnet = await cloud.ok("GET", f"{subnets}/proxies")
    assert (subnet["state"], subnet["role"], subnet["purpose"]) == ("READY", "ACTIVE", "GLOBAL_MANAGED_PROXY")
    assert subnet["description"] == "managed-by=mcig"
    assert subnet["fingerprint"]
    everywhere = await cloud.ok("GET", f"{PROJECT}/aggregated/subnetworks")
    assert len(everywhere["items"]["regions/us-east4"]["subnetworks"]) == 2
    operation = await cloud.ok("DELETE", f"{subnets}/proxies")
    cloud.now += 21
    assert (await cloud.ok("GET", f"{PROJECT}/regions/us-east4/operations/{operation['name']}"))["status"] == "DONE"
    await cloud.refused(404, "GET", f"{subnets}/proxies")


async def test_a_wait_lasts_until_the_operation_is_done(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        cloud.now += seconds

    operation = await cloud.ok("POST", f"{PROJECT}/regions/us-east4/subnetworks", proxy_only())
    monkeypatch.setattr("backend.emulator.google.compute_operations.asyncio.sleep", sleep)
    done = await cloud.ok("POST", f"{PROJECT}/regions/us-east4/operations/{operation['name']}/wait")
    assert done["status"] == "DONE"
    assert 15.0 in slept


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"ipCidrRange": "10.150.0.0/23"}, "cannot overlap with 10.128.0.0/9"),
        ({"ipCidrRange": "10.0.0.1/23"}, "Must be a CIDR address range"),
        ({"ipCidrRange": "10.0.0.0/30"}, "prefix length"),
        ({"role": "UNSPECIFIED_ROLE"}, "Subnetwork role must be specified when purpose set to GLOBAL_MANAGED_PROXY."),
        ({"purpose": "PROXIES"}, "Must be one of"),
        ({"network": "global/networks/other"}, "The referenced network resource cannot be found."),
        ({"name": "Upper"}, "Must be a match of regex"),
        ({"logConfig": {"enable": False}}, "Invalid field set in subnetwork with purpose GLOBAL_MANAGED_PROXY."),
        ({"subnet": "x"}, 'Unknown name "subnet"'),
    ],
)
async def test_a_subnetwork_that_cannot_be_is_refused(cloud: Any, fields: dict[str, Any], words: str) -> None:
    error = await cloud.refused(400, "POST", f"{PROJECT}/regions/us-east4/subnetworks", proxy_only(**fields))
    assert words in error["message"]


async def test_one_active_proxy_only_subnetwork_per_region(cloud: Any) -> None:
    subnets = f"{PROJECT}/regions/us-east4/subnetworks"
    await cloud.ok("POST", subnets, proxy_only())
    error = await cloud.refused(409, "POST", subnets, proxy_only())
    assert (
        error["message"] == "The resource 'projects/demo-project/regions/us-east4/subnetworks/proxies' already exists"
    )
    await cloud.refused(400, "POST", subnets, proxy_only("other", "10.2.0.0/23"))
    regional = proxy_only("other", "10.2.0.0/23", purpose="REGIONAL_MANAGED_PROXY")
    assert (
        "purpose GLOBAL_MANAGED_PROXY and role ACTIVE"
        in (await cloud.refused(400, "POST", subnets, regional))["message"]
    )
    await cloud.ok("POST", f"{PROJECT}/regions/europe-west3/subnetworks", regional)


async def test_the_pods_of_a_cluster_take_a_range(cloud: Any) -> None:
    cluster = await cloud.create_cluster()
    pods = ipaddress.IPv4Network(cluster["clusterIpv4Cidr"])
    taken = str(next(pods.subnets(new_prefix=23)))
    error = await cloud.refused(400, "POST", f"{PROJECT}/regions/us-east4/subnetworks", proxy_only(cidr=taken))
    words = f"Invalid IPCidrRange: {taken} conflicts with existing subnetwork 'default' in region 'europe-west3'."
    assert words in error["message"]
    other = await cloud.create_cluster("gke-east", "us-east4")
    assert not pods.overlaps(ipaddress.IPv4Network(other["clusterIpv4Cidr"]))


async def test_a_subnetwork_under_a_gateway_is_in_use(cloud: Any) -> None:
    subnets = f"{PROJECT}/regions/us-east4/subnetworks"
    await cloud.ok("POST", subnets, proxy_only())
    cloud.now += 60
    rule = "https://www.googleapis.com/compute/v1/projects/demo-project/global/forwardingRules/gkemcg1-x"
    cloud.world.tables["forwardingRules"]["global/gkemcg1-x"] = {
        "name": "gkemcg1-x",
        "selfLink": rule,
        "loadBalancingScheme": "INTERNAL_MANAGED",
        "subnetwork": f"https://www.googleapis.com{PROJECT}/regions/us-east4/subnetworks/default",
    }
    error = await cloud.refused(400, "DELETE", f"{subnets}/proxies")
    assert error["errors"][0]["reason"] == "resourceInUseByAnotherResource"
    assert error["message"] == (
        "The subnetwork resource 'projects/demo-project/regions/us-east4/subnetworks/proxies' is already being used by "
        "'projects/demo-project/global/forwardingRules/gkemcg1-x'"
    )
    assert (await cloud.ok("GET", f"{PROJECT}/global/forwardingRules"))["items"][0]["name"] == "gkemcg1-x"
    assert (await cloud.ok("GET", f"{PROJECT}/global/forwardingRules/gkemcg1-x"))["selfLink"] == rule
    await cloud.refused(404, "GET", f"{PROJECT}/global/urlMaps/gkemcg1-x")
    cloud.world.tables["forwardingRules"].clear()
    await cloud.ok("DELETE", f"{subnets}/proxies")


async def test_the_automatic_subnetwork_stays(cloud: Any) -> None:
    error = await cloud.refused(400, "DELETE", f"{PROJECT}/regions/us-east4/subnetworks/default")
    assert error["message"] == "Cannot delete auto subnetwork from an auto subnet mode network."


@settings(max_examples=25, deadline=None)
@given(
    wanted=st.lists(
        st.tuples(st.sampled_from(sorted(REGIONS)), st.integers(0, 2**16 - 1), st.integers(12, 26)),
        min_size=2,
        max_size=8,
    )
)
def test_ranges_of_a_network_never_overlap(tmp_path_factory: pytest.TempPathFactory, wanted: list[Any]) -> None:
    world = World(Path("unused"), token="", pace=Pace(), clock=lambda: 0.0)
    for number, (region, high, prefix) in enumerate(wanted):
        cidr = ipaddress.IPv4Network(((10 << 24) | (high << 8), prefix), strict=False)
        body = {"name": f"s{number}", "ipCidrRange": str(cidr), "network": NETWORK}
        taken = [network for network, _, _ in subnetworks.ranges(world)]
        try:
            subnetworks.insert_subnet(Call(world, {"region": region}, {}, body))
        except ApiError:
            automatic = cidr.overlaps(ipaddress.IPv4Network("10.128.0.0/9"))
            assert automatic or any(cidr.overlaps(one) for one in taken)
    free = ipaddress.IPv4Network(subnetworks.free_range(world, 20))
    everything = [network for network, _, _ in subnetworks.ranges(world)] + [free]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(everything, 2))


def test_every_shape_has_a_known_home() -> None:
    homes = {zone for machine in MACHINES.values() for zone in machine.zones or ()}
    assert homes <= set(ZONES)
