"""Emulators for tests: a whole one in process, and its Google APIs alone with a clock that the test moves."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from aiohttp.test_utils import TestClient

    from backend.emulator.server import Emulator
    from backend.emulator.world import World

Json = dict[str, Any]
APIS = ("compute", "container", "gkehub", "iam", "multiclusteringress", "multiclusterservicediscovery")
PROJECT = "projects/demo-project"


@pytest.fixture
async def emulator(tmp_path: Path) -> AsyncIterator[Emulator]:
    """A whole emulator at infinite speed."""
    from backend.emulator.server import Emulator

    async with Emulator(tmp_path / "emulator", speed=math.inf) as running:
        yield running


class Cloud:
    """The Google APIs of one world, asked over HTTP; `now` is the world's clock."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.world: World
        self.client: TestClient[Any, Any]

    async def call(self, method: str, path: str, body: Any = None, **query: str) -> tuple[int, Json]:
        """Code and body of the answer to one authorized request."""
        headers = {"Authorization": f"Bearer {self.world.token}"}
        async with self.client.request(method, path, json=body, params=query, headers=headers) as answer:
            return answer.status, await answer.json()

    async def ok(self, method: str, path: str, body: Any = None, **query: str) -> Json:
        """The body of an answer that must be 200."""
        code, answer = await self.call(method, path, body, **query)
        assert code == 200, answer
        return answer

    async def refused(self, code: int, method: str, path: str, body: Any = None, **query: str) -> Json:
        """The error of an answer that must have this code."""
        got, answer = await self.call(method, path, body, **query)
        assert got == code, answer
        error: Json = answer["error"]
        assert error["code"] == code
        return error

    def enable(self, *services: str) -> None:
        """Turn APIs on without a request."""
        for service in services:
            self.world.tables["services"][f"{service}.googleapis.com"] = {"state": "ENABLED"}

    async def create_cluster(self, name: str = "gke-west", region: str = "europe-west3", **fields: Any) -> Json:
        """Make a cluster and let its operation end; the cluster as the API shows it."""
        at = f"/container/v1/{PROJECT}/locations/{region}"
        pool = {"name": "default-pool", "initialNodeCount": 1, "config": {"machineType": "e2-standard-4"}}
        await self.ok("POST", f"{at}/clusters", {"cluster": {"name": name, "nodePools": [pool], **fields}})
        self.now += 3600
        return await self.ok("GET", f"{at}/clusters/{name}")


@pytest.fixture
async def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cloud]:
    """Google APIs at real speed under a clock that stands still; clusters have no Kubernetes API server behind them."""
    from aiohttp import web
    from aiohttp.test_utils import TestClient, TestServer

    from backend.emulator.google import container
    from backend.emulator.google.app import add_google_apis
    from backend.emulator.pace import Pace
    from backend.emulator.world import World

    async def open_nothing(world: World, row: Json, *, port: int = 0, state: Json | None = None) -> None:
        row["endpoint"] = "127.0.0.1:1"

    monkeypatch.setattr(container, "open_cluster", open_nothing)
    under_test = Cloud()
    under_test.world = World(tmp_path, token="secret", pace=Pace(speed=1, jitter=0), clock=lambda: under_test.now)
    under_test.enable(*APIS)
    app = web.Application()
    add_google_apis(app, under_test.world)
    async with TestClient(TestServer(app)) as client:
        under_test.client = client
        yield under_test
