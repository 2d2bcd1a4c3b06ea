"""Proxy-only subnets: a free range, one a region, and what is there is used."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.clients import Clients
from backend.engine.events import Verb
from backend.errors import AlreadyExists, InvalidRequest, OperationFailed
from backend.resources import marks
from backend.resources.network import Proxies, ProxySubnet
from backend.resources.subnets import active_proxy, proposals, ranges, taken
from backend.spec import GatewaySpec
from tests.backend.resources.rows import Session, silent, with_cluster

PODS = IPv4Network("10.0.0.0/8")
REGIONS = ("europe-west3", "us-east4", "asia-east1", "us-west1")
blocks = st.builds(
    lambda address, prefix: IPv4Network((address, prefix), strict=False),
    st.one_of(
        st.integers(int(IPv4Network("192.168.0.0/16")[0]), int(IPv4Network("192.168.0.0/16")[-1])),
        st.integers(int(IPv4Network("172.16.0.0/12")[0]), int(IPv4Network("172.16.0.0/12")[-1])),
        st.integers(0, 2**32 - 1),
    ),
    st.integers(12, 29),
)


@given(occupied=st.lists(blocks, max_size=12), regions=st.permutations(REGIONS))
def test_proposals_are_free_private_and_apart(occupied: list[IPv4Network], regions: list[str]) -> None:
    found = proposals(regions, occupied)

    assert found == proposals(regions, occupied)
    assert set(found) <= set(regions)
    chosen = list(found.values())
    for position, network in enumerate(chosen):
        assert network.prefixlen == 23
        assert network.is_private
        assert not network.overlaps(PODS)
        assert not any(network.overlaps(other) for other in [*occupied, *chosen[:position]])


@given(occupied=st.lists(blocks, max_size=12), first=st.integers(0, len(REGIONS) - 1))
def test_proposals_do_not_depend_on_who_comes_first(occupied: list[IPv4Network], first: int) -> None:
    together = proposals(REGIONS, occupied)
    early = REGIONS[first]
    rest = [region for region in REGIONS if region != early]

    if early in together:
        assert proposals(rest, [*occupied, together[early]]) == {
            region: network for region, network in together.items() if region != early
        }


def test_nothing_is_proposed_where_nothing_is_free() -> None:
    assert proposals(["us-east4"], [IPv4Network("192.168.0.0/16"), IPv4Network("172.16.0.0/12")]) == {}


def test_ranges_keep_clear_of_pods_that_no_subnetwork_shows(spec: GatewaySpec) -> None:
    """A cluster that is not VPC-native holds its Pods' range by routes."""
    routes = {"name": "old", "network": "default", "clusterIpv4Cidr": "192.168.128.0/17"}
    elsewhere = {"name": "far", "network": "other", "clusterIpv4Cidr": "192.168.0.0/17"}
    found = ranges(spec, [], [routes, elsewhere])
    assert [str(block) for block in found.values()] == ["192.168.126.0/23", "192.168.124.0/23"]


def test_primary_and_secondary_ranges_are_taken() -> None:
    subnetworks: list[dict[str, Any]] = [
        {"ipCidrRange": "10.0.0.0/20", "secondaryIpRanges": [{"rangeName": "pods", "ipCidrRange": "10.4.0.0/14"}]},
        {"stackType": "IPV6_ONLY"},
    ]
    assert taken(subnetworks) == [IPv4Network("10.0.0.0/20"), IPv4Network("10.4.0.0/14")]


def subnetwork(region: str, purpose: str, role: str = "ACTIVE") -> dict[str, Any]:
    return {"region": f"https://x/projects/p/regions/{region}", "purpose": purpose, "role": role}


def test_only_an_active_global_one_of_the_region_counts() -> None:
    others = [
        subnetwork("us-east4", "PRIVATE"),
        subnetwork("us-east4", "REGIONAL_MANAGED_PROXY"),
        subnetwork("us-east4", "GLOBAL_MANAGED_PROXY", "BACKUP"),
        subnetwork("us-east5", "GLOBAL_MANAGED_PROXY"),
    ]
    wanted = subnetwork("us-east4", "GLOBAL_MANAGED_PROXY")

    assert active_proxy(others, "us-east4") is None
    assert active_proxy([*others, wanted], "us-east4") is wanted


@pytest.fixture
async def ready(clients: Clients) -> Clients:
    """Clients of a project in which the APIs are on."""
    from backend.resources.services import WANTED

    operation = await clients.services.enable(WANTED)
    await clients.services.operation(operation["name"])
    return clients


def row(spec: GatewaySpec, clients: Clients, index: int = 0) -> ProxySubnet:
    return ProxySubnet(spec, spec.clusters[index], clients)


async def make(clients: Clients, region: str, name: str, purpose: str, cidr: str) -> None:
    body = {"name": name, "ipCidrRange": cidr, "network": clients.compute.network_url("default")}
    if purpose != "PRIVATE":
        body |= {"purpose": purpose, "role": "ACTIVE"}
    operation = await clients.compute.create_subnetwork(region, body)
    assert (await clients.compute.operation(region, operation["name"]))["status"] == "DONE"


async def test_a_project_without_the_api_has_none(spec: GatewaySpec, clients: Clients) -> None:
    assert await row(spec, clients).observe() is None


def made(seen: Proxies) -> dict[str, Any]:
    """The subnet that has to be there."""
    assert seen.subnet is not None
    return seen.subnet


async def test_it_is_made_with_marks_in_a_free_range_and_taken_away(spec: GatewaySpec, ready: Clients) -> None:
    subnet = row(spec, ready)
    assert subnet.diff(await subnet.observe()).action == "create"

    await subnet.apply(subnet.create(), silent)
    seen = await subnet.wait(silent)

    assert seen.subnet is not None
    assert seen.subnet["name"] == "europe-west3-subnet"
    assert seen.subnet["purpose"] == "GLOBAL_MANAGED_PROXY"
    assert seen.subnet["role"] == "ACTIVE"
    assert marks.ours(spec, seen.subnet["description"])
    assert subnet.diff(seen).action == "no-op"
    await subnet.apply(subnet.create(), silent)
    assert subnet.removal(seen).action == "delete"
    await subnet.delete(silent)
    assert await subnet.observe() is None
    await subnet.delete(silent)


async def test_the_ranges_of_all_regions_differ_whoever_comes_first(spec: GatewaySpec, ready: Clients) -> None:
    east, west = row(spec, ready, 1), row(spec, ready, 0)

    await east.apply(east.create(), silent)
    second = made(await east.wait(silent))
    await west.apply(west.create(), silent)
    first = made(await west.wait(silent))

    expected = proposals(spec.regions, [])
    assert first["ipCidrRange"] == str(expected["europe-west3"])
    assert second["ipCidrRange"] == str(expected["us-east4"])


async def test_a_range_of_the_spec_is_taken_as_it_is_and_kept_clear_of(spec: GatewaySpec, ready: Clients) -> None:
    fixed = with_cluster(spec, 1, proxy_subnet=str(proposals(spec.regions, [])["europe-west3"]))
    west, east = row(fixed, ready, 0), row(fixed, ready, 1)

    await west.apply(west.create(), silent)
    await east.apply(east.create(), silent)

    assert made(await west.wait(silent))["ipCidrRange"] != made(await east.wait(silent))["ipCidrRange"]
    assert made(await east.wait(silent))["ipCidrRange"] == str(fixed.clusters[1].proxy_subnet)


async def test_somebody_elses_is_used_and_left(spec: GatewaySpec, ready: Clients) -> None:
    await make(ready, "europe-west3", "proxies", "GLOBAL_MANAGED_PROXY", "172.20.0.0/24")
    subnet = row(spec, ready)
    seen = await subnet.observe()

    assert subnet.diff(seen).action == "no-op"
    assert subnet.diff(seen).reason == "adopted: proxies, 172.20.0.0/24"
    assert subnet.removal(seen).action == "no-op"
    other_range = row(with_cluster(spec, 0, proxy_subnet="10.129.0.0/23"), ready)
    assert "keeps its range" in other_range.diff(seen).reason


async def test_a_regional_one_is_explained(spec: GatewaySpec, ready: Clients) -> None:
    await make(ready, "europe-west3", "old-proxies", "REGIONAL_MANAGED_PROXY", "172.20.0.0/24")
    subnet = row(spec, ready)

    step = subnet.diff(await subnet.observe())
    assert step.action == "create"
    assert "regional proxy-only subnet old-proxies" in step.reason
    assert subnet.removal(await subnet.observe()).action == "no-op"
    with pytest.raises(InvalidRequest, match="old-proxies") as caught:
        await subnet.apply(subnet.create(), silent)
    assert "gcloud compute networks subnets delete old-proxies --region=europe-west3" in caught.value.fix


async def test_another_subnet_of_that_name_is_told(spec: GatewaySpec, ready: Clients) -> None:
    await make(ready, "europe-west3", "europe-west3-subnet", "PRIVATE", "172.20.0.0/24")

    with pytest.raises(AlreadyExists, match="no global proxy-only subnet"):
        await row(spec, ready).apply(row(spec, ready).create(), silent)


async def test_a_range_that_is_taken_is_told_with_the_field(spec: GatewaySpec, ready: Clients) -> None:
    await make(ready, "us-east4", "vms", "PRIVATE", "172.20.0.0/23")
    subnet = row(with_cluster(spec, 0, proxy_subnet="172.20.0.0/23"), ready)

    with pytest.raises(InvalidRequest, match="conflicts with existing subnetwork 'vms'") as caught:
        await subnet.apply(subnet.create(), silent)
    assert "proxy_subnet" in caught.value.fix


async def test_a_failed_operation_is_a_failure(
    spec: GatewaySpec, ready: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failed(region: str, name: str) -> dict[str, Any]:
        errors = [{"code": "QUOTA_EXCEEDED", "message": "Quota 'SUBNETWORKS' exceeded.  Limit: 100.0 globally."}]
        return {"name": name, "status": "DONE", "error": {"errors": errors}}

    subnet = row(spec, ready)
    await subnet.apply(subnet.create(), silent)
    monkeypatch.setattr(ready.compute, "operation", failed)
    with pytest.raises(OperationFailed, match="SUBNETWORKS") as caught:
        await subnet.wait(silent)
    assert "quota" in caught.value.cause


async def test_all_regions_are_observed_with_one_request(
    spec: GatewaySpec, ready: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    google = ready.compute._google
    called = google.rest

    async def by_path(api: str, method: str, path: str, *args: Any, **more: Any) -> Any:
        asked.append(path.partition("?")[0].rpartition("/")[2])
        return await called(api, method, path, *args, **more)

    monkeypatch.setattr(google, "rest", by_path)
    await Session(spec, ready).plan(Verb.APPLY)

    assert asked.count("subnetworks") == 1
    assert asked.count("memberships") <= 2
