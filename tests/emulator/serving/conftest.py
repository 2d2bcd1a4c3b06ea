"""A gateway of one's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backend.emulator.serving.envoy import GatewayDataPlane
from tests.emulator.serving.gateways import World


@pytest.fixture
async def world(tmp_path: Path) -> World:
    """Where the gateway is."""
    return World(tmp_path)


@pytest.fixture
async def plane(world: World) -> AsyncIterator[GatewayDataPlane]:
    """A gateway that serves nothing yet, so that no process runs."""
    plane = GatewayDataPlane(world)
    yield plane
    await plane.close()
