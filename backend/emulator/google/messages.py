"""The messages that calls take whose API is read field by field: small ones, so that no package has to be loaded.

Whole messages, also the fields that no handler looks at, because a field that is missing here would be refused.
`tests/emulator/test_google_messages.py` holds them against the published message types.
"""

from __future__ import annotations

from backend.emulator.google.bodytypes import DECIMAL, FLAG, LONG, LONG_COUNT, NUMBER, TEXT, Field, Message


def _all(kind: str, *names: str) -> Message:
    return dict.fromkeys(names, Field(kind))


def _message(kind: str, fields: Message, *, many: bool = False, keyed: bool = False) -> Field:
    return Field(kind, of=lambda: fields, many=many, keyed=keyed)


_TEXTS, _TEXT_BY_KEY = Field(TEXT, many=True), Field(TEXT, keyed=True)
NOTHING: Message = {}

# Service Usage
ENABLE = _all(TEXT, "name")
DISABLE = ENABLE | {
    "disableDependentServices": Field(FLAG),
    "checkIfServiceHasUsage": Field(
        "google.api.serviceusage.v1.DisableServiceRequest.CheckIfServiceHasUsage",
        values=frozenset({"CHECK_IF_SERVICE_HAS_USAGE_UNSPECIFIED", "SKIP", "CHECK"}),
    ),
}
BATCH_ENABLE = _all(TEXT, "parent") | {"serviceIds": _TEXTS}

# Resource Manager and IAM
_EXPRESSION = _all(TEXT, "expression", "title", "description", "location")
_BINDING = _all(TEXT, "role") | {"members": _TEXTS, "condition": _message("google.type.Expr", _EXPRESSION)}
_LOGGED = {"logType": Field("google.iam.v1.AuditLogConfig.LogType", values=frozenset()), "exemptedMembers": _TEXTS}
_AUDIT = _all(TEXT, "service") | {"auditLogConfigs": _message("google.iam.v1.AuditLogConfig", _LOGGED, many=True)}
_POLICY = {
    "version": Field(NUMBER),
    "etag": Field(TEXT),
    "bindings": _message("google.iam.v1.Binding", _BINDING, many=True),
    "auditConfigs": _message("google.iam.v1.AuditConfig", _AUDIT, many=True),
}
SET_POLICY = _all(TEXT, "resource", "updateMask") | {"policy": _message("google.iam.v1.Policy", _POLICY)}
GET_POLICY = _all(TEXT, "resource") | {
    "options": _message("google.iam.v1.GetPolicyOptions", _all(NUMBER, "requestedPolicyVersion"))
}
TEST_PERMISSIONS = _all(TEXT, "resource") | {"permissions": _TEXTS}
TESTABLE_PERMISSIONS = _all(TEXT, "fullResourceName", "pageToken") | _all(NUMBER, "pageSize")
EFFECTIVE_POLICY = _all(TEXT, "constraint")
_ACCOUNT = _all(
    TEXT, "name", "projectId", "uniqueId", "email", "displayName", "etag", "description", "oauth2ClientId"
) | _all(FLAG, "disabled")
_SERVICE_ACCOUNT = _message("google.iam.admin.v1.ServiceAccount", _ACCOUNT)
CREATE_ACCOUNT = _all(TEXT, "name", "accountId") | {"serviceAccount": _SERVICE_ACCOUNT}
PATCH_ACCOUNT = _all(TEXT, "updateMask") | {"serviceAccount": _SERVICE_ACCOUNT}

# Cloud Billing and Cloud Quotas
BILLING = _all(TEXT, "name", "projectId", "billingAccountName") | _all(FLAG, "billingEnabled")
_QUOTA_CONFIG = (
    _all(TEXT, "stateDetail", "traceId")
    | _all(LONG, "preferredValue", "grantedValue")
    | {
        "annotations": _TEXT_BY_KEY,
        "requestOrigin": Field("google.api.cloudquotas.v1.QuotaConfig.Origin", values=frozenset()),
    }
)
QUOTA_PREFERENCE = (
    _all(TEXT, "name", "etag", "createTime", "updateTime", "service", "quotaId", "justification", "contactEmail")
    | _all(FLAG, "reconciling")
    | {"dimensions": _TEXT_BY_KEY, "quotaConfig": _message("google.api.cloudquotas.v1.QuotaConfig", _QUOTA_CONFIG)}
)

# Compute Engine
_V1 = "google.cloud.compute.v1."
_TAGS = {"resourceManagerTags": _TEXT_BY_KEY}
_ROUTING = _all(TEXT, "routingMode", "bgpBestPathSelectionMode", "bgpInterRegionCost", "effectiveBgpInterRegionCost")
NETWORK = (
    _all(
        TEXT, "IPv4Range", "creationTimestamp", "description", "firewallPolicy", "gatewayIPv4", "internalIpv6Range",
        "kind", "name", "networkFirewallPolicyEnforcementOrder", "networkProfile", "selfLink", "selfLinkWithId",
    )
    | _all(FLAG, "autoCreateSubnetworks", "enableUlaInternalIpv6")
    | _all(LONG_COUNT, "id")
    | _all(NUMBER, "mtu")
    | {
        "subnetworks": _TEXTS,
        "params": _message(f"{_V1}NetworkParams", _TAGS),
        "routingConfig": _message(
            f"{_V1}NetworkRoutingConfig",
            _ROUTING | _all(FLAG, "bgpAlwaysCompareMed", "effectiveBgpAlwaysCompareMed"),
        ),
    }
)  # fmt: skip
"""Without `peerings`, which no network is made with."""
_LOG = (
    _all(TEXT, "aggregationInterval", "filterExpr", "metadata")
    | _all(FLAG, "enable")
    | _all(DECIMAL, "flowSampling")
    | {"metadataFields": _TEXTS}
)
_SECONDARY = _all(TEXT, "ipCidrRange", "ipCollection", "ipVersion", "rangeName", "reservedInternalRange")
SUBNETWORK = (
    _all(
        TEXT, "creationTimestamp", "description", "externalIpv6Prefix", "fingerprint", "gatewayAddress",
        "internalIpv6Prefix", "ipCidrRange", "ipCollection", "ipv6AccessType", "ipv6CidrRange", "ipv6GceEndpoint",
        "kind", "name", "network", "privateIpv6GoogleAccess", "purpose", "region", "reservedInternalRange",
        "resolveSubnetMask", "role", "selfLink", "stackType", "state",
    )
    | _all(FLAG, "allowSubnetCidrRoutesOverlap", "enableFlowLogs", "privateIpGoogleAccess")
    | _all(LONG_COUNT, "id")
    | {
        "logConfig": _message(f"{_V1}SubnetworkLogConfig", _LOG),
        "params": _message(f"{_V1}SubnetworkParams", _TAGS),
        "secondaryIpRanges": _message(f"{_V1}SubnetworkSecondaryRange", _SECONDARY, many=True),
        "systemReservedExternalIpv6Ranges": _TEXTS,
        "systemReservedInternalIpv6Ranges": _TEXTS,
    }
)  # fmt: skip
"""Without `utilizationDetails`, which answers alone have."""
SET_PRIVATE_ACCESS = _all(FLAG, "privateIpGoogleAccess")
EXPAND_RANGE = _all(TEXT, "ipCidrRange")
_SPOT = _all(TEXT, "provisioningModel")
_GPUS = _all(TEXT, "acceleratorType") | _all(NUMBER, "acceleratorCount")
_DISK = _all(TEXT, "type")
_ADVICE = f"{_V1}CapacityAdviceRequest"
_SELECTION = _all(LONG, "rank") | {
    "machineTypes": _TEXTS,
    "disks": _message(f"{_ADVICE}InstanceFlexibilityPolicyInstanceSelectionAttachedDisk", _DISK, many=True),
    "guestAccelerators": _message(f"{_V1}AcceleratorConfig", _GPUS, many=True),
}
_SELECTIONS = {
    "instanceSelections": _message(f"{_ADVICE}InstanceFlexibilityPolicyInstanceSelection", _SELECTION, keyed=True)
}
_DISTRIBUTION = _all(TEXT, "targetShape") | {
    "zones": _message(f"{_ADVICE}DistributionPolicyZoneConfiguration", _all(TEXT, "zone"), many=True)
}
CAPACITY_ADVICE = _all(NUMBER, "size") | {
    "distributionPolicy": _message(f"{_ADVICE}DistributionPolicy", _DISTRIBUTION),
    "instanceFlexibilityPolicy": _message(f"{_ADVICE}InstanceFlexibilityPolicy", _SELECTIONS),
    "instanceProperties": _message(
        f"{_ADVICE}InstanceProperties", {"scheduling": _message(f"{_ADVICE}InstancePropertiesScheduling", _SPOT)}
    ),
}
_HISTORY = f"{_V1}CapacityHistoryRequest"
CAPACITY_HISTORY = {
    "types": _TEXTS,
    "locationPolicy": _message(f"{_HISTORY}LocationPolicy", _all(TEXT, "location")),
    "instanceProperties": _message(
        f"{_HISTORY}InstanceProperties",
        _all(TEXT, "machineType")
        | {
            "scheduling": _message(f"{_HISTORY}InstancePropertiesScheduling", _SPOT),
            "disks": _message(f"{_HISTORY}InstancePropertiesAttachedDisk", _DISK, many=True),
            "guestAccelerators": _message(f"{_V1}AcceleratorConfig", _GPUS, many=True),
        },
    ),
}
