"""What tests of more than one folder share: an emulated cloud in this process, and a stack's way to it."""

from __future__ import annotations

import math
import os
from collections.abc import AsyncIterator, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from backend.clients import Clients
from backend.clients.connect import Connection, emulated
from backend.emulator.server import Emulator
from backend.spec import GatewaySpec
from tests.warm.client import Warm

hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")
"""How long an example takes says something of what else the machine does, and nothing of what is tested."""

LONG_TIMEOUT_S = 900
"""After how many seconds a test that takes long has hung; others have the limit of pyproject.toml."""

LONGEST_FIRST = ("conformance", "journeys")
"""Folders of the tests that take longest: at the end of a run no worker is to be alone with one of them."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where workers share the tests (``-n``), keep those together that share a world: it is then made once."""
    if config.option.dist != "load":
        return None
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    class Worlds(LoadScopeScheduling):  # type: ignore[misc]
        """Gives tests out in their order, those of one world to one worker."""

        def _split_scope(self, nodeid: str) -> str:
            return _world(config.rootpath / nodeid.partition("::")[0]) or nodeid

    config.option.loadscopereorder = False
    return Worlds(config, log)


@cache
def _world(file: Path) -> str:
    """What the tests of a file share a world with: their folder, their file, or nothing."""
    text = file.read_text(encoding="utf-8")
    if "tools: Tools" in text:
        return str(file.parent)
    return str(file) if 'scope="module"' in text else ""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Leave out what takes long in real time, unless all is asked for; whatever the order, begin with the longest."""
    long_too = os.environ.get("MCIG_TESTS") == "all"
    for item in items:
        if item.get_closest_marker("long") is None:
            continue
        if long_too:
            item.add_marker(pytest.mark.timeout(LONG_TIMEOUT_S))
        else:
            item.add_marker(pytest.mark.skip(reason="takes long in real time; set MCIG_TESTS=all"))
    yield
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    folder = item.path.parent.name
    return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)


@pytest.fixture
def spec() -> GatewaySpec:
    """The document's own example: two regions with three H100 machines each."""

    def cluster(name: str, region: str) -> dict[str, object]:
        gpu_pool = {
            "name": "h100",
            "zones": [f"{region}-c"],
            "accelerator": "nvidia-h100-80gb",
            "accelerators_per_node": 2,
            "machine_type": "a3-highgpu-2g",
            "nodes": 3,
        }
        return {"name": name, "region": region, "gpu_pool": gpu_pool}

    return GatewaySpec.model_validate(
        {
            "name": "two-regions",
            "target": "emulator",
            "config_cluster": "gke-west",
            "clusters": [cluster("gke-west", "europe-west3"), cluster("gke-east", "us-east4")],
        }
    )


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    """What programs are forked from, so that not each of them loads everything anew; one for all workers of a run."""
    folder = tmp_path_factory.getbasetemp()
    made = Warm(folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder)
    yield made
    made.close()


@pytest.fixture(scope="module")
def forked(warm: Warm) -> Iterator[None]:
    """Emulated clouds that a file's tests start, and the Pods in them, are forked, too."""
    with warm.forking():
        yield


@pytest.fixture
async def emulator(tmp_path: Path, forked: None) -> AsyncIterator[Emulator]:
    """An emulated cloud in which every operation is done at its first poll."""
    async with Emulator(tmp_path / "emulator", speed=math.inf) as running:
        yield running


@pytest.fixture
def connection(emulator: Emulator) -> Connection:
    """The way to the emulated cloud."""
    return emulated(emulator.url, emulator.token, project=emulator.world.project)


@pytest.fixture
async def clients(connection: Connection, spec: GatewaySpec) -> AsyncIterator[Clients]:
    """A stack's clients of the emulated cloud."""
    made = Clients(connection, spec)
    yield made
    await made.close()
