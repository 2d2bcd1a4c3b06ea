from __future__ import annotations

from typing import Any

import pytest

FLEET = "/gkehub/v1/projects/demo-project/locations/global"
LINK = "//container.googleapis.com/projects/demo-project/locations/europe-west3/clusters/gke-west"
NAME = "projects/demo-project/locations/global/memberships/gke-west"
AGENT = "service-415104041262@gcp-sa-multiclusteringress.iam.gserviceaccount.com"
SPEC = {"spec": {"multiclusteringress": {"configMembership": NAME}}}


def membership(link: str = LINK) -> dict[str, Any]:
    return {"endpoint": {"gkeCluster": {"resourceLink": link}}}


async def register(cloud: Any) -> None:
    await cloud.create_cluster()
    await cloud.ok("POST", f"{FLEET}/memberships", membership(), membershipId="gke-west")
    cloud.now += 60


async def test_a_membership_becomes_ready_and_the_cluster_says_so(cloud: Any) -> None:
    await cloud.create_cluster()
    operation = await cloud.ok("POST", f"{FLEET}/memberships", membership(), membershipId="gke-west")
    assert operation["done"] is False
    assert (await cloud.ok("GET", f"{FLEET}/memberships/gke-west"))["state"] == {"code": "CREATING"}
    cloud.now += 26
    done = await cloud.ok("GET", f"/gkehub/v1/{operation['name']}")
    assert done["done"] is True
    assert done["response"]["@type"] == "type.googleapis.com/google.cloud.gkehub.v1.Membership"
    assert done["response"]["name"] == NAME
    row = await cloud.ok("GET", f"{FLEET}/memberships/gke-west")
    assert row["state"] == {"code": "READY"}
    assert row["endpoint"]["gkeCluster"]["resourceLink"] == LINK
    everywhere = await cloud.ok("GET", FLEET.replace("global", "-") + "/memberships")
    assert [one["name"] for one in everywhere["resources"]] == [NAME]
    cluster = await cloud.ok("GET", "/container/v1/projects/demo-project/locations/europe-west3/clusters/gke-west")
    assert cluster["fleet"]["membership"].endswith("/locations/global/memberships/gke-west")


@pytest.mark.parametrize(
    "link",
    [
        "",
        "//container.googleapis.com/projects/demo-project/locations/europe-west3-c/clusters/gke-west",
        "//container.googleapis.com/projects/other/locations/europe-west3/clusters/gke-west",
        "projects/demo-project/locations/europe-west3/clusters/gke-west",
    ],
)
async def test_a_link_to_no_cluster_is_refused(cloud: Any, link: str) -> None:
    await cloud.create_cluster()
    error = await cloud.refused(400, "POST", f"{FLEET}/memberships", membership(link), membershipId="gke-west")
    assert error["message"].startswith("InvalidValueError for field endpoint.gke_cluster.resource_link")


async def test_gclouds_spelling_of_the_link_under_an_override_is_taken(cloud: Any) -> None:
    await cloud.create_cluster()
    link = "//127.0.0.1:8123/container/projects/demo-project/locations/europe-west3/clusters/gke-west"
    await cloud.ok("POST", f"{FLEET}/memberships", membership(link), membershipId="gke-west")
    assert (await cloud.ok("GET", f"{FLEET}/memberships/gke-west"))["endpoint"]["gkeCluster"]["resourceLink"] == link


async def test_a_name_is_taken_once_and_a_cluster_registered_once(cloud: Any) -> None:
    await register(cloud)
    error = await cloud.refused(409, "POST", f"{FLEET}/memberships", membership(), membershipId="gke-west")
    assert (error["status"], error["message"]) == ("ALREADY_EXISTS", f"Resource '{NAME}' already exists")
    error = await cloud.refused(400, "POST", f"{FLEET}/memberships", membership(), membershipId="again")
    assert error["status"] == "FAILED_PRECONDITION"


async def test_labels_of_a_membership_change(cloud: Any) -> None:
    await register(cloud)
    path = f"{FLEET}/memberships/gke-west"
    operation = await cloud.ok("PATCH", path, {"labels": {"managed-by": "mcig"}}, updateMask="labels")
    cloud.now += 60
    assert (await cloud.ok("GET", f"/gkehub/v1/{operation['name']}"))["done"] is True
    assert (await cloud.ok("GET", path))["labels"] == {"managed-by": "mcig"}
    await cloud.refused(400, "PATCH", path, {}, updateMask="endpoint")


async def test_a_deleted_membership_is_gone(cloud: Any) -> None:
    await register(cloud)
    operation = await cloud.ok("DELETE", f"{FLEET}/memberships/gke-west")
    await cloud.refused(409, "DELETE", f"{FLEET}/memberships/gke-west")
    cloud.now += 60
    done = await cloud.ok("GET", f"/gkehub/v1/{operation['name']}")
    assert done["response"] == {"@type": "type.googleapis.com/google.protobuf.Empty"}
    await cloud.refused(404, "GET", f"{FLEET}/memberships/gke-west")


async def test_the_feature_is_ok_some_time_after_its_operation(cloud: Any) -> None:
    await register(cloud)
    operation = await cloud.ok("POST", f"{FLEET}/features", SPEC, featureId="multiclusteringress")
    cloud.now += 11
    assert (await cloud.ok("GET", f"/gkehub/v1/{operation['name']}"))["done"] is True
    feature = await cloud.ok("GET", f"{FLEET}/features/multiclusteringress", returnPartialSuccess="True")
    assert feature["resourceState"] == {"state": "ACTIVE"}
    assert "state" not in feature
    cloud.now += 61
    feature = await cloud.ok("GET", f"{FLEET}/features/multiclusteringress")
    assert feature["state"]["state"]["code"] == "OK"
    (member,) = feature["membershipStates"].values()
    assert member["state"]["code"] == "OK"
    assert feature["spec"] == SPEC["spec"]


async def test_the_feature_makes_its_agent(cloud: Any) -> None:
    await register(cloud)
    policy = {"policy": {"bindings": [{"role": "roles/container.admin", "members": [f"serviceAccount:{AGENT}"]}]}}
    path = "/cloudresourcemanager/v3/projects/demo-project:setIamPolicy"
    error = await cloud.refused(400, "POST", path, policy)
    assert error["message"] == f"Service account {AGENT} does not exist."
    await cloud.ok("POST", f"{FLEET}/features", SPEC, featureId="multiclusteringress")
    await cloud.ok("POST", path, policy)


async def test_the_feature_needs_its_membership_and_its_api(cloud: Any) -> None:
    error = await cloud.refused(400, "POST", f"{FLEET}/features", SPEC, featureId="multiclusteringress")
    assert "config_membership" in error["message"]
    await register(cloud)
    del cloud.world.tables["services"]["multiclusteringress.googleapis.com"]
    error = await cloud.refused(400, "POST", f"{FLEET}/features", SPEC, featureId="multiclusteringress")
    assert "multiclusteringress.googleapis.com" in error["message"]
    await cloud.refused(400, "POST", f"{FLEET}/features", {}, featureId="rockets")


async def test_the_feature_is_a_singleton_that_can_be_pointed_elsewhere(cloud: Any) -> None:
    await register(cloud)
    await cloud.ok("POST", f"{FLEET}/features", SPEC, featureId="multiclusteringress")
    await cloud.refused(409, "POST", f"{FLEET}/features", SPEC, featureId="multiclusteringress")
    cloud.now += 3600
    await cloud.create_cluster("gke-east", "us-east4")
    east = LINK.replace("europe-west3", "us-east4").replace("west", "east")
    await cloud.ok("POST", f"{FLEET}/memberships", membership(east), membershipId="gke-east")
    cloud.now += 60
    wanted = {"spec": {"multiclusteringress": {"configMembership": NAME.replace("west", "east")}}}
    mask = "spec.multiclusteringress.config_membership"
    await cloud.ok("PATCH", f"{FLEET}/features/multiclusteringress", wanted, updateMask=mask)
    cloud.now += 60
    feature = await cloud.ok("GET", f"{FLEET}/features/multiclusteringress")
    assert feature["spec"] == wanted["spec"]
    assert feature["state"]["state"]["code"] == "OK"
    await cloud.ok("DELETE", f"{FLEET}/features/multiclusteringress", force="False")
    cloud.now += 60
    assert await cloud.ok("GET", f"{FLEET}/features") == {}


async def test_a_feature_made_anew_waits_again(cloud: Any) -> None:
    await register(cloud)
    await cloud.ok("POST", f"{FLEET}/features", SPEC, featureId="multiclusteringress")
    cloud.now += 11
    await cloud.ok("DELETE", f"{FLEET}/features/multiclusteringress")
    cloud.now += 21
    await cloud.ok("POST", f"{FLEET}/features", SPEC, featureId="multiclusteringress")
    cloud.now += 31
    assert "state" not in await cloud.ok("GET", f"{FLEET}/features/multiclusteringress")
    cloud.now += 60
    assert (await cloud.ok("GET", f"{FLEET}/features/multiclusteringress"))["state"]["state"]["code"] == "OK"
