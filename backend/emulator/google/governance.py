"""What stands above a project: who pays, and what its organisation allows.

Cloud Billing's look at the project, and organisation policies as Resource Manager version 1 shows them. A policy that
was not set allows everything and enforces nothing.
"""

from __future__ import annotations

from typing import Any

from backend.emulator import settings
from backend.emulator.google import messages
from backend.emulator.google.errors import invalid
from backend.emulator.google.routing import Call, Routes
from backend.emulator.world import World

Json = dict[str, Any]
BOOLEAN = frozenset(
    {
        "compute.disableGuestAttributesAccess", "compute.disableSerialPortAccess", "compute.requireOsLogin",
        "compute.requireShieldedVm", "compute.skipDefaultNetworkCreation", "iam.disableServiceAccountCreation",
        "iam.disableServiceAccountKeyCreation", "iam.automaticIamGrantsForDefaultServiceAccounts",
        "compute.restrictXpnProjectLienRemoval", "compute.disableNestedVirtualization",
    }
)  # fmt: skip
"""Constraints that are enforced or not; every other one allows or denies values."""
billing = Routes("cloudbilling.googleapis.com", "/cloudbilling/v1")
policies = Routes("cloudresourcemanager.googleapis.com", "/cloudresourcemanager/v1")
_ACCOUNT = "billingAccounts/0123AB-4567CD-89EF01"
"""The one billing account that the caller may use."""


@billing.add("GET", "/projects/{project}/billingInfo", "resourcemanager.projects.get")
def billing_info(call: Call) -> Json:
    """The billing account that pays for the project; none when billing is off."""
    return _paid_by(call.world)


def _paid_by(world: World) -> Json:
    view: Json = {"name": f"projects/{world.project}/billingInfo", "projectId": world.project}
    if settings.value(world, "billing") == "disabled":
        return view
    return view | {"billingAccountName": _ACCOUNT, "billingEnabled": True}


@billing.add("GET", "/billingAccounts", "billing.accounts.list")
def list_accounts(call: Call) -> Json:
    """The billing accounts that the caller may see."""
    return {"billingAccounts": [{"name": _ACCOUNT, "displayName": "My Billing Account", "open": True}]}


@billing.add(
    "PUT", "/projects/{project}/billingInfo", "resourcemanager.projects.createBillingAssignment", messages.BILLING
)
def link(call: Call) -> Json:
    """Link the project to a billing account, or to none."""
    name = str(call.body.get("billingAccountName", ""))
    if name not in {"", _ACCOUNT}:
        raise invalid(f"Billing account {name!r} is not found.", field="billing_account_name")
    settings.put(call.world, f"billing={'enabled' if name else 'disabled'}")
    return _paid_by(call.world)


@policies.add("POST", "/projects/{project}:getEffectiveOrgPolicy", "orgpolicy.policy.get", messages.EFFECTIVE_POLICY)
def effective_policy(call: Call) -> Json:
    """One policy as it holds for the project, whoever set it."""
    name = str(call.body.get("constraint", ""))
    constraint = name.removeprefix("constraints/")
    if name == constraint or "." not in constraint:
        raise invalid(f"Invalid constraint: {name}.", field="constraint")
    return {"constraint": name} | _policy(call.world, constraint)


def _policy(world: World, constraint: str) -> Json:
    own = settings.value(world, f"policy.{constraint}")
    if constraint in BOOLEAN or own in {"enforced", "not-enforced"}:
        return {"booleanPolicy": {"enforced": True} if own == "enforced" else {}}
    if own in {None, "allow", "deny"}:
        return {"listPolicy": {"allValues": "DENY" if own == "deny" else "ALLOW"}}
    return {"listPolicy": {"allowedValues": (own or "").split(",")}}


def allowed_location(world: World, region: str) -> bool:
    """Whether the organisation lets things be in a region."""
    policy = _policy(world, "gcp.resourceLocations")["listPolicy"]
    named = {value.removeprefix("in:").removesuffix("-locations") for value in policy.get("allowedValues", ())}
    within = any(region == one or region.startswith(f"{one}-") for one in named)
    return within if named else policy.get("allValues") != "DENY"


def enforced(world: World, constraint: str) -> bool:
    """Whether a constraint that is enforced or not is."""
    return settings.value(world, f"policy.{constraint}") == "enforced"
