"""From a cluster in the container API to its Kubernetes API, with everything behind it running."""

from __future__ import annotations

import asyncio
import base64
import math
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from backend.emulator.google.access import CALLER
from backend.emulator.management import status
from backend.emulator.server import Emulator

CLUSTERS = "/container/v1/projects/demo-project/locations/europe-west3/clusters"
FLEET = "/gkehub/v1/projects/demo-project/locations/global"
APIS = ("compute", "container", "gkehub", "multiclusteringress")
LINK = "//container.googleapis.com/projects/demo-project/locations/europe-west3/clusters/gke-west"
WANTED = {
    "name": "gke-west",
    "releaseChannel": {"channel": "RAPID"},
    "networkConfig": {"gatewayApiConfig": {"channel": "CHANNEL_STANDARD"}},
    "nodePools": [{"name": "default-pool", "initialNodeCount": 1, "config": {"machineType": "e2-standard-4"}}],
}


class Session:
    """Requests to an emulator and to its clusters."""

    def __init__(self, emulator: Emulator, http: aiohttp.ClientSession) -> None:
        self.emulator = emulator
        self.http = http

    async def google(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        async with self.http.request(method, self.emulator.url + path, json=body, params=query) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def kube(self, path: str, method: str = "GET", body: Any = None) -> Any:
        cluster = await self.google("GET", f"{CLUSTERS}/gke-west")
        trusted = base64.b64decode(cluster["masterAuth"]["clusterCaCertificate"]).decode()
        context = ssl.create_default_context(cadata=trusted)
        url = f"https://{cluster['endpoint']}{path}"
        async with self.http.request(method, url, json=body, ssl=context) as answer:
            assert answer.status in {200, 201}, await answer.text()
            return await answer.json()

    async def names(self, path: str) -> list[str]:
        return [one["metadata"]["name"] for one in (await self.kube(path))["items"]]

    async def create_cluster(self) -> None:
        services = [f"{name}.googleapis.com" for name in APIS]
        path = "/serviceusage/v1/projects/demo-project/services:batchEnable"
        await self.google("POST", path, {"serviceIds": services})
        await self.google("POST", CLUSTERS, {"cluster": WANTED})

    async def status(self) -> Any:
        return await self.google("GET", "/emulator/v1/status")


@pytest.fixture
async def session(emulator: Emulator) -> Any:
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {emulator.token}"}) as http:
        yield Session(emulator, http)


def contents(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


async def eventually(look: Any) -> Any:
    async with asyncio.timeout(10):
        while True:
            if found := await look():
                return found
            await asyncio.sleep(0.01)


async def test_a_cluster_serves_its_kubernetes_api(session: Session) -> None:
    await session.create_cluster()
    assert "kube-system" in await session.names("/api/v1/namespaces")

    async def nodes() -> list[str]:
        return await session.names("/api/v1/nodes")

    assert len(await eventually(nodes)) == 3
    resources = (await session.status())["resources"]
    assert "cluster/europe-west3/gke-west" in resources
    assert "node-pool/europe-west3/gke-west/default-pool" in resources
    assert "service/container.googleapis.com" in resources


async def test_a_cluster_asks_for_the_token_and_ends_with_its_deletion(session: Session) -> None:
    await session.create_cluster()
    cluster = await session.google("GET", f"{CLUSTERS}/gke-west")
    url = f"https://{cluster['endpoint']}/api/v1/namespaces"
    async with session.http.get(url, ssl=False, headers={"Authorization": "Bearer wrong"}) as answer:
        assert answer.status == 401
    await session.google("DELETE", f"{CLUSTERS}/gke-west")
    assert await session.google("GET", CLUSTERS) == {}
    with pytest.raises(aiohttp.ClientConnectionError):
        await session.http.get(url, ssl=False)


async def test_the_feature_brings_the_multi_cluster_gateway_classes(session: Session) -> None:
    await session.create_cluster()
    await session.google("GET", CLUSTERS)
    body: Any = {"endpoint": {"gkeCluster": {"resourceLink": LINK}}}
    await session.google("POST", f"{FLEET}/memberships", body, membershipId="gke-west")
    member = "projects/demo-project/locations/global/memberships/gke-west"
    body = {"spec": {"multiclusteringress": {"configMembership": member}}}
    await session.google("POST", f"{FLEET}/features", body, featureId="multiclusteringress")

    async def class_is_there() -> bool:
        names = await session.names("/apis/gateway.networking.k8s.io/v1/gatewayclasses")
        return "gke-l7-cross-regional-internal-managed-mc" in names

    await eventually(class_is_there)
    resources = (await session.status())["resources"]
    assert {"membership/global/gke-west", "feature/multiclusteringress"} <= set(resources)


async def test_whatever_costs_money_is_listed(emulator: Emulator) -> None:
    tables = emulator.world.tables
    fresh = set(tables)
    assert status(emulator)["resources"] == []
    made = {"addresses", "backendServices", "firewalls", "forwardingRules", "healthChecks", "networkEndpointGroups"}
    made |= {"networks", "quotaPreferences", "subnetworks", "targetHttpProxies", "urlMaps"}
    for table in made:
        tables[table]["us-east4/left"] = {}
    tables["iam"]["bindings"] = [{"role": "roles/owner", "members": [CALLER]}]
    tables["iam"]["bindings"] += [{"role": "roles/viewer", "members": ["user:a@example.com"]}]
    left = status(emulator)["resources"]
    assert len(left) == len(made) + 1
    assert {"forwarding-rule/us-east4/left", "address/us-east4/left", "binding/viewer/user:a@example.com"} <= set(left)
    told_otherwise = {"clusters", "features", "iam", "memberships", "services"}
    of_itself = {"faults", "machines", "operations", "preempted", "quotas", "settings", "subnetworkChanges", "timers"}
    assert fresh - made - told_otherwise - of_itself == {"told"}, "a new table is listed, or said here not to be"


async def test_a_save_that_fails_is_not_the_last(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    world, saves, tried = emulator.world, emulator.world.save, asyncio.Event()

    def save() -> None:
        tried.set()
        saves()

    monkeypatch.setattr(world, "save", save)
    world.tables["timers"]["no JSON"] = object()
    world.touch()
    async with asyncio.timeout(5):
        await tried.wait()
    tried.clear()
    world.tables["timers"] = {"mended": 1.0}
    world.touch()
    async with asyncio.timeout(5):
        await tried.wait()
    assert "mended" in world.file.read_text()


async def test_reset_leaves_a_fresh_world(session: Session) -> None:
    await session.create_cluster()
    endpoint = (await session.google("GET", f"{CLUSTERS}/gke-west"))["endpoint"]
    status = await session.google("POST", "/emulator/v1/reset")
    assert status["resources"] == []
    with pytest.raises(aiohttp.ClientConnectionError):
        await session.http.get(f"https://{endpoint}/version", ssl=False)
    await session.create_cluster()
    assert (await session.google("GET", f"{CLUSTERS}/gke-west"))["status"] == "RUNNING"


async def test_a_world_outlives_its_process(tmp_path: Path) -> None:
    secret = {"metadata": {"name": "hf-token"}, "stringData": {"token": "hf_do_not_write_me"}}
    endpoints = []
    for turn in range(2):
        async with Emulator(tmp_path, speed=math.inf) as emulator:
            headers = {"Authorization": f"Bearer {emulator.token}"}
            async with aiohttp.ClientSession(headers=headers) as http:
                session = Session(emulator, http)
                if turn == 0:
                    await session.create_cluster()
                    await session.kube("/api/v1/namespaces/default/secrets", "POST", secret)
                endpoints.append((emulator.url, (await session.google("GET", f"{CLUSTERS}/gke-west"))["endpoint"]))
                assert "hf-token" in await session.names("/api/v1/namespaces/default/secrets")
    assert endpoints[0] == endpoints[1]
    kept = contents(tmp_path)
    assert b"hf_do_not_write_me" not in kept
    assert base64.b64encode(b"hf_do_not_write_me") not in kept


async def test_the_management_api_asks_for_the_token(session: Session) -> None:
    for method, name in (("GET", "status"), ("POST", "reset"), ("POST", "stop")):
        url = f"{session.emulator.url}/emulator/v1/{name}"
        async with session.http.request(method, url, headers={"Authorization": "Bearer wrong"}) as answer:
            assert answer.status == 401
    assert not session.emulator.stopping.is_set()
    await session.google("POST", "/emulator/v1/stop")
    assert session.emulator.stopping.is_set()


async def test_an_emulator_that_nobody_asks_is_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    emulator = Emulator(tmp_path, clock=lambda: now)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds
        if len(slept) == 1:
            emulator.world.seen()

    monkeypatch.setattr("backend.emulator.server.asyncio.sleep", sleep)
    await emulator.idle(120)
    assert now == 1180.0
