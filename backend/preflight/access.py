"""Credentials, project, billing, APIs, permissions and organisation policies."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence

from backend.clients.google import Json
from backend.errors import InvalidRequest, Unauthenticated
from backend.preflight.check import Check, Question, unread
from backend.preflight.findings import Finding, Topic, Verdict
from backend.preflight.readings import Gap

TOPIC = Topic.PROJECT
ENABLE = "serviceusage.services.enable"
PREFLIGHT = "the preflight itself"
"""What needs the permissions that only looking takes."""
LOOKING = (
    "resourcemanager.projects.get",
    "serviceusage.services.list",
    "compute.projects.get",
    "compute.regions.get",
    "compute.machineTypes.list",
    "compute.networks.list",
    "compute.subnetworks.list",
    "cloudquotas.quotas.get",
)
"""Permissions without which some checks stay unknown."""
_ROLES = (
    ("serviceusage.", "roles/serviceusage.serviceUsageAdmin"),
    ("compute.projects.", "roles/compute.viewer"),
    ("compute.regions.", "roles/compute.viewer"),
    ("compute.machineTypes.", "roles/compute.viewer"),
    ("compute.", "roles/compute.networkAdmin"),
    ("container.", "roles/container.admin"),
    ("iam.serviceAccounts.actAs", "roles/iam.serviceAccountUser"),
    ("iam.", "roles/iam.serviceAccountAdmin"),
    ("resourcemanager.projects.get", "roles/browser"),
    ("resourcemanager.", "roles/resourcemanager.projectIamAdmin"),
    ("gkehub.", "roles/gkehub.admin"),
    ("cloudquotas.quotas.get", "roles/cloudquotas.viewer"),
    ("cloudquotas.", "roles/cloudquotas.admin"),
)
"""The least predefined role by the beginning of a permission; ``container.developer`` cannot make the RBAC of the
chart, and ``compute.viewer`` cannot touch networks."""


def role_for(permission: str) -> str:
    """The least predefined role that holds a permission."""
    return next((role for start, role in _ROLES if permission.startswith(start)), "roles/owner")


# --- credentials, project, billing ------------------------------------------------------------------------------------


async def _project(question: Question) -> Sequence[Finding]:
    return list(judge_project(await question.readings.project_itself(), question))


def judge_project(read: Json | Gap, question: Question) -> Iterator[Finding]:
    """Whether the credentials are accepted, and whether the project is there and alive."""
    project, connection = question.project, question.readings.clients.connection
    needs = "every call needs credentials that Google accepts"
    lives = "everything is made in this project"
    rejected = isinstance(read, Gap) and isinstance(read.error, Unauthenticated)
    if isinstance(read, Gap) and rejected:
        yield Finding("credentials", Verdict.FAIL, read.why, needs, connection.sign_in_fix, TOPIC)
    elif isinstance(read, Gap) and read.error is None:
        yield unread("credentials", read, what="Whether the credentials are accepted", why=needs, topic=TOPIC)
    else:
        text = f"the credentials are accepted by {connection.description}"
        yield Finding("credentials", Verdict.OK, text, needs, None, TOPIC)
    if isinstance(read, Gap):
        if read.forbidden:
            text = f"project {project} does not exist, or these credentials may not see it"
            yield Finding("project", Verdict.FAIL, text, lives, "gcloud projects list", TOPIC)
        else:
            yield unread("project", read, what=f"Project {project}", why=lives, topic=TOPIC)
        return
    state = read.get("state", read.get("lifecycleState", "ACTIVE"))
    if state == "ACTIVE":
        yield Finding("project", Verdict.OK, f"project {project} is there", lives, None, TOPIC)
    else:
        fix = f"gcloud projects undelete {project}"
        yield Finding("project", Verdict.FAIL, f"project {project} is {state}", lives, fix, TOPIC)


async def _billing(question: Question) -> Sequence[Finding]:
    read = await question.readings.billing()
    why = "without billing Google makes neither clusters nor machines"
    if isinstance(read, Gap):
        return [unread("billing", read, what="Billing", why=why, topic=TOPIC)]
    if read.get("billingEnabled"):
        return [Finding("billing", Verdict.OK, "billing is on", why, None, TOPIC)]
    fix = f"gcloud billing projects link {question.project} --billing-account=$(gcloud billing accounts list "
    fix += "--filter=open=true --format='value(name.basename())' --limit=1)"
    return [Finding("billing", Verdict.FAIL, f"billing is off for {question.project}", why, fix, TOPIC)]


# --- APIs -------------------------------------------------------------------------------------------------------------


async def _apis(question: Question) -> Sequence[Finding]:
    readings = question.readings
    enabled, held, *answers = await asyncio.gather(
        readings.services(),
        readings.held((ENABLE,)),
        readings.project_quotas(),
        readings.clusters(),
        readings.memberships(),
        readings.project_itself(),
    )
    names = ("compute", "container", "gkehub", "cloudresourcemanager")
    refusing = {
        f"{name}.googleapis.com"
        for name, answer in zip(names, answers, strict=True)
        if isinstance(answer, Gap) and answer.off
    }
    may_enable = None if isinstance(held, Gap) else ENABLE in held
    return list(judge_apis(enabled, refusing, may_enable, question))


def judge_apis(
    enabled: frozenset[str] | Gap, refusing: Collection[str], may_enable: bool | None, question: Question
) -> Iterator[Finding]:
    """Which APIs are on; one that is off is only a failure where applying could not turn it on.

    ``refusing`` are those that answer that they are off, ``may_enable`` whether the caller may turn them on.
    """
    why = "a call to an API that is off is refused"
    if isinstance(enabled, Gap):
        yield unread("api", enabled, what="Which APIs are on", why=why, topic=TOPIC)
        return
    for name in sorted(question.wanted_apis):
        fix = f"gcloud services enable {name} --project={question.project}"
        if name in enabled and name in refusing:
            text = f"{name} is listed as enabled and still answers that it is off"
            verdict = Verdict.FAIL
        elif name in enabled:
            yield Finding(f"api/{name}", Verdict.OK, f"{name} is on", why, None, TOPIC)
            continue
        elif may_enable is False:
            text = f"{name} is off, and these credentials may not turn it on ({ENABLE} is missing)"
            verdict, fix = Verdict.FAIL, f"{_grant(question, role_for(ENABLE))} && {fix}"
        else:
            text, verdict = f"{name} is off; the first step of `mcig apply` turns it on", Verdict.WARN
        yield Finding(f"api/{name}", verdict, text, why, fix, TOPIC)


# --- permissions ------------------------------------------------------------------------------------------------------


async def _permissions(question: Question) -> Sequence[Finding]:
    asked = tuple(sorted({*question.permissions, *LOOKING}))
    held = await question.readings.held(asked)
    strange: frozenset[str] = frozenset()
    if isinstance(held, Gap) and isinstance(held.error, InvalidRequest):
        strange = frozenset(one for one in asked if one in held.error.message)
        if strange:
            held = await question.readings.held(tuple(one for one in asked if one not in strange))
    return list(judge_permissions(asked, held, strange, question))


def judge_permissions(
    asked: Sequence[str], held: frozenset[str] | Gap, strange: Collection[str], question: Question
) -> Iterator[Finding]:
    """Which permissions are missing, for which step, and which role would bring them."""
    why = "a run that lacks a permission stops in the middle"
    if isinstance(held, Gap):
        yield unread("permission", held, what="What these credentials may do", why=why, topic=TOPIC)
        return
    for name in asked:
        step = question.permissions.get(name, PREFLIGHT)
        if name in strange:
            text = f"Google does not say whether {name} is held; {step} needs it"
            yield Finding(f"permission/{name}", Verdict.UNKNOWN, text, why, None, TOPIC)
        elif name in held:
            yield Finding(f"permission/{name}", Verdict.OK, f"{name} is held", why, None, TOPIC)
        else:
            role = role_for(name)
            for_what = step if step == PREFLIGHT else f"step {step}"
            text = f"{name} is missing; {for_what} needs it, and {role} is the least role that holds it"
            verdict = Verdict.FAIL if name in question.permissions else Verdict.WARN
            yield Finding(f"permission/{name}", verdict, text, why, _grant(question, role), TOPIC)


def _grant(question: Question, role: str) -> str:
    email = getattr(question.readings.clients.connection.credentials, "service_account_email", None)
    member = f"serviceAccount:{email}" if email and "@" in str(email) else "user:$(gcloud config get account)"
    return f'gcloud projects add-iam-policy-binding {question.project} --member="{member}" --role={role}'


# --- organisation policies --------------------------------------------------------------------------------------------

_FORBIDS: Mapping[str, str] = {
    "compute.vmExternalIpAccess": "nodes with public addresses, as GKE makes them here",
    "gcp.resourceLocations": "resources in some regions",
    "iam.disableServiceAccountCreation": "new service accounts, such as the nodes' own",
    "gcp.restrictServiceUsage": "some APIs",
    "compute.restrictLoadBalancerCreationForTypes": "some kinds of load balancers",
}
"""Constraints that can forbid what is planned, each with what it is about."""
_LOAD_BALANCERS = ("in:INTERNAL", "GLOBAL_INTERNAL_MANAGED_HTTP_HTTPS", "INTERNAL_MANAGED")


async def _policies(question: Question) -> Sequence[Finding]:
    read = await asyncio.gather(*(question.readings.policy(name) for name in _FORBIDS))
    return list(judge_policies(dict(zip(_FORBIDS, read, strict=True)), question))


def judge_policies(read: Mapping[str, Json | Gap], question: Question) -> Iterator[Finding]:
    """Which policies forbid what is planned; those that cannot be read are told of once."""
    gaps = {name: one for name, one in read.items() if isinstance(one, Gap)}
    for name, policy in read.items():
        if isinstance(policy, Gap):
            continue
        why = "what a policy forbids is refused in the middle of a run, whatever the permissions"
        if denied := _denied(name, policy, question):
            fix = f"gcloud resource-manager org-policies describe {name} --project={question.project} --effective"
            text = f"the organisation policy {name} forbids {denied}; its administrator can make an exception"
            yield Finding(f"policy/{name}", Verdict.FAIL, text, why, fix, TOPIC)
        else:
            text = f"{name}, which can forbid {_FORBIDS[name]}, forbids nothing that is planned"
            yield Finding(f"policy/{name}", Verdict.OK, text, why, None, TOPIC)
    for why_not in dict.fromkeys(gap.why for gap in gaps.values()):
        names = ", ".join(name for name, gap in gaps.items() if gap.why == why_not)
        text = f"{names} could not be read: {why_not}"
        yield Finding(
            "policy", Verdict.UNKNOWN, text, "a policy can forbid what is planned", None, TOPIC, cause=why_not
        )


def _denied(name: str, policy: Json, question: Question) -> str:
    listed = policy.get("listPolicy") or {}
    allowed, denied = listed.get("allowedValues") or (), listed.get("deniedValues") or ()
    nothing = listed.get("allValues") == "DENY"
    match name:
        case "iam.disableServiceAccountCreation":
            return _FORBIDS[name] if (policy.get("booleanPolicy") or {}).get("enforced") else ""
        case "compute.vmExternalIpAccess":
            return _FORBIDS[name] if nothing or allowed else ""
        case "gcp.resourceLocations":
            out = [
                cluster.region
                for cluster in question.spec.clusters
                if nothing or (allowed and not _covers(allowed, cluster.region)) or _covers(denied, cluster.region)
            ]
            return f"resources in {', '.join(out)}" if out else ""
        case "gcp.restrictServiceUsage":
            barred = [
                api
                for api in sorted(question.wanted_apis)
                if nothing or (allowed and api not in allowed) or api in denied
            ]
            return ", ".join(barred)
        case _:
            kinds = [kind for kind in _LOAD_BALANCERS if kind in denied]
            return "internal load balancers" if nothing or kinds else ""


def _covers(values: Collection[str], region: str) -> bool:
    """Whether location values name a region: itself, or a group such as ``in:eu-locations`` or ``in:us-east4-...``."""
    continent = {"europe": "eu", "northamerica": "northamerica"}.get(region.partition("-")[0], region.partition("-")[0])
    names = {region, f"in:{region}-locations", f"in:{continent}-locations", f"in:{region.partition('-')[0]}-locations"}
    return bool(names & set(values)) or any(value.startswith(f"{region}-") for value in values)


CHECKS = (
    Check(
        "credentials, project",
        TOPIC,
        "the project in Resource Manager",
        "an expired login or a mistyped project, found out at the first step",
        _project,
    ),
    Check("billing", TOPIC, "Cloud Billing", "a cluster that is refused because nobody pays", _billing),
    Check(
        "api/NAME",
        TOPIC,
        "Service Usage, and whether the APIs answer",
        "SERVICE_DISABLED in the middle of a run",
        _apis,
    ),
    Check(
        "permission/NAME",
        TOPIC,
        "testIamPermissions, for every permission that a step needs",
        "a permission that is missing at step 30",
        _permissions,
    ),
    Check(
        "policy/CONSTRAINT",
        TOPIC,
        "effective organisation policies",
        "what the organisation forbids, found out after the clusters were made",
        _policies,
    ),
)
