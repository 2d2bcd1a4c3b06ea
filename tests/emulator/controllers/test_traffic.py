"""Requests through a real Envoy to real model-server processes, as the objects of several teams and regions say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from backend.emulator.kube.controllers import reconcile
from backend.emulator.serving.envoy import GatewayDataPlane
from backend.emulator.serving.kubelet import Kubelet

CLUSTERS = ("europe-west3/gke-west", "us-east4/gke-east", "asia-northeast1/gke-far")
REGIONS = tuple(key.partition("/")[0] for key in CLUSTERS)
TEAMS = ("team-a", "team-b")
Json = dict[str, Any]


class Traffic:
    """A world with a real kubelet and a real gateway, and requests to its addresses."""

    def __init__(self, world: Any, http: aiohttp.ClientSession) -> None:
        self.world = world
        self._http = http

    async def answering(self, team: str, region: str) -> str:
        """The name of the model server that answers at a team's address in a region, else the status."""
        doors = self.world.gateway.doors()
        port = next((d.port for d in doors if (d.gateway, d.region) == (f"{team}-gateway", region)), None)
        if port is None:
            return "no address"
        async with self._http.get(f"http://127.0.0.1:{port}/v1/models") as response:
            return (await response.json())["data"][0]["id"] if response.status == 200 else f"{response.status}"

    async def until(self, true: Callable[[], Awaitable[bool]]) -> None:
        """Let the controllers work until something holds."""
        async with asyncio.timeout(30):
            while not await true():
                await reconcile(self.world)
                await asyncio.sleep(0.02)

    async def picture(self) -> dict[str, dict[str, str]]:
        """Team -> region of the address -> who answers there."""
        return {team: {region: await self.answering(team, region) for region in REGIONS} for team in TEAMS}


@pytest.fixture
async def traffic(world: Any, tmp_path: Path) -> AsyncIterator[Traffic]:
    world.home = tmp_path
    world.kubelet, world.gateway = Kubelet(world), GatewayDataPlane(world)
    async with aiohttp.ClientSession() as http:
        yield Traffic(world, http)
    await world.gateway.close()
    await world.kubelet.close()


def of(team: str, *objects: Json) -> list[Json]:
    """The objects in a team's namespace."""
    for each in objects:
        each["metadata"]["namespace"] = team
    return [*objects]


def servers(kit: Any, team: str, region: str) -> list[Json]:
    """A pool with one model server, whose model is named after the team and the region."""
    pool = kit.inference_pool()
    (deployment,) = (each for each in pool if each["metadata"]["name"] == kit.POOL and each["kind"] == "Deployment")
    deployment["spec"]["replicas"] = 1
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    container["args"] = ["--served-model-name", f"{team}/{region}"]
    return of(team, *pool)


async def test_two_gateways_in_two_namespaces_serve_three_regions(world: Any, kit: Any, traffic: Traffic) -> None:
    clusters = {key: world.cluster(key) for key in CLUSTERS}
    world.fleet(*CLUSTERS, config=CLUSTERS[0])
    config = clusters[CLUSTERS[0]]
    for region in REGIONS:
        world.proxy_subnet(region)
    for team in TEAMS:
        for region, cluster in zip(REGIONS, clusters.values(), strict=True):
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": team}}
            cluster.add(namespace, *servers(kit, team, region))
        gateway, route = kit.gateway(*REGIONS), kit.route()
        gateway["metadata"]["name"] = route["spec"]["parentRefs"][0]["name"] = f"{team}-gateway"
        config.add(*of(team, gateway, route, kit.health_policy()))
    at_home = {team: {region: f"{team}/{region}" for region in REGIONS} for team in TEAMS}

    async def nearest() -> bool:
        return await traffic.picture() == at_home

    await traffic.until(nearest)
    vips = {door.vip for door in world.gateway.doors()}
    assert len(vips) == len(TEAMS) * len(REGIONS)

    scopes = [{"selector": {"gke.io/region": "us-east4"}, "capacityScalerPercent": 0}]
    drain = kit.policy("GCPBackendPolicy", "drain")
    drain["spec"]["default"] = {"scopes": scopes}
    config.add(*of("team-a", drain))

    async def drained() -> bool:
        return await traffic.answering("team-a", "us-east4") != "team-a/us-east4"

    await traffic.until(drained)
    drained_picture = at_home | {"team-a": at_home["team-a"] | {"us-east4": "team-a/europe-west3"}}
    assert await traffic.picture() == drained_picture, "the other team's traffic stays"
    rejected = {count for name, count in (await world.gateway._stats()).items() if name.endswith("update_rejected")}
    assert rejected == {"0"}
