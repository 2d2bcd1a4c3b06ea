from __future__ import annotations

from typing import Any

SERVICES = "/serviceusage/v1/projects/demo-project/services"
QUICK = "dns.googleapis.com"


async def test_a_fresh_project_has_the_basics_and_what_shows_quotas(cloud: Any) -> None:
    cloud.world.tables["services"].clear()
    answer = await cloud.ok("GET", SERVICES, filter="state:ENABLED")
    names = {one["config"]["name"] for one in answer["services"]}
    basics = ("cloudapis", "cloudresourcemanager", "servicemanagement", "serviceusage")
    looked_at = ("cloudbilling", "cloudquotas", "compute")
    assert names == {f"{name}.googleapis.com" for name in (*basics, *looked_at)}


async def test_an_enabling_counts_once_its_operation_is_done(cloud: Any) -> None:
    operation = await cloud.ok("POST", f"{SERVICES}/{QUICK}:enable")
    assert operation["name"].startswith(f"operations/acat.p2-{cloud.world.project_number}-")
    assert "done" not in operation
    assert (await cloud.ok("GET", f"{SERVICES}/{QUICK}"))["state"] == "DISABLED"
    cloud.now += 26
    done = await cloud.ok("GET", f"/serviceusage/v1/{operation['name']}")
    assert done["done"] is True
    assert done["response"]["service"]["state"] == "ENABLED"
    assert (await cloud.ok("GET", f"{SERVICES}/{QUICK}"))["state"] == "ENABLED"


async def test_enabling_what_is_on_is_done_at_once(cloud: Any) -> None:
    answer = await cloud.ok("POST", f"{SERVICES}:batchEnable", {"serviceIds": ["compute.googleapis.com"]})
    assert answer["name"] == "operations/noop.DONE_OPERATION"
    assert answer["done"] is True
    assert answer["response"]["services"][0]["state"] == "ENABLED"
    assert (await cloud.ok("GET", f"/serviceusage/v1/{answer['name']}"))["done"] is True


async def test_a_batch_holds_20_services_at_most(cloud: Any) -> None:
    await cloud.refused(400, "POST", f"{SERVICES}:batchEnable", {"serviceIds": [QUICK] * 21})
    await cloud.refused(400, "POST", f"{SERVICES}:batchEnable", {"serviceIds": []})
    await cloud.refused(400, "POST", f"{SERVICES}:batchEnable", {"serviceIds": QUICK})


async def test_a_service_that_does_not_exist_is_not_found_or_denied(cloud: Any) -> None:
    error = await cloud.refused(403, "POST", f"{SERVICES}:batchEnable", {"serviceIds": ["rockets.googleapis.com"]})
    assert error["details"][0]["reason"] == "SERVICE_CONFIG_NOT_FOUND_OR_PERMISSION_DENIED"


async def test_a_list_comes_in_pages(cloud: Any) -> None:
    names: list[str] = []
    token = ""
    while True:
        answer = await cloud.ok("GET", SERVICES, pageSize="7", pageToken=token)
        assert len(answer["services"]) <= 7
        names += [one["config"]["name"] for one in answer["services"]]
        token = answer.get("nextPageToken", "")
        if not token:
            break
    assert names == sorted(set(names))
    assert QUICK in names


async def test_an_api_in_use_is_not_turned_off_unasked(cloud: Any) -> None:
    await cloud.create_cluster()
    await cloud.refused(400, "POST", f"{SERVICES}/container.googleapis.com:disable", {})
    await cloud.ok("POST", f"{SERVICES}/container.googleapis.com:disable", {"checkIfServiceHasUsage": "SKIP"})
    cloud.now += 26
    assert (await cloud.ok("GET", f"{SERVICES}/container.googleapis.com"))["state"] == "DISABLED"


async def test_several_services_in_one_request(cloud: Any) -> None:
    names = "projects/demo-project/services/compute.googleapis.com,projects/demo-project/services/dns.googleapis.com"
    answer = await cloud.ok("GET", f"{SERVICES}:batchGet", names=names)
    assert [one["state"] for one in answer["services"]] == ["ENABLED", "DISABLED"]
