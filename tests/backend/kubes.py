"""What tests of Kubernetes things share: API servers in this process, clients of them, and servers that misbehave."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from aiohttp import web

from backend.clients import Clients
from backend.clients.kube import Kube
from backend.emulator.kube.cluster import KubeCluster
from backend.emulator.kube.managed import ClusterFeatures
from backend.emulator.kube.pki import Authority
from backend.emulator.pace import Pace
from backend.emulator.world import World
from backend.errors import NotFound

AUTHORITY = Authority.generate("tests")
TOKEN = "a-token-of-the-tests"
Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def token() -> str:
    return TOKEN


@asynccontextmanager
async def api_server(name: str = "gke-west", *, version: str = "1.34.1-gke.1127000") -> AsyncIterator[KubeCluster]:
    """A cluster with the kinds that GKE installs, and no controllers: what is applied stays as it is."""
    features = ClusterFeatures(gateway_api=True, managed_prometheus=True, hpa_performance=True)
    world = World(Path("unused"), token=TOKEN, pace=Pace(), clock=time.time)
    cluster = KubeCluster(world, key=f"here/{name}", version=version, features=features, ca=AUTHORITY)
    await cluster.start()
    try:
        yield cluster
    finally:
        await cluster.stop()


def client_of(cluster: KubeCluster) -> Kube:
    return Kube(f"https://{cluster.endpoint}", cluster.ca_pem, token, cluster=cluster.key.rpartition("/")[2])


@dataclass
class FakeCompute:
    """The parts of load balancers, and nothing else of Compute Engine."""

    rules: list[Json] = field(default_factory=list)
    services: list[Json] = field(default_factory=list)
    groups: list[Json] = field(default_factory=list)
    looks: int = 0

    async def list_global_forwarding_rules(self) -> list[Json]:
        self.looks += 1
        return list(self.rules)

    async def target_proxies(self) -> list[Json]:
        return []

    async def url_maps(self) -> list[Json]:
        return []

    async def backend_services(self) -> list[Json]:
        return list(self.services)

    async def endpoint_groups(self) -> list[Json]:
        return list(self.groups)


@dataclass
class FakeClients:
    """Clients of some clusters; one that is not there cannot be found, as when it is not running yet."""

    kubes: Mapping[str, Kube]
    compute: FakeCompute = field(default_factory=FakeCompute)
    project: str = "demo-project"

    def kube(self, cluster: str) -> Kube:
        async def missing(anew: bool) -> tuple[str, bytes]:
            raise NotFound(f"cluster {cluster} does not exist")

        return self.kubes.get(cluster) or Kube.lazily(missing, token)

    def as_clients(self) -> Clients:
        return cast("Clients", self)


@asynccontextmanager
async def stub_server(handler: Handler) -> AsyncIterator[str]:
    """A plain HTTP server that answers everything with one handler; gives its URL."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Notes:
    """Notes that a step made."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, text: str, *, operation: str | None = None) -> None:
        self.texts.append(text)


def config_map(name: str = "box", /, **data: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": data,
    }
