"""What every Google API has in common: who may ask, for which project, with what body."""

from __future__ import annotations

from typing import Any

import pytest

from backend.emulator.google.app import ROUTES

CLUSTERS = "/container/v1/projects/demo-project/locations/-/clusters"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, "CREDENTIALS_MISSING"),
        ("Bearer wrong", "ACCESS_TOKEN_TYPE_UNSUPPORTED"),
        ("Basic secret", "ACCESS_TOKEN_TYPE_UNSUPPORTED"),
    ],
)
async def test_without_the_token_nothing_is_answered(cloud: Any, header: str | None, reason: str) -> None:
    headers = {"Authorization": header} if header else {}
    async with cloud.client.get(CLUSTERS, headers=headers) as answer:
        assert answer.status == 401
        error = (await answer.json())["error"]
    assert error["status"] == "UNAUTHENTICATED"
    assert error["details"][0]["reason"] == reason


async def test_an_unknown_path_says_that_it_is_not_emulated(cloud: Any, caplog: pytest.LogCaptureFixture) -> None:
    error = await cloud.refused(501, "GET", "/container/v1/projects/demo-project/locations/-/rockets")
    assert "/container/v1/projects/demo-project/locations/-/rockets" in error["message"]
    assert error["status"] == "UNIMPLEMENTED"
    assert "not emulated: GET /container/v1/projects/demo-project/locations/-/rockets" in caplog.text


async def test_another_project_is_not_ours(cloud: Any) -> None:
    error = await cloud.refused(403, "GET", CLUSTERS.replace("demo-project", "other"))
    assert error["message"] == 'Required "container.clusters.list" permission(s) for "projects/other".'
    info = error["details"][0]
    assert (info["reason"], info["domain"]) == ("IAM_PERMISSION_DENIED", "container.googleapis.com")
    assert info["metadata"] == {"permission": "container.clusters.list", "resource": "projects/other"}


async def test_the_project_goes_by_its_number_too(cloud: Any) -> None:
    assert await cloud.ok("GET", CLUSTERS.replace("demo-project", cloud.world.project_number)) == {}


async def test_an_api_that_is_off_says_how_to_turn_it_on(cloud: Any) -> None:
    del cloud.world.tables["services"]["container.googleapis.com"]
    error = await cloud.refused(403, "GET", CLUSTERS)
    number = cloud.world.project_number
    assert error["message"].startswith(
        f"Kubernetes Engine API has not been used in project {number} before or it is disabled. Enable it by visiting "
        f"https://console.developers.google.com/apis/api/container.googleapis.com/overview?project={number} then retry."
    )
    assert error["errors"][0]["reason"] == "accessNotConfigured"
    assert error["details"][0]["reason"] == "SERVICE_DISABLED"
    assert error["details"][0]["metadata"]["service"] == "container.googleapis.com"


@pytest.mark.parametrize("body", ["{", "[]", '"x"', "\xff"])
async def test_a_body_that_is_no_json_object_is_refused(cloud: Any, body: str) -> None:
    headers = {"Authorization": "Bearer secret"}
    path = CLUSTERS.replace("/-/", "/us-east4/")
    async with cloud.client.post(path, data=body.encode("latin-1"), headers=headers) as answer:
        assert answer.status == 400
        error = (await answer.json())["error"]
    assert error["status"] == "INVALID_ARGUMENT"
    assert error["message"].startswith("Invalid JSON payload received.")


async def test_a_field_that_does_not_exist_is_named_with_its_place(cloud: Any) -> None:
    body = {"cluster": {"name": "a", "nodePools": [{"config": {"machine": "x"}}]}}
    error = await cloud.refused(400, "POST", CLUSTERS.replace("/-/", "/us-east4/"), body)
    place = "cluster.node_pools[0].config"
    assert (
        error["message"] == f"Invalid JSON payload received. Unknown name \"machine\" at '{place}': Cannot find field."
    )
    assert error["details"][0]["fieldViolations"][0]["field"] == place


async def test_enums_by_number_and_by_name_are_the_same(cloud: Any) -> None:
    west = await cloud.create_cluster("west", releaseChannel={"channel": "RAPID"})
    east = await cloud.create_cluster("east", release_channel={"channel": 1})
    assert west["releaseChannel"] == east["releaseChannel"] == {"channel": "RAPID"}


def test_every_call_names_the_permission_it_needs() -> None:
    assert len(ROUTES) > 80
    assert {route.permission.count(".") for route in ROUTES} == {2}
    assert len({(route.method, route.template) for route in ROUTES}) == len(ROUTES)
