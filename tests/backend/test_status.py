"""How a stack stands, also when only parts of its load balancer are left."""

from __future__ import annotations

from pathlib import Path

from backend.clients import Clients
from backend.clients.connect import Connection
from backend.emulator.server import Emulator
from backend.places import Places
from backend.resources import declare
from backend.spec import GatewaySpec
from backend.stack import Stack


async def test_parts_that_a_vanished_gateway_left_are_told_of(
    spec: GatewaySpec, clients: Clients, connection: Connection, emulator: Emulator, tmp_path: Path
) -> None:
    name = "gkemcg1-default-cross-region-gateway-abcdefghijkl"
    emulator.world.tables["services"]["compute.googleapis.com"] = {"state": "ENABLED"}
    emulator.world.tables["urlMaps"][f"global/{name}"] = {"name": name, "selfLink": f"https://compute/{name}"}
    places = Places.of({"MCIG_HOME": str(tmp_path / "home")})
    stack = Stack(spec, connection=connection, clients=clients, resources=declare(spec, clients), places=places)

    found = (await stack.status()).to_json()

    command = f"gcloud compute url-maps delete {name} --global --project=demo-project"
    assert found["leftovers"] == [{"kind": "url-maps", "name": name, "command": command}]
    assert found["addresses"] == []
