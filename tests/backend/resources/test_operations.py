"""Operations of Google's APIs: followed until they have ended, whatever an API leaves out, and through failures."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backend.clients import Clients
from backend.clients.connect import emulated
from backend.clients.google import Google
from backend.emulator import faults
from backend.emulator.server import Emulator
from backend.engine.resource import Resource
from backend.errors import NotFound, OperationFailed
from backend.resources.cluster import GkeCluster
from backend.resources.fleet import Membership
from backend.resources.iam import NodeAccount
from backend.resources.network import ProxySubnet
from backend.resources.operations import until_done
from backend.resources.services import EnabledServices
from backend.resources.waiting import Watch
from backend.spec import GatewaySpec
from tests.backend.resources.rows import Told, silent

State = dict[str, Any]


@pytest.fixture
def instantly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks follow each other without a pause."""
    monkeypatch.setattr("backend.engine.poll.SHORTEST_PAUSE_S", 0.0)


class Operation:
    """An operation's states, one after the other."""

    def __init__(self, *states: State | Exception) -> None:
        self.states = list(states)

    async def __call__(self) -> State:
        state = self.states.pop(0)
        if isinstance(state, Exception):
            raise state
        return state

    async def followed(self) -> None:
        watch = Watch(silent, "making it", timeout_s=60.0, look="gcloud look")
        await until_done(watch, self, doing="making it", project="demo-project")


@pytest.mark.usefixtures("instantly")
@pytest.mark.parametrize(
    "states",
    [
        pytest.param([{"name": "o"}, {"name": "o", "done": True, "response": {}}], id="false is left out"),
        pytest.param([{"name": "o", "done": False}, {"name": "o", "done": True}], id="false is said"),
        pytest.param([{"name": "o", "status": "RUNNING"}, {"name": "o", "status": "DONE"}], id="a status"),
        pytest.param([{"name": "o", "status": "PENDING"}, NotFound("gone")], id="no longer known"),
    ],
)
async def test_an_operation_is_followed_to_its_end_in_each_shape(states: list[State | Exception]) -> None:
    operation = Operation(*states)

    await operation.followed()

    assert operation.states == []


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ({"done": True, "error": {"code": 9, "message": "billing is off"}}, "making it: billing is off"),
        ({"done": True, "error": {"message": "billing is off"}}, "making it: billing is off"),
        ({"done": True, "error": {"code": 13}}, "making it: no explanation was given"),
        ({"status": "DONE", "error": {"code": 8}, "statusMessage": "no room"}, "making it: no room"),
        (
            {"status": "DONE", "error": {"errors": [{"code": "TAKEN"}, {"code": "X", "message": "and late"}]}},
            "making it: TAKEN; and late",
        ),
    ],
)
async def test_one_that_ended_badly_is_a_failure_in_each_shape(state: State, told: str) -> None:
    with pytest.raises(OperationFailed) as caught:
        await Operation(state).followed()

    assert caught.value.message == told


class Slow:
    """A cloud in which operations take as long as for real, under a clock that moves with each look at one."""

    def __init__(self, emulator: Emulator, clients: Clients) -> None:
        self._emulator, self._clients = emulator, clients
        self.looks = 0

    async def made(self, row: Resource[Any], fault: str, note: Told) -> None:
        """Make a row's thing; once it is asked for, a fault hits who looks."""
        await row.apply(row.create(), note)
        faults.add(self._emulator.world, fault, self._emulator.world.pace)
        self.looks = 0
        await row.wait(note)


@pytest.fixture
async def slow(tmp_path: Path, spec: GatewaySpec) -> AsyncIterator[tuple[Slow, Clients]]:
    now = 1_800_000_000.0

    def clock() -> float:
        return now

    async def no_pause(_: float) -> None:
        """Tries follow each other at once."""

    async with Emulator(tmp_path / "slow", speed=1.0, jitter=0.0, clock=clock) as running:
        connection = emulated(running.url, running.token, project="demo-project", speed=1.0)
        clients = Clients(connection, spec, google=Google(connection, sleep=no_pause))
        cloud = Slow(running, clients)

        def counted(api: Any) -> None:
            ask = api.operation

            async def look(*arguments: Any) -> Any:
                nonlocal now
                state = await ask(*arguments)
                cloud.looks += 1
                now += 1000.0
                return state

            api.operation = look

        for api in (clients.services, clients.compute, clients.container, clients.fleet):
            counted(api)
        yield cloud, clients
        await clients.close()


@pytest.mark.usefixtures("instantly")
async def test_an_operation_is_waited_for_while_the_service_fails(
    slow: tuple[Slow, Clients], spec: GatewaySpec
) -> None:
    cloud, clients = slow
    west = spec.clusters[0]
    rows: dict[str, Resource[Any]] = {
        "services": EnabledServices(spec, clients),
        "subnet": ProxySubnet(spec, west, clients),
        "cluster": GkeCluster(spec, west, clients),
        "membership": Membership(spec, west, clients),
    }
    for step, row in rows.items():
        told = Told()
        await cloud.made(row, f"internal-error step={step} times=7", told)
        assert cloud.looks == 2, f"{step} was done at the first look"
        assert "no answer: the service itself failed; this is usually short" in told.texts
        if step == "services":
            account = NodeAccount(spec, clients)
            await account.apply(account.create(), silent)
