"""VPC networks in both modes, and what a cluster must say in each."""

from __future__ import annotations

from typing import Any

import pytest

AT = "/compute/v1/projects/demo-project"
URL = "https://www.googleapis.com/compute/v1/projects/demo-project/global/networks"
CLUSTERS = "/container/v1/projects/demo-project/locations/us-east4/clusters"


async def network(cloud: Any, name: str, *, auto: bool) -> None:
    operation = await cloud.ok("POST", f"{AT}/global/networks", {"name": name, "autoCreateSubnetworks": auto})
    cloud.now += 600
    done = await cloud.ok("GET", f"{AT}/global/operations/{operation['name']}")
    assert done["status"] == "DONE"


async def subnet(cloud: Any, name: str, of: str, cidr: str, **fields: Any) -> None:
    body = {"name": name, "network": f"{URL}/{of}", "ipCidrRange": cidr} | fields
    await cloud.ok("POST", f"{AT}/regions/us-east4/subnetworks", body)
    cloud.now += 600


async def ask_for_cluster(cloud: Any, code: int, **fields: Any) -> Any:
    pool = {"name": "default-pool", "initialNodeCount": 1, "config": {"machineType": "e2-standard-4"}}
    got, answer = await cloud.call("POST", CLUSTERS, {"cluster": {"name": "c", "nodePools": [pool], **fields}})
    assert got == code, answer
    return answer


async def test_the_default_network_is_in_auto_mode(cloud: Any) -> None:
    found = await cloud.ok("GET", f"{AT}/global/networks/default")

    assert found["autoCreateSubnetworks"] is True
    assert f"{URL[:-16]}/regions/us-east4/subnetworks/default" in found["subnetworks"]
    assert [one["name"] for one in (await cloud.ok("GET", f"{AT}/global/networks"))["items"]] == ["default"]
    await cloud.refused(404, "GET", f"{AT}/global/networks/ml")


async def test_a_custom_network_has_what_people_make(cloud: Any) -> None:
    await network(cloud, "ml", auto=False)
    assert (await cloud.ok("GET", f"{AT}/global/networks/ml"))["subnetworks"] == []

    await subnet(cloud, "nodes", "ml", "10.128.0.0/20")

    (made,) = (await cloud.ok("GET", f"{AT}/global/networks/ml"))["subnetworks"]
    assert made.endswith("/regions/us-east4/subnetworks/nodes")
    await cloud.refused(409, "POST", f"{AT}/global/networks", {"name": "ml", "autoCreateSubnetworks": False})
    error = await cloud.refused(400, "DELETE", f"{AT}/global/networks/ml")
    assert "already being used by" in error["message"]
    await cloud.ok("DELETE", f"{AT}/regions/us-east4/subnetworks/nodes")
    cloud.now += 600
    await cloud.ok("DELETE", f"{AT}/global/networks/ml")
    cloud.now += 600
    await cloud.refused(404, "GET", f"{AT}/global/networks/ml")


async def test_an_auto_network_has_a_subnetwork_of_its_name_in_each_region(cloud: Any) -> None:
    await network(cloud, "wide", auto=True)

    found = await cloud.ok("GET", f"{AT}/regions/us-east4/subnetworks/wide")

    assert found["network"] == f"{URL}/wide"
    assert (await ask_for_cluster(cloud, 200, network="wide"))["operationType"] == "CREATE_CLUSTER"


async def test_ranges_overlap_between_networks_and_not_within_one(cloud: Any) -> None:
    await network(cloud, "ml", auto=False)
    await subnet(cloud, "nodes", "ml", "172.20.0.0/20")
    await subnet(cloud, "vms", "default", "172.20.0.0/20")

    body = {"name": "more", "network": f"{URL}/ml", "ipCidrRange": "172.20.4.0/22"}
    error = await cloud.refused(400, "POST", f"{AT}/regions/us-east4/subnetworks", body)
    assert "conflicts with existing subnetwork 'nodes'" in error["message"]


async def test_each_network_has_room_for_a_proxy_only_subnet_in_a_region(cloud: Any) -> None:
    await network(cloud, "ml", auto=False)
    for of in ("default", "ml"):
        await subnet(cloud, f"{of}-proxies", of, "172.24.0.0/23", purpose="GLOBAL_MANAGED_PROXY", role="ACTIVE")


async def test_a_cluster_in_a_custom_network_must_name_its_subnetwork(cloud: Any) -> None:
    await network(cloud, "ml", auto=False)
    answer = await ask_for_cluster(cloud, 400, network="ml")
    assert answer["error"]["message"] == 'Network "ml" uses manual subnet mode and requires specifying a subnetwork.'
    await ask_for_cluster(cloud, 400, network="ml", subnetwork="nodes")

    await subnet(cloud, "nodes", "ml", "10.0.0.0/20")
    await ask_for_cluster(cloud, 200, network="ml", subnetwork="nodes")

    row = await cloud.ok("GET", f"{CLUSTERS}/c")
    assert (row["network"], row["subnetwork"]) == ("ml", "nodes")
    assert row["networkConfig"]["subnetwork"] == "projects/demo-project/regions/us-east4/subnetworks/nodes"
    shown = await cloud.ok("GET", f"{AT}/regions/us-east4/subnetworks/nodes")
    assert [one["ipCidrRange"] for one in shown["secondaryIpRanges"]] == [row["clusterIpv4Cidr"]]
    error = await cloud.refused(400, "DELETE", f"{AT}/regions/us-east4/subnetworks/nodes")
    assert "clusters/c" in error["message"]


async def test_a_network_that_is_not_there_has_no_clusters(cloud: Any) -> None:
    answer = await ask_for_cluster(cloud, 400, network="nowhere")
    assert answer["error"]["message"] == 'Project "demo-project" has no network named "nowhere".'


@pytest.mark.parametrize("body", [{"name": "No"}, {"name": "legacy"}])
async def test_a_network_has_a_name_and_a_mode(cloud: Any, body: dict[str, Any]) -> None:
    await cloud.refused(400, "POST", f"{AT}/global/networks", body)
