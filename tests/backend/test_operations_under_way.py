"""A run takes up what an earlier one began: it asks for that very operation and tells how that ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from backend.clients import Clients
from backend.clients.connect import emulated
from backend.emulator.google import operations
from backend.emulator.server import Emulator
from backend.engine.events import Event, Outcome, StepFinished, StepNote, Verb
from backend.engine.resource import Resource
from backend.places import Places
from backend.resources.cluster import GkeCluster
from backend.resources.node_pool import NodePool
from backend.spec import GatewaySpec
from backend.stack import Stack
from tests.backend.resources.rows import silent

SHORT = (
    "Google Compute Engine: Not all instances running in IGM after 35m. Current errors: [GCE_STOCKOUT]: The zone "
    "'projects/demo-project/zones/us-east4-c' does not have enough resources available"
)
REFUSED = "Google Compute Engine: Required 'compute.subnetworks.use' permission for 'default'."
LONGER_THAN_ANYTHING_S = 4 * 3600.0


class Life:
    """A cloud that takes as long as for real under a clock that is moved, and one process after the other in it."""

    def __init__(self, spec: GatewaySpec, places: Places) -> None:
        self.spec, self.places = spec, places
        self.now = 1_800_000_000.0
        self.emulator: Emulator
        self.asked: list[str] = []

    def clients(self) -> Clients:
        """Clients of a new process; whoever asks for an operation finds it at its end."""
        connection = emulated(self.emulator.url, self.emulator.token, project="demo-project", speed=1.0)
        clients = Clients(connection, self.spec)
        ask = clients.container.operation

        async def much_later(location: str, name: str) -> Any:
            self.asked.append(name)
            self.now += LONGER_THAN_ANYTHING_S
            return await ask(location, name)

        clients.container.operation = much_later  # type: ignore[method-assign]
        return clients

    def row(self, kind: str, clients: Clients) -> Resource[Any]:
        """A row whose needs are there already."""
        cluster = self.spec.clusters[1]
        row: Resource[Any] = (GkeCluster if kind == "cluster" else NodePool)(self.spec, cluster, clients)
        row.within, row.depends_on = None, frozenset()
        return row

    async def begun(self, kind: str, verb: Verb) -> str:
        """Let a process begin and die; gives the operation that it left under way."""
        clients = self.clients()
        clients.container.operation = lambda *_: asyncio.sleep(3600)  # type: ignore[assignment, method-assign]
        noted: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def emit(event: Event) -> None:
            if isinstance(event.payload, StepNote) and event.payload.operation and not noted.done():
                noted.set_result(event.payload.operation)

        stack = self._stack(kind, clients)
        run = asyncio.create_task(stack.apply(await stack.plan(verb), emit=emit))
        async with asyncio.timeout(10):
            operation = await noted
        run.cancel()
        with suppress(asyncio.CancelledError):
            await run
        await clients.close()
        return operation

    async def goes_on(self, kind: str, verb: Verb) -> StepFinished:
        """Let another process plan and apply; gives how its only step ended."""
        clients = self.clients()
        stack = self._stack(kind, clients)
        try:
            async with asyncio.timeout(10):
                (finished,) = (await stack.apply(await stack.plan(verb), emit=lambda _: None)).finished
        finally:
            await clients.close()
        return finished

    def _stack(self, kind: str, clients: Clients) -> Stack:
        return Stack(
            self.spec,
            connection=clients.connection,
            clients=clients,
            declare=lambda _: [self.row(kind, clients)],
            places=self.places,
        )


@pytest.fixture
async def life(spec: GatewaySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Life]:
    monkeypatch.setattr("backend.resources.node_pool_shape.node_config", lambda spec, project: {})
    monkeypatch.setattr("backend.resources.cluster_shape.node_config", lambda spec, project: {})
    made = Life(spec, Places.of({"MCIG_HOME": str(tmp_path / "home")}))
    async with Emulator(tmp_path / "emulator", speed=1.0, jitter=0.0, clock=lambda: made.now) as made.emulator:
        for api in ("container", "compute"):
            made.emulator.world.tables["services"][f"{api}.googleapis.com"] = {"state": "ENABLED"}
        yield made


async def have(life: Life, *kinds: str) -> None:
    """Make what a test starts from."""
    clients = life.clients()
    for kind in kinds:
        row = life.row(kind, clients)
        await row.apply(row.create(), silent)
        await row.wait(silent)
    life.asked.clear()
    await clients.close()


def ends_badly(monkeypatch: pytest.MonkeyPatch, what: str, message: str) -> None:
    """Let an operation fail and only itself say why."""

    def effect(world: Any, record: Any) -> None:
        record["error"] = {"code": 8, "message": message}
        row = world.tables["clusters"]["us-east4/gke-east"]
        hit = row if what.startswith("cluster") else next(one for one in row["nodePools"] if one["name"] == "h100")
        hit["status"] = "ERROR"

    monkeypatch.setitem(operations.EFFECTS, what, effect)


@pytest.mark.parametrize(
    "case",
    [
        ("cluster", Verb.APPLY, REFUSED, "OperationFailed"),
        ("node-pool", Verb.APPLY, SHORT, "StockOut"),
        ("node-pool", Verb.APPLY, REFUSED, "OperationFailed"),
        ("cluster", Verb.DESTROY, REFUSED, "OperationFailed"),
        ("node-pool", Verb.DESTROY, REFUSED, "OperationFailed"),
    ],
)
async def test_a_later_process_tells_why_an_operation_of_an_earlier_one_failed(
    life: Life, monkeypatch: pytest.MonkeyPatch, case: tuple[str, Verb, str, str]
) -> None:
    kind, verb, message, error = case
    there = ["cluster"] if kind == "node-pool" else []
    await have(life, *there, *([kind] if verb is Verb.DESTROY else []))
    ends_badly(monkeypatch, f"{kind}.{'create' if verb is Verb.APPLY else 'delete'}", message)
    operation = await life.begun(kind, verb)
    assert life.asked == []
    finished = await life.goes_on(kind, verb)
    assert life.asked == [operation]
    assert finished.outcome is Outcome.FAILED
    assert finished.error is not None
    assert finished.error.kind == error
    assert message in finished.error.message


@pytest.mark.parametrize("kind", ["cluster", "node-pool"])
async def test_an_operation_that_is_no_longer_known_counts_as_ended(life: Life, kind: str) -> None:
    if kind == "node-pool":
        await have(life, "cluster")
    operation = await life.begun(kind, Verb.APPLY)
    ask_late = life.clients()
    row = life.row(kind, ask_late)
    row.resume(f"{operation}-of-long-ago")
    async with asyncio.timeout(10):
        seen = await row.wait(silent)
    assert seen["status"] == "RUNNING"
    assert life.asked == [f"{operation}-of-long-ago"]
    await ask_late.close()
