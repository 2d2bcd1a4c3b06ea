"""A destroy that was killed left operations under way; the next one tells how those ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from backend.clients import Clients
from backend.clients.names import INGRESS_FEATURE
from backend.emulator.google import operations
from backend.errors import OperationFailed
from backend.resources.network import ProxySubnet
from backend.resources.sharing import Teardown
from backend.spec import GatewaySpec
from tests.backend.resources.rows import Session, cloud_rows, silent

WHY = "Internal error. Please try again or contact Google Support."


@pytest.fixture
async def session(spec: GatewaySpec, clients: Clients) -> Session:
    """Everything in Google's APIs is there."""
    made = Session(spec, clients)
    await made.run()
    return made


async def delete_subnet(clients: Clients) -> Any:
    (subnet,) = [
        found
        for found in await clients.compute.subnetworks("default")
        if found.get("role") == "ACTIVE" and found["region"].endswith("/europe-west3")
    ]
    return await clients.compute.delete_subnetwork("europe-west3", subnet["name"])


async def delete_membership(clients: Clients) -> Any:
    return await clients.fleet.delete_membership(clients.fleet.membership_name("gke-east"))


async def delete_feature(clients: Clients) -> Any:
    return await clients.fleet.delete_feature(INGRESS_FEATURE)


async def disable_service(clients: Clients) -> Any:
    return await clients.services.disable("trafficdirector.googleapis.com")


@pytest.mark.parametrize(
    ("name", "what", "begin"),
    [
        ("subnet/europe-west3", "subnet.delete", delete_subnet),
        ("membership/gke-east", "membership.delete", delete_membership),
        ("fleet-ingress", "feature.delete", delete_feature),
        ("services", "services.switch", disable_service),
    ],
)
async def test_a_later_destroy_tells_why_a_deletion_of_an_earlier_one_failed(
    session: Session, monkeypatch: pytest.MonkeyPatch, name: str, what: str, begin: Callable[[Clients], Awaitable[Any]]
) -> None:
    monkeypatch.setitem(
        operations.EFFECTS, what, lambda world, record: record.update(error={"code": 13, "message": WHY})
    )
    operation = await begin(session.clients)
    rows = cloud_rows(session.spec, session.clients, Teardown(shared=True))
    (row,) = [found for found in rows if found.id == name]
    row.resume(operation["name"])
    async with asyncio.timeout(10):
        with pytest.raises(OperationFailed, match="Internal error"):
            await row.delete(silent)


async def test_a_deletion_of_an_earlier_destroy_that_ended_well_is_not_asked_for_again(session: Session) -> None:
    operation = await delete_subnet(session.clients)
    row = ProxySubnet(session.spec, session.spec.clusters[0], session.clients)
    row.resume(operation["name"])
    async with asyncio.timeout(10):
        await row.delete(silent)
    assert await row.observe() is None
