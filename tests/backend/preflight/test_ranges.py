"""Which ranges of a VPC network are free, and that everybody names the same ones."""

from __future__ import annotations

import pytest

from backend.clients import Clients
from backend.clients.connect import emulated
from backend.clients.google import Google
from backend.preflight import Topic, Verdict
from backend.resources.network import ProxySubnet
from tests.backend.preflight.conftest import Surveyed, spec_of
from tests.backend.resources.rows import silent


async def test_a_range_that_is_taken_fails_and_auto_mends_it(healthy: Surveyed) -> None:
    finding = (await healthy.found("clusters.gke-east.proxy_subnet=10.150.0.0/23"))["subnet/us-east4"]
    assert finding.status is Verdict.FAIL
    assert "10.150.0.0/20" in finding.message
    assert finding.fix == "mcig doctor two-region-h100 --set clusters.gke-east.proxy_subnet=auto"
    free = (await healthy.found("clusters.gke-east.proxy_subnet=10.0.0.0/23"))["subnet/us-east4"]
    assert free.status is Verdict.WARN, "GKE takes Pod ranges out of 10.0.0.0/8"


async def test_networks_with_their_subnetworks(healthy: Surveyed) -> None:
    (network,) = await healthy.survey.networks()
    assert network.name == "default"
    assert network.auto
    assert network.proxy_only("us-east4") is None
    assert [str(one.range) for one in network.in_region("us-east4")] == ["10.150.0.0/20"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ((), {"europe-west3": "192.168.254.0/23", "us-east4": "192.168.252.0/23"}),
        (("clusters.gke-west.proxy_subnet=192.168.254.0/24",), {"us-east4": "192.168.252.0/23"}),
        (("clusters.gke-east.proxy_subnet=192.168.254.0/24",), {"europe-west3": "192.168.252.0/23"}),
    ],
)
async def test_check_wizard_and_run_name_the_same_ranges(
    healthy: Surveyed, settings: tuple[str, ...], expected: dict[str, str]
) -> None:
    spec = spec_of(healthy.places, "two-region-h100", *settings)
    assert await healthy.survey.propose_ranges(spec) == expected
    found = await healthy.found(*settings, topics=(Topic.NETWORK,))
    for region, block in expected.items():
        assert found[f"subnet/{region}"].message == f"{block} is free for {region}"
    clients = Clients(emulated(healthy.emulator.url, healthy.emulator.world.token, project="demo-project"), spec)
    made = {}
    for cluster in reversed(spec.targets):
        row = ProxySubnet(spec, cluster, clients)
        await row.apply(row.create(), silent)
        made[cluster.region] = (await row.wait(silent)).subnet or {}
    assert {region: made[region]["ipCidrRange"] for region in expected} == expected
    await clients.close()


async def test_regions_without_a_subnetwork_are_offered_different_ranges(healthy: Surveyed) -> None:
    google = Google(emulated(healthy.emulator.url, healthy.emulator.world.token, project="demo-project"))
    body = {"name": "mine", "autoCreateSubnetworks": False}
    await google.rest("compute", "POST", "/compute/v1/projects/demo-project/global/networks", body, doing="making")
    found = await healthy.found("network.vpc=mine", "network.subnetwork=nodes", topics=(Topic.NETWORK,))
    fixes = [found[f"network/mine/{region}"].fix or "" for region in ("europe-west3", "us-east4")]
    assert [fix.partition("--range=")[2].split()[0] for fix in fixes] == ["192.168.254.0/23", "192.168.252.0/23"]
    await google.close()
