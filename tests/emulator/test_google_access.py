"""What the caller may do: tested, done and given back by one truth."""

from __future__ import annotations

from typing import Any

import pytest

from backend.emulator import faults, settings
from backend.emulator.google.access import CALLER, ROLES, known_permissions

PROJECT = "/cloudresourcemanager/v3/projects/demo-project"
SUBNETS = "/compute/v1/projects/demo-project/regions/us-east4/subnetworks"
CREATE, LIST = "compute.subnetworks.create", "compute.subnetworks.list"


async def held(cloud: Any, *permissions: str) -> list[str]:
    answer = await cloud.ok("POST", f"{PROJECT}:testIamPermissions", {"permissions": list(permissions)})
    found: list[str] = answer.get("permissions", [])
    return found


async def grant(cloud: Any, role: str) -> None:
    policy = await cloud.ok("POST", f"{PROJECT}:getIamPolicy", {})
    policy["bindings"].append({"role": role, "members": [CALLER]})
    await cloud.ok("POST", f"{PROJECT}:setIamPolicy", {"policy": policy})


async def test_what_is_denied_is_missing_from_the_test_and_refused_in_the_call(cloud: Any) -> None:
    settings.put(cloud.world, f"iam.deny={CREATE}")
    assert await held(cloud, CREATE, LIST) == [LIST]
    body = {"name": "proxies", "ipCidrRange": "192.168.0.0/23", "purpose": "GLOBAL_MANAGED_PROXY", "role": "ACTIVE"}
    error = await cloud.refused(403, "POST", SUBNETS, body | {"network": "global/networks/default"})
    assert f"Required '{CREATE}' permission" in error["message"]
    await cloud.ok("GET", SUBNETS)
    settings.put(cloud.world, "iam.deny=usual")
    assert await held(cloud, CREATE) == [CREATE]


async def test_a_role_gives_back_what_it_holds_and_owner_does_not(cloud: Any) -> None:
    settings.put(cloud.world, f"iam.deny={CREATE},cloudquotas.quotas.get")
    await grant(cloud, "roles/owner")
    assert await held(cloud, CREATE) == []
    await grant(cloud, "roles/compute.networkAdmin")
    assert await held(cloud, CREATE, "cloudquotas.quotas.get") == [CREATE]


async def test_a_step_that_is_refused_lacks_its_permissions_in_the_test(cloud: Any) -> None:
    faults.add(cloud.world, "permission-denied step=subnet", cloud.world.pace)
    assert await held(cloud, CREATE, "container.clusters.create") == ["container.clusters.create"]


@pytest.mark.parametrize(
    "permission",
    ["container.clusters.create", "container.pods.proxy", "gkehub.features.create", "serviceusage.services.enable",
     "iam.serviceAccounts.create", "resourcemanager.projects.setIamPolicy", CREATE, "cloudquotas.quotas.update"],
)  # fmt: skip
async def test_everything_that_the_recipe_needs_can_be_tested_and_is_in_a_role(cloud: Any, permission: str) -> None:
    asked = {"fullResourceName": "//cloudresourcemanager.googleapis.com/projects/demo-project", "pageSize": 100}
    names: list[str] = []
    token = ""
    while True:
        page = await cloud.ok("POST", "/iam/v1/permissions:queryTestablePermissions", asked | {"pageToken": token})
        names += [one["name"] for one in page["permissions"]]
        if not (token := page.get("nextPageToken", "")):
            break
    assert names == known_permissions()
    assert permission in names
    settings.put(cloud.world, f"iam.deny={permission}")
    for role in ROLES:
        if role != "roles/owner" and permission != "resourcemanager.projects.setIamPolicy":
            await grant(cloud, role)
    assert (permission in await held(cloud, permission)) is (permission != "resourcemanager.projects.setIamPolicy")
