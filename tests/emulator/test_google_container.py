from __future__ import annotations

from typing import Any

import pytest

from backend.emulator import faults

REGION = "/container/v1/projects/demo-project/locations/europe-west3"
H100: dict[str, Any] = {
    "name": "h100",
    "initialNodeCount": 3,
    "locations": ["europe-west3-c"],
    "config": {
        "machineType": "a3-highgpu-2g",
        "spot": True,
        "accelerators": [{"acceleratorCount": "2", "acceleratorType": "nvidia-h100-80gb"}],
    },
}


def h100(**config: Any) -> dict[str, Any]:
    """The configuration of the pool with other values in it."""
    return {"config": H100["config"] | config}


async def test_server_config_has_the_versions_of_the_recipe(cloud: Any) -> None:
    answer = await cloud.ok("GET", f"{REGION}/serverConfig")
    rapid = next(one for one in answer["channels"] if one["channel"] == "RAPID")
    assert "1.34.1-gke.1127000" in rapid["validVersions"]
    assert any(version.startswith("1.35.") for version in rapid["validVersions"])
    assert set(rapid["validVersions"]) <= set(answer["validMasterVersions"])


async def test_a_cluster_is_made_over_time_and_filled_in(cloud: Any) -> None:
    wanted = {
        "name": "gke-west",
        "initialClusterVersion": "1.34.1-gke.1127000",
        "releaseChannel": {"channel": "RAPID"},
        "networkConfig": {"gatewayApiConfig": {"channel": "CHANNEL_STANDARD"}},
        "podAutoscaling": {"hpaProfile": "PERFORMANCE"},
        "workloadIdentityConfig": {"workloadPool": "demo-project.svc.id.goog"},
        "resourceLabels": {"managed-by": "mcig"},
        "nodePools": [{"name": "default-pool", "initialNodeCount": 1, "config": {"machineType": "c2-standard-16"}}],
    }
    operation = await cloud.ok("POST", f"{REGION}/clusters", {"cluster": wanted, "parent": "ignored"})
    assert (operation["status"], operation["operationType"]) == ("RUNNING", "CREATE_CLUSTER")
    cluster = await cloud.ok("GET", f"{REGION}/clusters/gke-west")
    assert cluster["status"] == "PROVISIONING"
    assert "endpoint" not in cluster
    cloud.now += 481
    assert (await cloud.ok("GET", f"{REGION}/operations/{operation['name']}"))["status"] == "DONE"
    cluster = await cloud.ok("GET", f"{REGION}/clusters/gke-west")
    assert cluster["status"] == "RUNNING"
    assert cluster["endpoint"] == "127.0.0.1:1"
    assert cluster["location"] == "europe-west3"
    assert cluster["locations"] == ["europe-west3-a", "europe-west3-b", "europe-west3-c"]
    assert cluster["currentMasterVersion"] == "1.34.1-gke.1127000"
    assert cluster["resourceLabels"] == {"managed-by": "mcig"}
    assert cluster["networkConfig"]["gatewayApiConfig"] == {"channel": "CHANNEL_STANDARD"}
    assert cluster["workloadIdentityConfig"] == {"workloadPool": "demo-project.svc.id.goog"}
    assert cluster["nodePools"][0]["status"] == "RUNNING"
    assert cluster["nodePools"][0]["config"]["workloadMetadataConfig"] == {"mode": "GKE_METADATA"}
    assert cluster["currentNodeCount"] == 3
    everywhere = await cloud.ok("GET", REGION.replace("europe-west3", "-") + "/clusters")
    assert [one["name"] for one in everywhere["clusters"]] == ["gke-west"]


async def test_the_zone_of_a_regional_cluster_knows_nothing_of_it(cloud: Any) -> None:
    await cloud.create_cluster()
    error = await cloud.refused(404, "GET", f"{REGION}-c/clusters/gke-west")
    assert error["message"] == "Not found: projects/demo-project/locations/europe-west3-c/clusters/gke-west."
    assert error["errors"][0]["reason"] == "notFound"
    await cloud.refused(404, "POST", f"{REGION}-c/clusters/gke-west/nodePools", {"nodePool": H100})


async def test_a_list_of_all_locations_names_the_region_that_gives_no_answer(cloud: Any) -> None:
    await cloud.create_cluster("gke-west", "europe-west3")
    await cloud.create_cluster("gke-east", "us-east4")
    faults.add(cloud.world, "internal-error step=cluster region=us-east4", cloud.world.pace)
    path = "/container/v1/projects/demo-project/locations/-/clusters"
    partly = await cloud.ok("GET", path)
    assert [one["name"] for one in partly["clusters"]] == ["gke-west"]
    assert partly["missingZones"] == ["us-east4-a", "us-east4-b", "us-east4-c"]
    whole = await cloud.ok("GET", path)
    assert len(whole["clusters"]) == 2
    assert "missingZones" not in whole


async def test_what_exists_is_not_made_again(cloud: Any) -> None:
    await cloud.create_cluster()
    error = await cloud.refused(409, "POST", f"{REGION}/clusters", {"cluster": {"name": "gke-west"}})
    assert error["message"] == "Already exists: projects/demo-project/locations/europe-west3/clusters/gke-west."
    error = await cloud.refused(
        409, "POST", f"{REGION}/clusters/gke-west/nodePools", {"nodePool": {"name": "default-pool"}}
    )
    assert error["errors"][0]["reason"] == "alreadyExists"


async def test_a_cluster_that_an_operation_works_on_is_busy(cloud: Any) -> None:
    operation = await cloud.ok("POST", f"{REGION}/clusters", {"cluster": {"name": "gke-west", "initialNodeCount": 1}})
    error = await cloud.refused(400, "POST", f"{REGION}/clusters/gke-west/nodePools", {"nodePool": H100})
    assert error["status"] == "FAILED_PRECONDITION"
    assert error["message"] == (
        f"Operation {operation['name']} is currently creating cluster gke-west. "
        "Please wait and try again once it is done."
    )
    cloud.now += 3600
    operation = await cloud.ok("POST", f"{REGION}/clusters/gke-west/nodePools", {"nodePool": H100})
    for method, path in (("DELETE", "/nodePools/default-pool"), ("DELETE", ""), ("DELETE", "/nodePools/h100")):
        error = await cloud.refused(400, method, f"{REGION}/clusters/gke-west{path}")
        assert f"{operation['name']} is currently creating a node pool for cluster gke-west" in error["message"]
    assert (await cloud.ok("GET", f"{REGION}/clusters/gke-west"))["status"] == "RECONCILING"


async def test_a_node_pool_lives_from_provisioning_to_gone(cloud: Any) -> None:
    await cloud.create_cluster()
    pools = f"{REGION}/clusters/gke-west/nodePools"
    await cloud.ok("POST", pools, {"nodePool": H100})
    assert (await cloud.ok("GET", f"{pools}/h100"))["status"] == "PROVISIONING"
    cloud.now += 301
    pool = await cloud.ok("GET", f"{pools}/h100")
    assert pool["status"] == "RUNNING"
    assert pool["config"]["accelerators"] == [{"acceleratorCount": "2", "acceleratorType": "nvidia-h100-80gb"}]
    assert [one["name"] for one in (await cloud.ok("GET", pools))["nodePools"]] == ["default-pool", "h100"]
    await cloud.ok("POST", f"{pools}/h100:setSize", {"nodeCount": 1})
    cloud.now += 301
    assert (await cloud.ok("GET", f"{pools}/h100"))["initialNodeCount"] == 1
    await cloud.ok("DELETE", f"{pools}/h100")
    assert (await cloud.ok("GET", f"{pools}/h100"))["status"] == "STOPPING"
    cloud.now += 301
    await cloud.refused(404, "GET", f"{pools}/h100")
    assert (await cloud.ok("GET", f"{REGION}/clusters/gke-west"))["status"] == "RUNNING"


@pytest.mark.parametrize(
    ("pool", "words"),
    [
        ({"locations": ["us-east4-a"]}, "is not a zone of region"),
        ({"locations": ["europe-west3-a"]}, 'Machine type "a3-highgpu-2g" is not available in zone "europe-west3-a"'),
        ({"config": {"machineType": "rocket-9"}}, 'Machine type "rocket-9"'),
        ({"config": {"serviceAccount": "no@demo-project.iam.gserviceaccount.com"}}, "does not have access to service"),
        ({"name": "Upper"}, "node_pool.name"),
        (h100(accelerators=[]), "requires 2 accelerators of type nvidia-h100-80gb, not none."),
        (
            h100(accelerators=[{"acceleratorType": "nvidia-l4", "acceleratorCount": "5"}]),
            "requires 2 accelerators of type nvidia-h100-80gb, not 5 nvidia-l4.",
        ),
        (
            {"config": {"machineType": "e2-standard-4", "accelerators": H100["config"]["accelerators"]}},
            "requires no accelerators, not 2 nvidia-h100-80gb.",
        ),
        (h100(flexStart=True), "only one of spot and flexStart"),
        (h100(spot=False), "Spot VMs or flex-start only"),
        (h100(diskType="nonsense"), 'node_pool.config.disk_type": "nonsense"'),
        (h100(diskSizeGb=1), 'node_pool.config.disk_size_gb": "1"'),
        (h100(imageType="NONSENSE"), 'node_pool.config.image_type": "NONSENSE"'),
    ],
)
async def test_a_node_pool_that_cannot_be_is_refused(cloud: Any, pool: dict[str, Any], words: str) -> None:
    await cloud.create_cluster()
    error = await cloud.refused(400, "POST", f"{REGION}/clusters/gke-west/nodePools", {"nodePool": H100 | pool})
    assert words in error["message"]


async def test_a_request_beyond_the_quota_is_refused_as_gke_words_it(cloud: Any) -> None:
    cloud.world.tables["quotas"]["europe-west3/C2_CPUS"] = 24
    pool = {"name": "default-pool", "initialNodeCount": 3, "config": {"machineType": "c2-standard-16"}}
    error = await cloud.refused(403, "POST", f"{REGION}/clusters", {"cluster": {"name": "a", "nodePools": [pool]}})
    assert error["message"] == (
        "Insufficient regional quota to satisfy request: resource \"C2_CPUS\": request requires '144.0' and is short "
        "'120.0'. project has a quota of '24.0' with '24.0' available. View and manage quotas at "
        "https://console.cloud.google.com/iam-admin/quotas?usage=USED&project=demo-project"
    )
    assert cloud.world.tables["clusters"] == {}


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        ("", "1.34.1-gke.1829001"),
        ("-", "1.34.1-gke.1829001"),
        ("latest", "1.35.2-gke.1842000"),
        ("1.34", "1.34.3-gke.1051000"),
        ("1.34.1", "1.34.1-gke.1829001"),
    ],
)
async def test_a_version_is_resolved_in_its_channel(cloud: Any, wanted: str, got: str) -> None:
    cluster = await cloud.create_cluster(releaseChannel={"channel": "RAPID"}, initialClusterVersion=wanted)
    assert cluster["currentMasterVersion"] == got


async def test_a_version_that_is_not_offered_is_refused(cloud: Any) -> None:
    body = {"cluster": {"name": "a", "initialClusterVersion": "1.9.1-gke.1", "releaseChannel": {"channel": "RAPID"}}}
    assert (await cloud.refused(400, "POST", f"{REGION}/clusters", body))["message"].startswith("Master version")


async def test_labels_change_under_their_fingerprint(cloud: Any) -> None:
    cluster = await cloud.create_cluster(resourceLabels={"a": "1"})
    path = f"{REGION}/clusters/gke-west:setResourceLabels"
    wanted = {"resourceLabels": {"a": "2"}, "labelFingerprint": "stale"}
    await cloud.refused(400, "POST", path, wanted)
    await cloud.ok("POST", path, wanted | {"labelFingerprint": cluster["labelFingerprint"]})
    changed = await cloud.ok("GET", f"{REGION}/clusters/gke-west")
    assert changed["resourceLabels"] == {"a": "2"}
    assert changed["labelFingerprint"] != cluster["labelFingerprint"]


async def test_one_change_per_update(cloud: Any) -> None:
    await cloud.create_cluster()
    path = f"{REGION}/clusters/gke-west"
    await cloud.refused(400, "PUT", path, {"update": {}})
    both = {"desiredLoggingConfig": {"componentConfig": {}}, "desiredReleaseChannel": {"channel": "RAPID"}}
    await cloud.refused(400, "PUT", path, {"update": both})


async def test_a_deleted_cluster_is_gone(cloud: Any) -> None:
    await cloud.create_cluster()
    await cloud.ok("DELETE", f"{REGION}/clusters/gke-west")
    assert (await cloud.ok("GET", f"{REGION}/clusters/gke-west"))["status"] == "STOPPING"
    cloud.now += 361
    await cloud.refused(404, "GET", f"{REGION}/clusters/gke-west")
    await cloud.refused(404, "DELETE", f"{REGION}/clusters/gke-west")


async def test_operations_of_everywhere_and_of_one_place(cloud: Any) -> None:
    await cloud.create_cluster("west")
    await cloud.create_cluster("east", "us-east4")
    everywhere = (await cloud.ok("GET", REGION.replace("europe-west3", "-") + "/operations"))["operations"]
    assert [one["location"] for one in everywhere] == ["europe-west3", "us-east4"]
    assert len((await cloud.ok("GET", f"{REGION}/operations"))["operations"]) == 1
    await cloud.refused(404, "GET", f"{REGION}/operations/{everywhere[1]['name']}")
