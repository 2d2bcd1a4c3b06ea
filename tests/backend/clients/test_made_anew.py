"""A cluster that is deleted and made anew while a program runs: it has another address and another authority."""

from __future__ import annotations

import pytest

from backend.clients import Clients
from backend.clients.connect import Connection
from backend.clients.kinds import CONFIG_MAP, NAMESPACE
from backend.clients.kube import Kube
from backend.emulator.kube.pki import Authority
from backend.errors import NotFound, Unreachable
from backend.resources.services import WANTED
from backend.spec import GatewaySpec
from tests.backend.kubes import api_server, config_map, token

REGION, NAME = "europe-west3", "gke-west"


async def make(clients: Clients) -> None:
    wanted = {
        "name": NAME,
        "nodePools": [{"name": "default-pool", "initialNodeCount": 1, "config": {"machineType": "e2-standard-4"}}],
        "initialClusterVersion": "1.34.1-gke.1829001",
    }
    operation = await clients.container.create_cluster(REGION, wanted)
    assert (await clients.container.operation(REGION, operation["name"]))["status"] == "DONE"


async def unmake(clients: Clients) -> None:
    operation = await clients.container.delete_cluster(REGION, NAME)
    assert (await clients.container.operation(REGION, operation["name"]))["status"] == "DONE"


async def test_who_knew_the_old_cluster_finds_the_new_one(
    connection: Connection, spec: GatewaySpec, clients: Clients
) -> None:
    operation = await clients.services.enable(WANTED)
    await clients.services.operation(operation["name"])
    somebody = Clients(connection, spec)
    try:
        await make(clients)
        before = await clients.kube(NAME).get(NAMESPACE, None, "kube-system")
        assert await clients.container.cluster(REGION, NAME) == clients.container.seen(REGION, NAME)

        await unmake(somebody)
        with pytest.raises(NotFound, match="the cluster does not exist"):
            await clients.kube(NAME).list(NAMESPACE)
        assert clients.container.seen(REGION, NAME) is None
        await make(somebody)
        after = await clients.kube(NAME).get(NAMESPACE, None, "kube-system")
    finally:
        await somebody.close()

    assert before is not None
    assert after is not None
    assert before["metadata"]["uid"] != after["metadata"]["uid"]


async def test_a_server_at_the_old_address_with_another_certificate_is_not_taken_for_the_cluster() -> None:
    async with api_server() as present:
        places = iter([(f"https://{present.endpoint}", Authority.generate("gone").cert_pem)])
        looked: list[bool] = []

        async def locate(anew: bool) -> tuple[str, bytes]:
            looked.append(anew)
            return next(places, (f"https://{present.endpoint}", present.ca_pem))

        kube = Kube.lazily(locate, token)
        try:
            await kube.apply(config_map(a="1"), manager="mcig-test")
            assert await kube.list(CONFIG_MAP, "default")
        finally:
            await kube.close()
    assert looked == [False, True]


async def test_a_server_that_is_where_it_was_is_not_looked_for_at_each_request() -> None:
    async with api_server() as present:
        place = (f"https://{present.endpoint}", present.ca_pem)
    looked: list[bool] = []

    async def locate(anew: bool) -> tuple[str, bytes]:
        looked.append(anew)
        return place

    kube = Kube.lazily(locate, token)
    try:
        for _ in range(3):
            with pytest.raises(Unreachable):
                await kube.list(CONFIG_MAP)
    finally:
        await kube.close()
    assert looked == [False, True]
