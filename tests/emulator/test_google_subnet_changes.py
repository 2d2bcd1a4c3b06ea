"""What can be changed of a subnetwork that exists, of the network's own and of people's."""

from __future__ import annotations

from typing import Any

import pytest

REGION = "/compute/v1/projects/demo-project/regions/us-east4"
NETWORK = "https://www.googleapis.com/compute/v1/projects/demo-project/global/networks/default"
OWN = f"{REGION}/subnetworks/mine"
GIVEN = f"{REGION}/subnetworks/default"


async def make(cloud: Any, name: str = "mine", cidr: str = "10.9.0.0/24", **fields: Any) -> None:
    await cloud.ok("POST", f"{REGION}/subnetworks", {"name": name, "network": NETWORK, "ipCidrRange": cidr, **fields})
    cloud.now += 600


async def patched(cloud: Any, subnet: str, **fields: Any) -> dict[str, Any]:
    before = await cloud.ok("GET", subnet)
    url_safe = before["fingerprint"].replace("+", "-").replace("/", "_")
    await cloud.ok("PATCH", subnet, {"fingerprint": url_safe, **fields})
    cloud.now += 600
    after: dict[str, Any] = await cloud.ok("GET", subnet)
    assert after["fingerprint"] != before["fingerprint"]
    return after


@pytest.mark.parametrize("subnet", [OWN, GIVEN])
async def test_machines_get_access_and_more_room(cloud: Any, subnet: str) -> None:
    await make(cloud)
    operation = await cloud.ok("POST", f"{subnet}/setPrivateIpGoogleAccess", {"privateIpGoogleAccess": True})
    assert (await cloud.ok("GET", subnet))["privateIpGoogleAccess"] is False
    error = await cloud.refused(400, "POST", f"{subnet}/setPrivateIpGoogleAccess", {"privateIpGoogleAccess": True})
    assert error["errors"][0]["reason"] == "resourceNotReady"
    cloud.now += 600
    assert (await cloud.ok("GET", f"{REGION}/operations/{operation['name']}"))["status"] == "DONE"
    assert (await cloud.ok("GET", subnet))["privateIpGoogleAccess"] is True

    wider = {OWN: "10.9.0.0/22", GIVEN: "10.150.0.0/18"}[subnet]
    await cloud.ok("POST", f"{subnet}/expandIpCidrRange", {"ipCidrRange": wider})
    cloud.now += 600
    found = await cloud.ok("GET", subnet)
    assert (found["ipCidrRange"], found["privateIpGoogleAccess"]) == (wider, True)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("10.9.0.0/25", "larger"),
        ("10.9.0.0/24", "larger"),
        ("10.7.0.0/22", "larger"),
        ("10.8.0.0/14", "conflicts with existing subnetwork 'neighbour'"),
        ("10.150.0.0/20", "cannot overlap"),
        ("nonsense", "Must be a CIDR"),
    ],
)
async def test_a_range_only_grows_and_never_into_another(cloud: Any, wanted: str, words: str) -> None:
    await make(cloud)
    await make(cloud, "neighbour", "10.11.0.0/24")
    error = await cloud.refused(400, "POST", f"{OWN}/expandIpCidrRange", {"ipCidrRange": wanted})
    assert words in error["message"]


async def test_a_backup_becomes_active_and_the_other_steps_back(cloud: Any) -> None:
    proxy = {"purpose": "GLOBAL_MANAGED_PROXY"}
    await make(cloud, "first", "192.168.0.0/23", role="ACTIVE", **proxy)
    await make(cloud, "second", "192.168.2.0/23", role="BACKUP", **proxy)
    assert (await patched(cloud, f"{REGION}/subnetworks/second", role="ACTIVE"))["role"] == "ACTIVE"
    assert (await cloud.ok("GET", f"{REGION}/subnetworks/first"))["role"] == "BACKUP"
    first = await cloud.ok("GET", f"{REGION}/subnetworks/second")
    wanted = {"fingerprint": first["fingerprint"], "role": "BACKUP"}
    await cloud.refused(400, "PATCH", f"{REGION}/subnetworks/second", wanted)


@pytest.mark.parametrize("subnet", [OWN, GIVEN])
async def test_secondary_ranges_are_those_that_a_patch_names(cloud: Any, subnet: str) -> None:
    await make(cloud)
    pods = {"rangeName": "pods", "ipCidrRange": "10.99.0.0/20"}
    assert (await patched(cloud, subnet, secondaryIpRanges=[pods]))["secondaryIpRanges"] == [pods]
    taken = {"rangeName": "others", "ipCidrRange": "10.99.8.0/24"}
    now = (await cloud.ok("GET", subnet))["fingerprint"]
    error = await cloud.refused(400, "PATCH", subnet, {"fingerprint": now, "secondaryIpRanges": [pods, taken]})
    assert "conflicts with" in error["message"]
    assert (await patched(cloud, subnet, secondaryIpRanges=[])).get("secondaryIpRanges", []) == []


async def test_pod_ranges_of_a_cluster_stay_with_it(cloud: Any) -> None:
    await cloud.create_cluster(region="us-east4")
    found = await cloud.ok("GET", GIVEN)
    (of_cluster,) = found["secondaryIpRanges"]
    error = await cloud.refused(400, "PATCH", GIVEN, {"fingerprint": found["fingerprint"], "secondaryIpRanges": []})
    assert "in use by a cluster" in error["message"]
    more = {"rangeName": "more", "ipCidrRange": "10.99.0.0/20"}
    after = await patched(cloud, GIVEN, secondaryIpRanges=[of_cluster, more])
    assert sorted(one["rangeName"] for one in after["secondaryIpRanges"]) == sorted([of_cluster["rangeName"], "more"])


async def test_what_a_patch_must_not_be(cloud: Any) -> None:
    await make(cloud)
    now = (await cloud.ok("GET", OWN))["fingerprint"]
    stale = await cloud.refused(412, "PATCH", OWN, {"fingerprint": "AAAA", "secondaryIpRanges": []})
    assert stale["errors"][0]["reason"] == "conditionNotMet"
    await cloud.refused(400, "PATCH", OWN, {"fingerprint": now})
    await cloud.refused(400, "PATCH", OWN, {"fingerprint": now, "role": "ACTIVE"})
    await cloud.refused(501, "PATCH", OWN, {"fingerprint": now, "logConfig": {"enable": True}})
    await cloud.refused(404, "PATCH", f"{REGION}/subnetworks/nobody", {"fingerprint": now, "role": "ACTIVE"})
