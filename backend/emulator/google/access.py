"""What the caller may do in the project, and who gave it.

The caller is an owner by what it inherits from the organisation, so nothing is missing until the setting `iam.deny`
takes permissions away. A role of its own on the project then gives back what that role holds, as it would for somebody
who was never an owner. One answer for every API: what `testIamPermissions` says is what the calls do.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from backend.emulator import faults, settings
from backend.emulator.google.routing import KNOWN
from backend.emulator.google.steps import step_of
from backend.emulator.world import World

CALLER = "user:rehearsal@example.com"
"""Whom the bearer token of the emulated cloud stands for."""
_VIEW = ("*.get", "*.list", "*.getIamPolicy")
ROLES: dict[str, tuple[str, ...]] = {
    "roles/editor": (*_VIEW, "compute.*", "container.*", "gkehub.*", "serviceusage.*", "iam.serviceAccounts.*"),
    "roles/viewer": (*_VIEW, "compute.advice.*"),
    "roles/browser": ("resourcemanager.*.get", "resourcemanager.*.list"),
    "roles/cloudquotas.admin": ("cloudquotas.*",),
    "roles/cloudquotas.viewer": ("cloudquotas.*.get",),
    "roles/compute.admin": ("compute.*",),
    "roles/compute.instanceAdmin.v1": ("compute.instance*", "compute.disks.*", "compute.machineTypes.*"),
    "roles/compute.loadBalancerAdmin": (
        "compute.addresses.*", "compute.backendServices.*", "compute.forwardingRules.*",
        "compute.globalForwardingRules.*", "compute.healthChecks.*", "compute.networkEndpointGroups.*",
        "compute.targetHttpProxies.*", "compute.urlMaps.*",
    ),
    "roles/compute.networkAdmin": (
        "compute.addresses.*", "compute.backendServices.*", "compute.firewalls.get", "compute.firewalls.list",
        "compute.forwardingRules.*", "compute.globalForwardingRules.*", "compute.globalOperations.*",
        "compute.healthChecks.*", "compute.networkEndpointGroups.*", "compute.networks.*", "compute.projects.get",
        "compute.regionOperations.*", "compute.regions.*", "compute.subnetworks.*", "compute.targetHttpProxies.*",
        "compute.urlMaps.*", "compute.zones.*",
    ),
    "roles/compute.networkUser": (
        "compute.networks.use*", "compute.subnetworks.use*", "compute.*.get", "compute.*.list",
    ),
    "roles/compute.networkViewer": (
        "compute.backendServices.get", "compute.backendServices.list", "compute.forwardingRules.get",
        "compute.forwardingRules.list", "compute.networkEndpointGroups.get", "compute.networkEndpointGroups.list",
        "compute.networks.get", "compute.networks.list", "compute.subnetworks.get", "compute.subnetworks.list",
    ),
    "roles/compute.securityAdmin": ("compute.firewalls.*", "compute.sslCertificates.*", "compute.sslPolicies.*"),
    "roles/compute.viewer": ("compute.*.get", "compute.*.list", "compute.advice.*"),
    "roles/container.admin": ("container.*",),
    "roles/container.clusterAdmin": ("container.clusters.*", "container.operations.*"),
    "roles/container.developer": (
        "container.configMaps.*", "container.deployments.*", "container.jobs.*", "container.pods.*",
        "container.secrets.*", "container.services.*", "container.thirdPartyObjects.*", "container.clusters.get",
        "container.clusters.list",
    ),
    "roles/container.viewer": ("container.*.get", "container.*.list"),
    "roles/gkehub.admin": ("gkehub.*",),
    "roles/gkehub.editor": ("gkehub.memberships.*", "gkehub.features.*", "gkehub.operations.*", "gkehub.locations.*"),
    "roles/gkehub.viewer": ("gkehub.*.get", "gkehub.*.list"),
    "roles/iam.securityAdmin": ("*.getIamPolicy", "*.setIamPolicy"),
    "roles/iam.serviceAccountAdmin": (
        "iam.serviceAccounts.create", "iam.serviceAccounts.delete", "iam.serviceAccounts.get",
        "iam.serviceAccounts.list", "iam.serviceAccounts.update", "iam.serviceAccounts.*IamPolicy",
    ),
    "roles/iam.serviceAccountCreator": ("iam.serviceAccounts.create", "iam.serviceAccounts.get"),
    "roles/iam.serviceAccountUser": (
        "iam.serviceAccounts.actAs", "iam.serviceAccounts.get", "iam.serviceAccounts.list",
    ),
    "roles/logging.viewer": ("logging.*.get", "logging.*.list"),
    "roles/monitoring.viewer": ("monitoring.*.get", "monitoring.*.list"),
    "roles/orgpolicy.policyViewer": ("orgpolicy.*",),
    "roles/owner": (),
    "roles/resourcemanager.projectIamAdmin": (
        "resourcemanager.projects.get", "resourcemanager.projects.getIamPolicy",
        "resourcemanager.projects.setIamPolicy",
    ),
    "roles/serviceusage.serviceUsageAdmin": ("serviceusage.*",),
    "roles/serviceusage.serviceUsageViewer": ("serviceusage.*.get", "serviceusage.*.list"),
}  # fmt: skip
"""Permissions of predefined roles, as patterns: an excerpt of what concerns a gateway.

Owner gives nothing back: the caller is one, and `iam.deny` says what it lacks nevertheless.
"""
_OF_OTHERS = frozenset(
    {
        "roles/artifactregistry.reader", "roles/autoscaling.metricsWriter", "roles/container.defaultNodeServiceAccount",
        "roles/container.hostServiceAgentUser", "roles/container.nodeServiceAccount", "roles/container.serviceAgent",
        "roles/gkehub.connect", "roles/gkehub.serviceAgent", "roles/iam.serviceAccountTokenCreator",
        "roles/iam.workloadIdentityUser", "roles/logging.logWriter", "roles/logging.admin",
        "roles/monitoring.admin", "roles/monitoring.metricWriter", "roles/multiclusteringress.serviceAgent",
        "roles/multiclusterservicediscovery.serviceAgent", "roles/secretmanager.secretAccessor",
        "roles/stackdriver.resourceMetadata.writer", "roles/storage.admin", "roles/storage.objectAdmin",
        "roles/storage.objectUser", "roles/storage.objectViewer",
    }
)  # fmt: skip
"""Predefined roles that nodes, workloads and service agents are given, and that give the caller nothing here."""


def grantable(role: str) -> bool:
    """Whether a role is one of the predefined roles that are known here; nobody makes roles of their own."""
    return role in ROLES or role in _OF_OTHERS


_KINDS = (
    "clusterRoleBindings", "clusterRoles", "configMaps", "customResourceDefinitions", "deployments", "jobs", "pods",
    "roleBindings", "roles", "secrets", "serviceAccounts", "services", "thirdPartyObjects",
)  # fmt: skip
_VERBS = ("create", "delete", "get", "list", "update")
_OTHERS = frozenset(
    {
        "compute.networks.updatePolicy", "compute.networks.use", "compute.subnetworks.use",
        "container.clusters.getCredentials", "container.pods.exec", "container.pods.getLogs",
        "container.pods.portForward", "container.pods.proxy", "container.services.proxy", "gkehub.fleet.get",
        "iam.serviceAccounts.actAs", "logging.logEntries.list", "monitoring.timeSeries.list",
    }
)  # fmt: skip


def denied(world: World) -> frozenset[str]:
    """Permissions that the caller lacks now."""
    taken = [one for one in (settings.value(world, "iam.deny") or "").split(",") if one]
    held = _patterns(world) if taken else ()
    return frozenset(one for one in taken if not any(fnmatchcase(one, pattern) for pattern in held))


def allowed(world: World, permission: str) -> bool:
    """Whether the caller has a permission on the project; the empty one is everybody's."""
    return not permission or permission not in denied(world)


def held(world: World, permission: str) -> bool:
    """Whether the caller has a permission, also in view of faults that refuse whole kinds of steps."""
    return allowed(world, permission) and permission not in _refused(world)


def _refused(world: World) -> frozenset[str]:
    steps = {
        fault.get("step") for fault in faults.playing(world, "permission-denied") if "/" not in fault.get("step", "")
    }
    whole = [route for route in KNOWN if None in steps or step_of(route, {}, {})[0] in steps]
    return frozenset(route.permission for route in whole)


def known_permissions() -> list[str]:
    """Every permission that a call of the emulated cloud asks for, and those inside clusters, by name."""
    asked = {route.permission for route in KNOWN if route.permission}
    return sorted(asked | {f"container.{kind}.{verb}" for kind in _KINDS for verb in _VERBS} | _OTHERS)


def _patterns(world: World) -> tuple[str, ...]:
    bindings = world.tables["iam"].get("bindings", ())
    roles = [one["role"] for one in bindings if "condition" not in one and CALLER in one["members"]]
    return tuple(pattern for role in roles for pattern in ROLES.get(role, ()))
