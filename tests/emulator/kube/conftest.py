"""One cluster per test, and the real Kubernetes client pointed at it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from backend.emulator.kube.cluster import KubeCluster
from backend.emulator.kube.managed import ClusterFeatures
from backend.emulator.kube.pki import Authority
from backend.emulator.kube.store import Store

TOKEN = "token-of-the-test"


@dataclass
class World:
    """A world that holds nothing but a clock."""

    token: str = TOKEN
    time: float = 1_700_000_000.0
    touched: int = 0
    requests: int = 0
    kubelet: Any = field(default=None)

    def now(self) -> float:
        return self.time

    def touch(self) -> None:
        self.touched += 1

    def seen(self) -> None:
        self.requests += 1


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority.generate()


@pytest.fixture
def cluster(world: World, authority: Authority) -> KubeCluster:
    features = ClusterFeatures(gateway_api=True, managed_prometheus=True, hpa_performance=True)
    version = "1.34.1-gke.1127000"
    return KubeCluster(world, key="europe-west3/gke-west", version=version, features=features, ca=authority)


@pytest.fixture
def store(cluster: KubeCluster) -> Store:
    return cluster.store


@pytest.fixture
async def served(cluster: KubeCluster) -> AsyncIterator[KubeCluster]:
    await cluster.start()
    yield cluster
    await cluster.stop()


@pytest.fixture
async def http(served: KubeCluster) -> AsyncIterator[aiohttp.ClientSession]:
    """A bare HTTPS session with the token, for what a client library would hide."""
    context = ssl.create_default_context(cadata=served.ca_pem.decode())
    async with aiohttp.ClientSession(
        f"https://{served.endpoint}",
        headers={"Authorization": f"Bearer {TOKEN}"},
        connector=aiohttp.TCPConnector(ssl=context),
    ) as session:
        yield session


@pytest.fixture
def ca_file(cluster: KubeCluster, tmp_path: Any) -> Iterator[str]:
    path = tmp_path / "ca.pem"
    path.write_bytes(cluster.ca_pem)
    yield str(path)


@pytest.fixture
async def api(served: KubeCluster, ca_file: str) -> AsyncIterator[Any]:
    """A kubernetes.aio ApiClient."""
    from kubernetes.aio import client

    configuration = client.Configuration(host=f"https://{served.endpoint}")
    configuration.ssl_ca_cert = ca_file
    configuration.api_key = {"authorization": f"Bearer {TOKEN}"}
    configuration.api_key_prefix = {}
    async with client.ApiClient(configuration) as found:
        yield found
