from __future__ import annotations

from typing import Any

import pytest

PROJECTS = "/cloudresourcemanager"
ACCOUNTS = "/iam/v1/projects/demo-project/serviceAccounts"
EMAIL = "mcig-nodes@demo-project.iam.gserviceaccount.com"


async def create(cloud: Any) -> dict[str, Any]:
    body = {"accountId": "mcig-nodes", "serviceAccount": {"displayName": "Nodes", "description": "managed-by=mcig"}}
    account: dict[str, Any] = await cloud.ok("POST", ACCOUNTS, body)
    return account


async def test_the_project_in_both_spellings(cloud: Any) -> None:
    assert (await cloud.ok("GET", f"{PROJECTS}/v1/projects/demo-project"))["projectNumber"] == "415104041262"
    assert (await cloud.ok("GET", f"{PROJECTS}/v3/projects/demo-project"))["name"] == "projects/415104041262"


async def test_a_service_account_from_making_to_deleting(cloud: Any) -> None:
    account = await create(cloud)
    assert account["email"] == EMAIL
    assert account["description"] == "managed-by=mcig"
    assert await cloud.ok("GET", f"{ACCOUNTS}/{EMAIL}") == account
    assert await cloud.ok("GET", f"/iam/v1/projects/-/serviceAccounts/{account['uniqueId']}") == account
    assert (await cloud.ok("GET", ACCOUNTS))["accounts"] == [account]
    error = await cloud.refused(409, "POST", ACCOUNTS, {"accountId": "mcig-nodes"})
    assert error["message"] == "Service account mcig-nodes already exists within project projects/demo-project."
    assert await cloud.ok("DELETE", f"{ACCOUNTS}/{EMAIL}") == {}
    await cloud.refused(404, "GET", f"{ACCOUNTS}/{EMAIL}")


@pytest.mark.parametrize("name", ["", "short", "Upper-case", "x" * 31, "ends-with-"])
async def test_an_account_name_has_rules(cloud: Any, name: str) -> None:
    await cloud.refused(400, "POST", ACCOUNTS, {"accountId": name})


@pytest.mark.parametrize("version", ["v1", "v3"])
async def test_bindings_are_set_whole_and_only_on_what_was_read(cloud: Any, version: str) -> None:
    await create(cloud)
    path = f"{PROJECTS}/{version}/projects/demo-project"
    policy = await cloud.ok("POST", f"{path}:getIamPolicy", {"options": {"requestedPolicyVersion": 3}})
    grant = {"role": "roles/container.defaultNodeServiceAccount", "members": [f"serviceAccount:{EMAIL}"]}
    wanted = policy | {"bindings": [*policy["bindings"], grant]}
    changed = await cloud.ok("POST", f"{path}:setIamPolicy", {"policy": wanted})
    assert grant in changed["bindings"]
    error = await cloud.refused(409, "POST", f"{path}:setIamPolicy", {"policy": policy})
    assert error["status"] == "ABORTED"
    assert await cloud.ok("POST", f"{path}:getIamPolicy") == changed


@pytest.mark.parametrize(
    ("role", "words"),
    [
        ("roles/container.defaultNodeServiceAcount", "is not supported for this resource"),
        ("projects/demo-project/roles/own", "does not exist in the resource's hierarchy"),
    ],
)
async def test_a_role_that_does_not_exist_is_not_granted(cloud: Any, role: str, words: str) -> None:
    policy = {"bindings": [{"role": role, "members": ["user:somebody@example.com"]}]}
    error = await cloud.refused(400, "POST", f"{PROJECTS}/v3/projects/demo-project:setIamPolicy", {"policy": policy})
    assert role in error["message"]
    assert words in error["message"]


async def test_a_deleted_account_stays_in_the_bindings_as_deleted(cloud: Any) -> None:
    account = await create(cloud)
    path = f"{PROJECTS}/v3/projects/demo-project"
    grant = {"role": "roles/autoscaling.metricsWriter", "members": [f"serviceAccount:{EMAIL}"]}
    await cloud.ok("POST", f"{path}:setIamPolicy", {"policy": {"bindings": [grant]}})
    await cloud.ok("DELETE", f"{ACCOUNTS}/{EMAIL}")
    policy = await cloud.ok("POST", f"{path}:getIamPolicy")
    gone = f"deleted:serviceAccount:{EMAIL}?uid={account['uniqueId']}"
    assert policy["bindings"] == [grant | {"members": [gone]}]


@pytest.mark.parametrize(
    "binding",
    [
        {"role": "roles/owner", "members": [f"serviceAccount:{EMAIL}"]},
        {"role": "roles/owner", "members": ["nobody"]},
        {"role": "owner", "members": ["user:a@example.com"]},
    ],
)
async def test_a_binding_of_nobody_or_nothing_is_refused(cloud: Any, binding: dict[str, Any]) -> None:
    path = f"{PROJECTS}/v3/projects/demo-project:setIamPolicy"
    await cloud.refused(400, "POST", path, {"policy": {"bindings": [binding]}})


async def test_permissions_are_tested(cloud: Any) -> None:
    path = f"{PROJECTS}/v3/projects/demo-project:testIamPermissions"
    wanted = ["container.clusters.create", "compute.subnetworks.create"]
    assert await cloud.ok("POST", path, {"permissions": wanted}) == {"permissions": wanted}
    await cloud.refused(400, "POST", path, {"permissions": ["container.*"]})
    await cloud.refused(400, "POST", path, {"permissions": wanted * 51})


async def test_who_asks_for_an_old_policy_does_not_see_conditions_and_cannot_write_it_back(cloud: Any) -> None:
    path = f"{PROJECTS}/v3/projects/demo-project"
    condition = {"title": "soon", "expression": "true"}
    binding = {"role": "roles/viewer", "members": ["user:ann@example.com"], "condition": condition}
    error = await cloud.refused(400, "POST", f"{path}:setIamPolicy", {"policy": {"bindings": [binding]}})
    assert "version" in error["message"]
    await cloud.ok("POST", f"{path}:setIamPolicy", {"policy": {"version": 3, "bindings": [binding]}})

    old = await cloud.ok("POST", f"{path}:getIamPolicy")
    new = await cloud.ok("POST", f"{path}:getIamPolicy", {"options": {"requestedPolicyVersion": 3}})

    assert (new["version"], new["bindings"]) == (3, [binding])
    assert old["version"] == 1
    assert old["bindings"][0]["role"].startswith("roles/viewer_withcond_")
    await cloud.refused(400, "POST", f"{path}:setIamPolicy", {"policy": old})


async def test_nodes_do_not_run_as_an_account_that_does_not_exist(cloud: Any) -> None:
    at = "/container/v1/projects/demo-project/locations/us-east4/clusters"
    pool = {"name": "p", "initialNodeCount": 1, "config": {"machineType": "e2-standard-4", "serviceAccount": EMAIL}}
    wanted = {"cluster": {"name": "c", "nodePools": [pool]}}
    error = await cloud.refused(400, "POST", at, wanted)
    assert error["message"].startswith(f'The user does not have access to service account "{EMAIL}".')

    await create(cloud)
    await cloud.ok("POST", at, wanted)
