"""Waiting until a load balancer's parts are gone, over the wire: what cannot be seen just now is not gone."""

from __future__ import annotations

from backend.clients import Clients
from backend.emulator import faults, settings
from backend.emulator.server import Emulator
from backend.resources.leftovers import until_gone
from backend.resources.services import EnabledServices
from backend.resources.waiting import Watch
from backend.spec import GatewaySpec
from tests.backend.resources.rows import Told, silent


async def notes_of_waiting(emulator: Emulator, clients: Clients, spec: GatewaySpec, disturb: str) -> list[str]:
    """What is told while forwarding rules are waited for; there are none."""
    row = EnabledServices(spec, clients)
    await row.apply(row.diff(await row.observe()), silent)
    await row.wait(silent)
    if "=" in disturb.partition(" ")[0]:
        settings.put(emulator.world, disturb)
    else:
        faults.add(emulator.world, disturb, emulator.world.pace)
    told = Told()

    async def left() -> list[str]:
        return [rule["name"] for rule in await clients.compute.list_global_forwarding_rules()]

    await until_gone(Watch(told, "taking it down", timeout_s=60, look=""), "forwarding rules", left)
    return told.texts


async def test_what_a_rate_limit_hides_is_looked_for_again(
    emulator: Emulator, clients: Clients, spec: GatewaySpec
) -> None:
    """Compute Engine refuses too many requests with 403, as it refuses who has no permission."""
    told = await notes_of_waiting(emulator, clients, spec, "rate-limited times=3")
    assert told == ["no answer: too many requests in a short time"]


async def test_what_nobody_may_list_is_told_and_not_waited_for(
    emulator: Emulator, clients: Clients, spec: GatewaySpec
) -> None:
    told = await notes_of_waiting(emulator, clients, spec, "iam.deny=compute.globalForwardingRules.list")
    (note,) = told
    assert note.startswith("forwarding rules cannot be seen, so they are not waited for: the credentials lack ")
    assert note.endswith("compute.globalForwardingRules.list")
