"""Bad input, drawn from the table of calls: always answered as Google would, never with 500, and the cloud lives on."""

from __future__ import annotations

import copy
import io
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.emulator.google.app import BATCH, LARGEST_BODY, ROUTES

REGIONS = "/compute/v1/projects/demo-project/regions/us-east4"
SUBNETS = f"{REGIONS}/subnetworks"
_NAMES = (
    "demo-project", "europe-west3", "europe-west3-c", "us-east4", "global", "-", "gke-west", "default", "default-pool",
    "multiclusteringress", "container.googleapis.com", "x", "%00", "%2e%2e", "é", "A" * 300,
)  # fmt: skip
_FIELDS = (
    "cluster", "nodePool", "nodePools", "name", "config", "machineType", "initialNodeCount", "locations", "network",
    "subnetwork", "networkConfig", "gatewayApiConfig", "channel", "releaseChannel", "update", "desiredLocations",
    "desiredGatewayApiConfig", "resourceLabels", "labelFingerprint", "labels", "spec", "endpoint", "gkeCluster",
    "resourceLink", "configMembership", "multiclusteringress", "ipCidrRange", "purpose", "role", "logConfig",
    "autoCreateSubnetworks", "policy", "bindings", "members", "options", "requestedPolicyVersion", "accountId",
    "serviceAccount", "updateMask", "serviceIds", "autoscaling", "nodeCount", "accelerators", "acceleratorCount",
    "workloadIdentityConfig", "monitoringConfig", "permissions", "privateIpGoogleAccess", "etag", "authority",
)  # fmt: skip
_QUERY = (
    "pageSize", "pageToken", "maxResults", "filter", "fields", "updateMask", "featureId", "membershipId", "names",
    "force", "alt", "returnPartialSuccess", "checkIfServiceHasUsage", "options.requestedPolicyVersion",
)  # fmt: skip
_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(_NAMES) | st.text()
_json = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_FIELDS) | st.text(), inner, max_size=5)
    ),
    max_leaves=12,
)
_LINK = "//container.googleapis.com/projects/demo-project/locations/europe-west3/clusters/gke-west"
_SOUND: tuple[Any, ...] = (
    {
        "cluster": {
            "name": "gke-east",
            "initialClusterVersion": "1.34.1-gke.1127000",
            "releaseChannel": {"channel": "RAPID"},
            "network": "default",
            "networkConfig": {"gatewayApiConfig": {"channel": "CHANNEL_STANDARD"}},
            "workloadIdentityConfig": {"workloadPool": "demo-project.svc.id.goog"},
            "resourceLabels": {"a": "b"},
            "locations": ["us-east4-a"],
            "nodePools": [{"name": "default-pool", "initialNodeCount": 3, "config": {"machineType": "c2-standard-16"}}],
        }
    },
    {
        "nodePool": {
            "name": "h100",
            "initialNodeCount": 3,
            "locations": ["europe-west3-c"],
            "autoscaling": {"enabled": True, "maxNodeCount": 3},
            "config": {
                "machineType": "a3-highgpu-2g",
                "diskSizeGb": 100,
                "spot": True,
                "accelerators": [{"acceleratorCount": "2", "acceleratorType": "nvidia-h100-80gb"}],
            },
        }
    },
    {"update": {"desiredGatewayApiConfig": {"channel": "CHANNEL_STANDARD"}}},
    {"update": {"desiredLocations": ["europe-west3-a"]}},
    {"update": {"desiredMonitoringConfig": {"managedPrometheusConfig": {"enabled": True}}}},
    {"nodeCount": 2},
    {"autoscaling": {"enabled": True, "maxNodeCount": 3}},
    {"endpoint": {"gkeCluster": {"resourceLink": _LINK}}, "labels": {"a": "b"}, "authority": {"issuer": "https://x"}},
    {"spec": {"multiclusteringress": {"configMembership": "projects/demo-project/locations/global/memberships/m"}}},
    {
        "name": "proxies",
        "ipCidrRange": "10.9.0.0/23",
        "purpose": "GLOBAL_MANAGED_PROXY",
        "role": "ACTIVE",
        "network": "projects/demo-project/global/networks/default",
    },
    {"name": "other", "autoCreateSubnetworks": True, "description": "x"},
    {"policy": {"version": 3, "etag": "x", "bindings": [{"role": "roles/owner", "members": ["user:a@example.com"]}]}},
    {"options": {"requestedPolicyVersion": 3}, "permissions": ["container.clusters.create"]},
    {"accountId": "someone", "serviceAccount": {"displayName": "x", "description": "y"}, "updateMask": "description"},
    {"serviceIds": ["container.googleapis.com"]},
    {"checkIfServiceHasUsage": "SKIP", "disableDependentServices": True},
    {"resourceLabels": {"a": "b"}, "labelFingerprint": "x"},
)


@st.composite
def _nearly_sound(draw: st.DrawFn) -> bytes:
    """A sound body of some call with another value in one place of it."""
    body = copy.deepcopy(draw(st.sampled_from(_SOUND)))
    places: list[tuple[tuple[Any, ...], Any]] = [((), body)]
    for path, value in places:
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        places += [((*path, key), below) for key, below in inner]
    path, _ = draw(st.sampled_from(places))
    wrong = draw(_json)
    if not path:
        return json.dumps(wrong if draw(st.booleans()) else body).encode()
    target = body
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = wrong
    return json.dumps(body).encode()


_bodies = (
    _nearly_sound()
    | _nearly_sound()
    | _json.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=60)
    | st.sampled_from([b"", b"{", b"[]", b'{"a":' * 5000, b"\xff\xfe", b'{"cluster": NaN}'])
)
_names = st.sampled_from(_NAMES) | st.from_regex(r"[a-z0-9-]{1,20}", fullmatch=True)
_queries = st.dictionaries(st.sampled_from(_QUERY), st.sampled_from(_NAMES) | st.text(max_size=20), max_size=3)


_WRITING = tuple(route for route in ROUTES if route.method in {"POST", "PUT", "PATCH"})


@st.composite
def _requests(draw: st.DrawFn) -> tuple[str, str]:
    """Method and path of an emulated call; the project is mostly the one that is there."""
    route = draw(st.sampled_from(_WRITING) | st.sampled_from(ROUTES))
    path = route.template
    for name in route.pattern.groupindex:
        value = "demo-project" if name == "project" and draw(st.integers(0, 9)) else draw(_names)
        path = path.replace("{" + name + "}", value)
    return route.method, path


async def _world_to_break(cloud: Any) -> Any:
    """The tables of a world with one thing of every kind in it."""
    if "before" not in cloud.__dict__:
        await cloud.create_cluster()
        fleet = "/gkehub/v1/projects/demo-project/locations/global"
        link = "//container.googleapis.com/projects/demo-project/locations/europe-west3/clusters/gke-west"
        body: Any = {"endpoint": {"gkeCluster": {"resourceLink": link}}}
        await cloud.ok("POST", f"{fleet}/memberships", body, membershipId="gke-west")
        member = "projects/demo-project/locations/global/memberships/gke-west"
        body = {"spec": {"multiclusteringress": {"configMembership": member}}}
        await cloud.ok("POST", f"{fleet}/features", body, featureId="multiclusteringress")
        cloud.now += 3600
        cloud.before = copy.deepcopy(cloud.world.tables)
    return copy.deepcopy(cloud.before)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(request=_requests(), query=_queries, body=_bodies)
async def test_whatever_is_sent_is_answered_in_googles_form(
    cloud: Any, request: tuple[str, str], query: dict[str, str], body: bytes
) -> None:
    cloud.world.tables.update(await _world_to_break(cloud))
    method, path = request
    headers = {"Authorization": "Bearer secret"}
    async with cloud.client.request(method, path, params=query, data=body, headers=headers) as answer:
        told = await answer.json()
        assert answer.status in {200, 400, 403, 404, 409, 501}, (method, path, query, body, told)
    if answer.status != 200:
        error = told["error"]
        assert error["code"] == answer.status
        assert error["message"]
        assert error["status"]
        assert error["errors"][0]["reason"]
    assert (await cloud.ok("GET", REGIONS))["name"] == "us-east4"
    assert "clusters" in cloud.world.tables


async def test_a_body_that_is_too_large_is_refused(cloud: Any) -> None:
    headers = {"Authorization": "Bearer secret"}
    for path in (SUBNETS, BATCH):
        async with cloud.client.post(path, data=io.BytesIO(b" " * (LARGEST_BODY + 1)), headers=headers) as answer:
            assert answer.status == 400
            message = (await answer.json())["error"]["message"]
        assert message == f"Request payload size exceeds the limit: {LARGEST_BODY} bytes."
    assert (await cloud.ok("GET", REGIONS))["name"] == "us-east4"
