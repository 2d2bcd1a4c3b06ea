"""Bodies of requests: the messages that are declared are Google's, and a field that is none of them is refused."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from backend.emulator.google import messages, schema
from backend.emulator.google.app import ROUTES
from backend.emulator.google.bodytypes import Message

if TYPE_CHECKING:
    from tests.emulator.conftest import Cloud

PUBLISHED = {
    "ENABLE": ("google.cloud.service_usage_v1", "EnableServiceRequest"),
    "DISABLE": ("google.cloud.service_usage_v1", "DisableServiceRequest"),
    "BATCH_ENABLE": ("google.cloud.service_usage_v1", "BatchEnableServicesRequest"),
    "SET_POLICY": ("google.iam.v1.iam_policy_pb2", "SetIamPolicyRequest"),
    "GET_POLICY": ("google.iam.v1.iam_policy_pb2", "GetIamPolicyRequest"),
    "TEST_PERMISSIONS": ("google.iam.v1.iam_policy_pb2", "TestIamPermissionsRequest"),
    "TESTABLE_PERMISSIONS": ("google.cloud.iam_admin_v1", "QueryTestablePermissionsRequest"),
    "CREATE_ACCOUNT": ("google.cloud.iam_admin_v1", "CreateServiceAccountRequest"),
    "PATCH_ACCOUNT": ("google.cloud.iam_admin_v1", "PatchServiceAccountRequest"),
    "QUOTA_PREFERENCE": ("google.cloud.cloudquotas_v1", "QuotaPreference"),
    "NETWORK": ("google.cloud.compute_v1", "Network"),
    "SUBNETWORK": ("google.cloud.compute_v1", "Subnetwork"),
    "SET_PRIVATE_ACCESS": ("google.cloud.compute_v1", "SubnetworksSetPrivateIpGoogleAccessRequest"),
    "EXPAND_RANGE": ("google.cloud.compute_v1", "SubnetworksExpandIpCidrRangeRequest"),
    "CAPACITY_ADVICE": ("google.cloud.compute_v1", "CapacityAdviceRequest"),
    "CAPACITY_HISTORY": ("google.cloud.compute_v1", "CapacityHistoryRequest"),
}
UNPUBLISHED = {"NOTHING", "BILLING", "EFFECTIVE_POLICY"}
"""What no package that the project uses has a message type for."""
LEFT_OUT = {"utilizationDetails", "peerings"}
"""What answers alone have, and what no network is made with."""


def _published(module: str, name: str) -> Message:
    kind: Any = getattr(importlib.import_module(module), name)
    return schema.fields(kind.DESCRIPTOR if hasattr(kind, "DESCRIPTOR") else kind.pb(kind()).DESCRIPTOR)


def _leaves(message: Message, at: str = "") -> Iterator[tuple[str, str, bool, bool]]:
    """Every field with its kind, and those of the messages in it."""
    for name, field in message.items():
        if name in LEFT_OUT:
            continue
        place = f"{at}.{name}"
        yield place, field.kind, field.many, field.keyed
        if field.of is not None:
            yield from _leaves(field.of(), place)


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_a_declared_message_is_the_published_one(name: str) -> None:
    assert set(_leaves(getattr(messages, name))) == set(_leaves(_published(*PUBLISHED[name])))


def test_every_declared_message_is_judged_or_named_as_unpublished() -> None:
    declared = {name for name in vars(messages) if name.isupper() and not name.startswith("_")}
    assert declared - {"TEXT", "FLAG", "NUMBER", "LONG", "LONG_COUNT", "DECIMAL"} == set(PUBLISHED) | UNPUBLISHED
    assert {route.body is messages.NOTHING for route in ROUTES if route.method == "GET"} == {True}


_PROJECT = "/cloudresourcemanager/v3/projects/demo-project"
_SERVICES = "/serviceusage/v1/projects/demo-project/services"


@pytest.mark.parametrize(
    ("method", "path", "body", "place"),
    [
        ("POST", "/iam/v1/projects/demo-project/serviceAccounts", {"accountId": "abcdefg", "nonsense": 1}, ""),
        (
            "POST",
            "/iam/v1/projects/demo-project/serviceAccounts",
            {"serviceAccount": {"nonsense": 1}},
            "service_account",
        ),
        ("POST", f"{_SERVICES}:batchEnable", {"serviceIds": ["compute.googleapis.com"], "nonsense": 1}, ""),
        ("POST", f"{_SERVICES}/container.googleapis.com:enable", {"nonsense": 1}, ""),
        ("POST", f"{_PROJECT}:setIamPolicy", {"policy": {"bindings": [{"nonsense": 1}]}}, "policy.bindings[0]"),
        ("POST", "/compute/v1/projects/demo-project/global/networks", {"name": "n", "nonsense": 1}, ""),
        (
            "POST",
            "/compute/v1/projects/demo-project/regions/us-east4/subnetworks",
            {"logConfig": {"nonsense": 1}},
            "log_config",
        ),
        (
            "POST",
            "/container/v1/projects/demo-project/locations/us-east4/clusters",
            {"cluster": {"nodePools": [{"config": {"nonsense": 1}}]}},
            "cluster.node_pools[0].config",
        ),
    ],
)
async def test_a_field_that_does_not_exist_is_refused(
    cloud: Cloud, method: str, path: str, body: dict[str, Any], place: str
) -> None:
    cloud.enable("container", "iam")
    error = await cloud.refused(400, method, path, body)
    where = f" at '{place}'" if place else ""
    assert error["message"] == f'Invalid JSON payload received. Unknown name "nonsense"{where}: Cannot find field.'
    violation = error["details"][0]["fieldViolations"][0]
    assert violation == ({"field": place} if place else {}) | {"description": error["message"]}


@pytest.mark.parametrize(
    ("cluster", "told"),
    [
        (
            {"releaseChannel": {"channel": "NOPE"}},
            (
                "Invalid value at 'cluster.release_channel.channel' "
                '(type.googleapis.com/google.container.v1.ReleaseChannel.Channel), "NOPE"'
            ),
        ),
        ({"initialNodeCount": "many"}, "Invalid value at 'cluster.initial_node_count' (TYPE_INT32), \"many\""),
        ({"initialNodeCount": 2**40}, "Invalid value at 'cluster.initial_node_count' (TYPE_INT32), 1099511627776"),
        ({"name": 5}, "Invalid value at 'cluster.name' (TYPE_STRING), 5"),
        ({"locations": [1]}, "Invalid value at 'cluster.locations[0]' (TYPE_STRING), 1"),
        (
            {"nodePools": [3]},
            "Invalid value at 'cluster.node_pools[0]' (type.googleapis.com/google.container.v1.NodePool), 3",
        ),
        ({"resourceLabels": {"a": 1}}, "Invalid value at 'cluster.resource_labels[a]' (TYPE_STRING), 1"),
        (
            {"name": ["a"]},
            (
                "Invalid JSON payload received. Unknown name \"name\" at 'cluster': "
                "Proto field is not repeating, cannot start list."
            ),
        ),
    ],
)
async def test_a_value_that_cannot_be_is_told_with_its_place_and_kind(
    cloud: Cloud, cluster: dict[str, Any], told: str
) -> None:
    cloud.enable("container")
    path = "/container/v1/projects/demo-project/locations/us-east4/clusters"
    error = await cloud.refused(400, "POST", path, {"cluster": cluster})
    assert error["message"] == told


async def test_either_spelling_of_a_field_counts(cloud: Cloud) -> None:
    cloud.enable("iam")
    body = {"account_id": "abcdefg", "service_account": {"display_name": "Nodes"}}
    account = await cloud.ok("POST", "/iam/v1/projects/demo-project/serviceAccounts", body)
    assert account["displayName"] == "Nodes"
