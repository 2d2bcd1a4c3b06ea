"""A VPC network in custom mode: refused early without a subnetwork, and used with one."""

from __future__ import annotations

from typing import Any

import pytest

from backend.clients import Clients
from backend.emulator.server import Emulator
from backend.engine.events import Verb
from backend.errors import InvalidRequest
from backend.resources.cluster import GkeCluster
from backend.resources.network import ProxySubnet
from backend.resources.services import WANTED
from backend.spec import GatewaySpec
from tests.backend.resources.rows import Session, make_node_account, silent


@pytest.fixture
def spec(spec: GatewaySpec) -> GatewaySpec:
    """The stack in a network of its own."""
    return GatewaySpec.model_validate(spec.to_data() | {"network": {"vpc": "ml", "subnetwork": "nodes"}})


@pytest.fixture
async def session(spec: GatewaySpec, clients: Clients, emulator: Emulator) -> Session:
    """A project with a custom-mode network that has a subnetwork in one of the two regions."""
    operation = await clients.services.enable(WANTED)
    await clients.services.operation(operation["name"])
    await make_node_account(spec, clients)
    emulator.world.tables["networks"]["ml"] = {"auto": False, "createdAt": 0.0, "description": ""}
    await make_subnetwork(clients, "europe-west3", "10.0.0.0/20")
    return Session(spec, clients)


async def make_subnetwork(clients: Clients, region: str, cidr: str) -> None:
    body = {"name": "nodes", "ipCidrRange": cidr, "network": clients.compute.network_url("ml")}
    operation = await clients.compute.create_subnetwork(region, body)
    assert (await clients.compute.operation(region, operation["name"]))["status"] == "DONE"


def changed(spec: GatewaySpec, **network: Any) -> GatewaySpec:
    return GatewaySpec.model_validate(spec.to_data() | {"network": network})


async def test_a_stack_lives_in_a_custom_network(session: Session, emulator: Emulator) -> None:
    await make_subnetwork(session.clients, "us-east4", "10.0.16.0/20")

    made = await session.run()

    assert made.outcome == "succeeded", [step.error for step in made.failures]
    placed = {(one["network"], one["subnetwork"]) for one in emulator.world.tables["clusters"].values()}
    assert placed == {("ml", "nodes")}
    assert {action for action, _ in (await session.actions()).values()} == {"no-op"}
    gone = await session.run(Verb.DESTROY)
    assert gone.outcome == "succeeded", [step.error for step in gone.failures]
    assert set(emulator.world.tables["subnetworks"]) == {"europe-west3/nodes", "us-east4/nodes"}


async def test_without_a_subnetwork_it_is_refused_before_anything_costs(session: Session, emulator: Emulator) -> None:
    spec = changed(session.spec, vpc="ml")
    row = ProxySubnet(spec, spec.clusters[0], session.clients)
    with pytest.raises(InvalidRequest, match="VPC network ml is in custom mode") as caught:
        await row.apply(row.create(), silent)
    assert "of one name in the region of each cluster" in caught.value.cause
    assert "set network.subnetwork; europe-west3 has nodes" in caught.value.fix

    result = await Session(spec, session.clients).run()
    assert {step.resource for step in result.failures} == {"subnet/europe-west3", "subnet/us-east4"}
    assert emulator.world.tables["clusters"] == {}


async def test_a_region_without_the_subnetwork_is_named(session: Session) -> None:
    row = ProxySubnet(session.spec, session.spec.clusters[1], session.clients)

    with pytest.raises(InvalidRequest, match="us-east4 has no ordinary subnetwork nodes in VPC network ml") as caught:
        await row.apply(row.create(), silent)
    assert "subnets create nodes --network=ml --region=us-east4" in caught.value.fix


async def test_the_config_clusters_own_region_is_looked_at_too(session: Session) -> None:
    row = GkeCluster(session.spec, session.spec.clusters[1], session.clients)

    with pytest.raises(InvalidRequest, match="us-east4 has no ordinary subnetwork nodes"):
        await row.apply(row.create(), silent)


async def test_a_network_that_is_not_there_is_told(session: Session) -> None:
    spec = changed(session.spec, vpc="nowhere", subnetwork="nodes")
    row = ProxySubnet(spec, spec.clusters[0], session.clients)

    with pytest.raises(InvalidRequest, match="no VPC network nowhere"):
        await row.apply(row.create(), silent)


async def test_the_naive_request_is_what_the_cloud_refuses(session: Session) -> None:
    body = {"name": "c", "network": "ml", "nodePools": [{"name": "p", "config": {"machineType": "e2-standard-4"}}]}
    with pytest.raises(InvalidRequest, match='Network "ml" uses manual subnet mode and requires specifying'):
        await session.clients.container.create_cluster("us-east4", body)


def test_the_command_names_both(spec: GatewaySpec, clients: Clients) -> None:
    assert "--network=ml --subnetwork=nodes" in GkeCluster(spec, spec.clusters[0], clients).about.command
