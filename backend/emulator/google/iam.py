"""Service accounts, and the project with its IAM policy.

A policy may only name principals that exist, which is why the multi-cluster ingress agent cannot be granted anything
before the fleet feature made it. A deleted account stays in the bindings as `deleted:...?uid=...`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Collection
from typing import Any

from backend.emulator.google import messages
from backend.emulator.google.access import CALLER, grantable, held, known_permissions
from backend.emulator.google.errors import ApiError, error_info, invalid, permission_denied
from backend.emulator.google.operations import stamp
from backend.emulator.google.routing import Call, Routes, page
from backend.emulator.world import World

Json = dict[str, Any]
accounts = Routes("iam.googleapis.com", "/iam/v1")
projects = Routes("cloudresourcemanager.googleapis.com", "/cloudresourcemanager/v1", "/cloudresourcemanager/v3")
projects_v1 = Routes("cloudresourcemanager.googleapis.com", "/cloudresourcemanager/v1")
projects_v3 = Routes("cloudresourcemanager.googleapis.com", "/cloudresourcemanager/v3")
CONDITIONS = 3
"""The version of the policy format that knows conditions."""
_STANDARD = str.maketrans("-_", "+/")
"""From base64 for URLs, as gcloud writes bytes, to the usual one; JSON APIs take both."""
_CREATED = 1_735_689_600.0
_ACCOUNT_ID = re.compile(r"[a-z]([-a-z0-9]{4,28}[a-z0-9])")


def compute_account(world: World) -> str:
    """Email of the default service account of nodes."""
    return f"{world.project_number}-compute@developer.gserviceaccount.com"


def account_exists(world: World, email: str) -> bool:
    """Whether a service account or a Google service agent of this project exists."""
    iam = world.tables["iam"]
    return email == compute_account(world) or email in iam.get("accounts", {}) or email in iam.get("agents", {})


def granted(table: Json, email: str, roles: Collection[str]) -> bool:
    """Whether the table `iam` has a service account bound to one of these roles without a condition."""
    member = f"serviceAccount:{email}"
    bindings = [one for one in table.get("bindings", ()) if "condition" not in one]
    return any(one["role"] in roles and member in one["members"] for one in bindings)


def add_agent(world: World, email: str) -> None:
    """A service agent comes into being, as the first use of its API makes it."""
    world.tables["iam"].setdefault("agents", {})[email] = {"createdAt": world.now()}
    world.touch()


def _etag(value: Any) -> str:
    return base64.b64encode(hashlib.sha256(json.dumps(value, sort_keys=True).encode()).digest()[:8]).decode()


def _policy(world: World) -> Json:
    bindings = world.tables["iam"].get("bindings", [{"role": "roles/owner", "members": [CALLER]}])
    version = 3 if any("condition" in one for one in bindings) else 1
    return {"version": version, "etag": _etag(bindings), "bindings": bindings}


@projects_v1.add("GET", "/projects/{project}", "resourcemanager.projects.get")
def get_project_v1(call: Call) -> Json:
    """The project in the spelling of version 1, which gcloud asks for."""
    world = call.world
    return {
        "projectNumber": world.project_number,
        "projectId": world.project,
        "lifecycleState": "ACTIVE",
        "name": world.project,
        "createTime": stamp(_CREATED),
    }


@projects_v1.add("GET", "/projects", "resourcemanager.projects.list")
def list_projects_v1(call: Call) -> Json:
    """The one project."""
    return {"projects": [get_project_v1(call)]}


@projects_v3.add("GET", "/projects/{project}", "resourcemanager.projects.get")
def get_project_v3(call: Call) -> Json:
    """The project in the spelling of version 3, which the Python client asks for."""
    world = call.world
    return {
        "name": f"projects/{world.project_number}",
        "projectId": world.project,
        "displayName": world.project,
        "state": "ACTIVE",
        "createTime": stamp(_CREATED),
        "updateTime": stamp(_CREATED),
        "etag": _etag(world.project),
    }


@projects.add("POST", "/projects/{project}:getIamPolicy", "resourcemanager.projects.getIamPolicy", messages.GET_POLICY)
def get_policy(call: Call) -> Json:
    """The project's bindings; who asks for an old version of the format gets conditions hidden in role names."""
    policy = _policy(call.world)
    if int((call.body.get("options") or {}).get("requestedPolicyVersion", 1)) >= CONDITIONS:
        return policy
    return policy | {"version": 1, "bindings": [_without_condition(one) for one in policy["bindings"]]}


def _without_condition(binding: Json) -> Json:
    if "condition" not in binding:
        return binding
    mark = hashlib.sha256(json.dumps(binding["condition"], sort_keys=True).encode()).hexdigest()[:20]
    return {"role": f"{binding['role']}_withcond_{mark}", "members": binding["members"]}


@projects.add("POST", "/projects/{project}:setIamPolicy", "resourcemanager.projects.setIamPolicy", messages.SET_POLICY)
def set_policy(call: Call) -> Json:
    """Replace the project's bindings; an outdated etag is refused, so that nobody's change is lost."""
    world = call.world
    policy = call.body.get("policy")
    if not isinstance(policy, dict):
        raise invalid("Invalid policy: the request has none.", field="policy")
    current = _policy(world)["etag"]
    if (policy.get("etag") or current).translate(_STANDARD) != current:
        message = (
            "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff. "
            f"The request's ETag '{policy['etag']}' did not match the current policy's ETag '{current}'."
        )
        raise ApiError(409, message, status="ABORTED", reason="aborted")
    bindings: list[Json] = []
    for binding in policy.get("bindings", []):
        role, members = binding.get("role", ""), binding.get("members", [])
        if not re.fullmatch(r"roles/[\w.]+", role) or "_withcond_" in role:
            raise invalid(f"Role ({role}) does not exist in the resource's hierarchy.")
        if not grantable(role):
            raise invalid(f"Role {role} is not supported for this resource.")
        if "condition" in binding and int(policy.get("version", 1)) < CONDITIONS:
            raise invalid("Specified policy version does not support conditions; set it to 3.", field="policy.version")
        for member in members:
            _check_member(world, member)
        if members:
            condition = {"condition": binding["condition"]} if binding.get("condition") else {}
            bindings.append({"role": role, "members": sorted(set(members))} | condition)
    world.tables["iam"]["bindings"] = sorted(bindings, key=lambda one: json.dumps(one, sort_keys=True))
    world.touch()
    return _policy(world)


def _check_member(world: World, member: Any) -> None:
    kind, _, principal = str(member).partition(":")
    if (
        kind not in {"user", "group", "serviceAccount", "domain", "deleted", "principal", "principalSet"}
        or not principal
    ):
        raise invalid(f"Invalid member: {member}.")
    if kind == "serviceAccount" and principal.endswith(".gserviceaccount.com") and not account_exists(world, principal):
        raise invalid(f"Service account {principal} does not exist.")


@projects.add(
    "POST", "/projects/{project}:testIamPermissions", "resourcemanager.projects.get", messages.TEST_PERMISSIONS
)
def test_permissions(call: Call) -> Json:
    """Which of the named permissions the caller has."""
    wanted = call.body.get("permissions", [])
    if len(wanted) > 100:
        raise invalid("A request can test at most 100 permissions.", field="permissions")
    for permission in wanted:
        if not re.fullmatch(r"\w+\.\w+\.\w+", permission):
            raise invalid(f"Permission {permission} is not valid for this resource.", field="permissions")
    having = [permission for permission in wanted if held(call.world, permission)]
    return {"permissions": having} if having else {}


@accounts.add(
    "POST", "/permissions:queryTestablePermissions", "resourcemanager.projects.get", messages.TESTABLE_PERMISSIONS
)
def testable_permissions(call: Call) -> Json:
    """The permissions that can be tested on the project, by name: those that the emulated cloud knows of."""
    name = str(call.body.get("fullResourceName", ""))
    if not re.fullmatch(r"//cloudresourcemanager\.googleapis\.com/projects/[^/]+", name):
        raise invalid(f"Invalid full resource name: {name}.", field="full_resource_name")
    if name.rpartition("/")[2] not in {call.world.project, call.world.project_number}:
        raise permission_denied("cloudresourcemanager.googleapis.com", "resourcemanager.projects.get", name)
    asked: dict[str, str] = {field: str(call.body[field]) for field in ("pageSize", "pageToken") if field in call.body}
    found, following = page(Call(call.world, call.path, asked, {}), known_permissions(), default=1000)
    views = [{"name": permission, "stage": "GA"} for permission in found]
    return {"permissions": views} | ({"nextPageToken": following} if following else {})


def _account(call: Call) -> tuple[str, Json]:
    email = call.path["account"]
    found = call.world.tables["iam"].setdefault("accounts", {})
    for one in found.values():
        if email in {one["email"], one["uniqueId"]}:
            return one["email"], one
    name = f"projects/{call.path['project']}/serviceAccounts/{email}"
    raise ApiError(404, f"Unknown service account: {name}.")


@accounts.add("GET", "/projects/{project}/serviceAccounts", "iam.serviceAccounts.list")
def list_accounts(call: Call) -> Json:
    """The project's own service accounts."""
    found, following = page(call, list(call.world.tables["iam"].get("accounts", {}).values()), default=100)
    return ({"accounts": found} if found else {}) | ({"nextPageToken": following} if following else {})


@accounts.add("POST", "/projects/{project}/serviceAccounts", "iam.serviceAccounts.create", messages.CREATE_ACCOUNT)
def create_account(call: Call) -> Json:
    """Make a service account; 409 when its id is taken."""
    world = call.world
    account_id = call.body.get("accountId", "")
    if not _ACCOUNT_ID.fullmatch(account_id):
        raise invalid(
            f"Invalid account id '{account_id}': 6 to 30 lower case letters, digits and hyphens, a letter first.",
            field="account_id",
        )
    email = f"{account_id}@{world.project}.iam.gserviceaccount.com"
    name = f"projects/{world.project}/serviceAccounts/{email}"
    if account_exists(world, email):
        resource = {"@type": "type.googleapis.com/google.rpc.ResourceInfo", "resourceName": name}
        message = f"Service account {account_id} already exists within project projects/{world.project}."
        raise ApiError(409, message, details=[resource])
    digest = hashlib.sha256(f"{email}/{world.now()}".encode()).digest()
    unique = str(10**20 + int.from_bytes(digest[:8], "big") % 10**20)
    given = call.body.get("serviceAccount") or {}
    account = {
        "name": name,
        "projectId": world.project,
        "uniqueId": unique,
        "email": email,
        **{field: given[field] for field in ("displayName", "description") if given.get(field)},
        "etag": _etag([email, unique]),
        "oauth2ClientId": unique,
    }
    world.tables["iam"].setdefault("accounts", {})[email] = account
    world.touch()
    return account


@accounts.add("GET", "/projects/{project}/serviceAccounts/{account}", "iam.serviceAccounts.get")
def get_account(call: Call) -> Json:
    """One service account, by email or unique id."""
    return _account(call)[1]


@accounts.add(
    "PATCH", "/projects/{project}/serviceAccounts/{account}", "iam.serviceAccounts.update", messages.PATCH_ACCOUNT
)
def patch_account(call: Call) -> Json:
    """Change the display name or the description."""
    _, account = _account(call)
    given = call.body.get("serviceAccount") or {}
    for field in call.body.get("updateMask", "").split(","):
        name = {"display_name": "displayName"}.get(field, field)
        if name not in {"displayName", "description"}:
            raise invalid(f"The field '{field}' of a service account cannot be updated.", field="update_mask")
        account[name] = given.get(name, "")
    call.world.touch()
    return account


@accounts.add("DELETE", "/projects/{project}/serviceAccounts/{account}", "iam.serviceAccounts.delete")
def delete_account(call: Call) -> Json:
    """Delete a service account; bindings keep its name as deleted."""
    email, account = _account(call)
    iam = call.world.tables["iam"]
    del iam["accounts"][email]
    gone = f"deleted:serviceAccount:{email}?uid={account['uniqueId']}"
    for binding in iam.get("bindings", []):
        binding["members"] = [gone if one == f"serviceAccount:{email}" else one for one in binding["members"]]
    call.world.touch()
    return {}


def act_as_denied(email: str) -> ApiError:
    """400: nodes were asked to run as an account that does not exist, as GKE says it."""
    message = (
        f'The user does not have access to service account "{email}". Ask a project owner to grant you the '
        "iam.serviceAccountUser role on the service account."
    )
    return ApiError(
        400, message, details=[error_info("SERVICE_ACCOUNT_ACCESS_DENIED", "container.googleapis.com", account=email)]
    )
