"""Node pools where machines are short: the early word, the next zone, and what is said when there is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.clients import Clients
from backend.clients.connect import emulated
from backend.clients.kinds import NODE
from backend.emulator import faults
from backend.emulator.server import Emulator
from backend.engine.events import Outcome, Verb
from backend.errors import InvalidRequest, OperationFailed, StockOut
from backend.resources.node_pool import NodePool
from backend.resources.node_pool_arrival import POOL_LABEL
from backend.resources.node_pool_shape import INSTEAD_OF, zones_label
from backend.resources.stock import EarlyWord
from backend.spec import GatewaySpec, OnStockout
from tests.backend.resources.rows import Session, Told, silent, with_cluster

EAST = "node-pool/gke-east/h100"


@pytest.fixture
def play(emulator: Emulator) -> Any:
    """Begin to play a fault."""
    return lambda fault: faults.add(emulator.world, fault, emulator.world.pace)


def going(spec: GatewaySpec, policy: OnStockout) -> GatewaySpec:
    return spec.model_copy(update={"on_stockout": policy})


def pools(emulator: Emulator) -> dict[str, Any]:
    return {
        f"{key}/{pool['name']}": pool
        for key, row in emulator.world.tables["clusters"].items()
        for pool in row["nodePools"]
        if pool["name"] != "default-pool"
    }


async def test_the_next_zone_is_taken_and_stays(
    spec: GatewaySpec, clients: Clients, emulator: Emulator, play: Any
) -> None:
    play("stockout zone=us-east4-c")
    play("stockout zone=us-east4-a")
    session = Session(going(spec, OnStockout.NEXT_ZONE), clients)
    assert (await session.run()).outcome is Outcome.SUCCEEDED

    pool = pools(emulator)["us-east4/gke-east/h100"]
    assert (pool["locations"], pool["status"]) == (["us-east4-b"], "RUNNING")
    assert pool["config"]["resourceLabels"][INSTEAD_OF] == "us-east4-c"
    told = [note.text for note in session.notes if note.resource == EAST]
    assert "us-east4-c has no a3-highgpu-2g: next us-east4-a" in told
    assert "us-east4-a has no a3-highgpu-2g: next us-east4-b" in told

    for policy in OnStockout:
        action, reason = (await Session(going(spec, policy), clients).actions())[EAST]
        assert (action, reason) == ("no-op", "in us-east4-b, because us-east4-c had no machines")
    await session.run(Verb.DESTROY)
    assert pools(emulator) == {}


async def test_when_no_zone_is_left_the_other_ways_are_told(
    spec: GatewaySpec, clients: Clients, emulator: Emulator, play: Any
) -> None:
    play("stockout region=us-east4")
    session = Session(going(spec, OnStockout.NEXT_ZONE), clients)
    (failed,) = (await session.run()).failures
    assert failed.resource == EAST
    assert failed.error is not None
    assert failed.error.kind == "StockOut"
    assert "us-east4-a or us-east4-b or us-east4-c" in failed.error.cause
    assert "gpu_pool.machine_type=" in failed.error.fix
    assert "us-east5" in failed.error.fix
    assert pools(emulator)["europe-west3/gke-west/h100"]["status"] == "RUNNING", "what was won stays"


@pytest.mark.parametrize("policy", [OnStockout.ASK, OnStockout.STOP])
async def test_without_the_users_word_no_other_zone_is_taken(
    spec: GatewaySpec, clients: Clients, emulator: Emulator, play: Any, policy: OnStockout
) -> None:
    play("stockout zone=us-east4-c")
    session = Session(going(spec, policy), clients)
    (failed,) = (await session.run()).failures
    assert failed.error is not None
    assert "--set 'clusters.gke-east.gpu_pool.zones=[us-east4-a]'" in failed.error.fix
    assert pools(emulator)["us-east4/gke-east/h100"]["status"] == "ERROR"


async def test_a_pool_that_failed_is_made_again(
    spec: GatewaySpec, clients: Clients, emulator: Emulator, play: Any
) -> None:
    play("stockout zone=us-east4-c times=1")
    await Session(spec, clients).run()
    again = Session(spec, clients)
    assert (await again.actions())[EAST] == ("replace", "us-east4-c had no machines")
    assert (await again.run()).outcome is Outcome.SUCCEEDED
    assert pools(emulator)["us-east4/gke-east/h100"]["locations"] == ["us-east4-c"]


async def test_another_zone_in_the_specification_replaces_a_pool_that_failed(
    spec: GatewaySpec, clients: Clients, emulator: Emulator, play: Any
) -> None:
    play("stockout zone=us-east4-c")
    await Session(spec, clients).run()
    pool = spec.to_data()["clusters"][1]["gpu_pool"]
    other = Session(with_cluster(spec, 1, gpu_pool=pool | {"zones": ["us-east4-b"]}), clients)
    assert (await other.run()).outcome is Outcome.SUCCEEDED
    assert pools(emulator)["us-east4/gke-east/h100"]["locations"] == ["us-east4-b"]


async def test_another_zone_in_the_specification_never_replaces_machines_that_run(
    spec: GatewaySpec, clients: Clients
) -> None:
    await Session(spec, clients).run()
    pool = spec.to_data()["clusters"][1]["gpu_pool"]
    other = with_cluster(spec, 1, gpu_pool=pool | {"zones": ["us-east4-b"]})
    row = NodePool(other, other.clusters[1], clients)
    with pytest.raises(InvalidRequest, match="locations is"):
        await row.apply(row.diff(await row.observe()), silent)


async def test_a_flex_start_pool_is_ready_without_machines(
    spec: GatewaySpec, clients: Clients, emulator: Emulator, play: Any
) -> None:
    play("stockout")
    pool = spec.to_data()["clusters"][1]["gpu_pool"] | {"provisioning": "flex-start"}
    west = spec.to_data()["clusters"][0]["gpu_pool"] | {"provisioning": "flex-start"}
    session = Session(with_cluster(with_cluster(spec, 1, gpu_pool=pool), 0, gpu_pool=west), clients)
    assert (await session.run()).outcome is Outcome.SUCCEEDED
    made = pools(emulator)["us-east4/gke-east/h100"]
    assert (made["initialNodeCount"], made["autoscaling"]["totalMaxNodeCount"]) == (0, 3)
    assert {action for action, _ in (await session.actions()).values()} == {"no-op"}


def sized(spec: GatewaySpec, nodes: int, **changes: Any) -> GatewaySpec:
    return with_cluster(spec, 1, gpu_pool=spec.to_data()["clusters"][1]["gpu_pool"] | {"nodes": nodes} | changes)


async def test_a_resize_that_fails_costs_no_machine_that_runs_and_is_asked_for_again(
    spec: GatewaySpec, clients: Clients, emulator: Emulator, play: Any
) -> None:
    await Session(spec, clients).run()
    play("stockout zone=us-east4-c times=2")
    more = going(sized(spec, 5), OnStockout.NEXT_ZONE)
    for _ in range(2):
        (failed,) = (await Session(more, clients).run()).failures
        assert failed.error is not None
        assert (failed.error.kind, "GCE_STOCKOUT" in failed.error.message) == ("OperationFailed", True)
        assert "those that run stay" in failed.error.cause
        pool = pools(emulator)["us-east4/gke-east/h100"]
        assert (pool["status"], pool["locations"]) == ("RUNNING_WITH_ERROR", ["us-east4-c"])
        assert len(await clients.kube("gke-east").list(NODE, labels={POOL_LABEL: "h100"})) == 3
        assert (await Session(more, clients).actions())[EAST][0] == "update"
    assert (await Session(more, clients).run()).outcome is Outcome.SUCCEEDED
    assert len(await clients.kube("gke-east").list(NODE, labels={POOL_LABEL: "h100"})) == 5
    assert (await Session(more, clients).actions())[EAST][0] == "no-op"


@pytest.mark.parametrize("seen", [{}, {"statusMessage": "Not all instances running in IGM"}])
async def test_a_pool_of_which_a_part_could_not_be_made_fails_at_once_with_what_it_says(
    spec: GatewaySpec, clients: Clients, emulator: Emulator, seen: dict[str, Any]
) -> None:
    await Session(spec, clients).run()
    pools(emulator)["us-east4/gke-east/h100"].update({"status": "RUNNING_WITH_ERROR"} | seen)
    row = NodePool(spec, spec.clusters[1], clients)
    async with asyncio.timeout(5):
        with pytest.raises(OperationFailed, match=seen.get("statusMessage", "no explanation was given")):
            await row.wait(silent)


async def test_an_operation_of_before_never_costs_machines_that_run(
    spec: GatewaySpec, clients: Clients, emulator: Emulator
) -> None:
    await Session(spec, clients).run()
    more = going(sized(spec, 5), OnStockout.NEXT_ZONE)
    row = NodePool(more, more.clusters[1], clients)
    operation = await clients.container.resize_node_pool("us-east4", "gke-east", "h100", 4)
    record = emulator.world.tables["operations"][operation["name"]]
    while not record["done"]:
        await clients.container.operation("us-east4", operation["name"])
    record["error"] = {"code": 8, "message": "[GCE_STOCKOUT]: the zone has not enough"}
    row.resume(operation["name"])
    await row.apply(row.diff(await row.observe()), silent)
    assert (await row.wait(silent))["initialNodeCount"] == 5
    assert pools(emulator)["us-east4/gke-east/h100"]["locations"] == ["us-east4-c"]


async def test_a_flex_start_pool_gets_other_bounds(spec: GatewaySpec, clients: Clients, emulator: Emulator) -> None:
    flexible = sized(spec, 3, provisioning="flex-start")
    await Session(flexible, clients).run()
    assert (await Session(sized(flexible, 7), clients).run()).outcome is Outcome.SUCCEEDED
    scaling = pools(emulator)["us-east4/gke-east/h100"]["autoscaling"]
    assert (scaling["totalMaxNodeCount"], scaling["enabled"], scaling["locationPolicy"]) == (7, True, "ANY")
    assert (await Session(sized(flexible, 7), clients).actions())[EAST][0] == "no-op"


@pytest.mark.parametrize("whose", ["somebody's", "scaled by somebody"])
async def test_a_size_that_somebody_else_decides_is_left(
    spec: GatewaySpec, clients: Clients, emulator: Emulator, whose: str
) -> None:
    await Session(spec, clients).run()
    pool = pools(emulator)["us-east4/gke-east/h100"]
    if whose == "somebody's":
        pool["config"]["resourceLabels"] = {}
    else:
        pool["autoscaling"] = {"enabled": True, "maxNodeCount": 9}
    assert (await Session(sized(spec, 5), clients).actions())[EAST][0] == "no-op"


class Clock:
    """A clock that the test moves."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Iterator[Clock]:
    yield Clock()


@pytest.fixture
async def slow(tmp_path: Path, clock: Clock, spec: GatewaySpec) -> AsyncIterator[Clients]:
    """Clients of an emulated cloud in which a zone is out of stock and things take as long as for real."""
    async with Emulator(tmp_path / "slow", speed=1.0, jitter=0.0, clock=clock) as running:
        made = Clients(emulated(running.url, running.token, project="demo-project", speed=1.0), spec)
        running.world.tables["services"]["container.googleapis.com"] = {"state": "ENABLED"}
        faults.add(running.world, "stockout zone=us-east4-c", running.world.pace)
        await made.container.create_cluster("us-east4", {"name": "gke-east", "initialNodeCount": 1})
        clock.now += 3600
        yield made
        await made.close()


async def test_the_early_word_comes_long_before_the_end(
    spec: GatewaySpec, slow: Clients, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.resources.node_pool_shape.node_config", lambda spec, project: {})
    monkeypatch.setattr("backend.engine.poll.SHORTEST_PAUSE_S", 0.0)
    row = NodePool(spec, spec.clusters[1], slow, clock=clock)
    told = Told()

    def note(text: str, *, operation: str | None = None) -> None:
        told(text, operation=operation)
        clock.now += 40 if "GCE_STOCKOUT" not in text else 3600

    await row.apply(row.create(), note)
    with pytest.raises(StockOut) as caught:
        await row.wait(note)
    early = (
        "us-east4-c reports GCE_STOCKOUT since 0:40; instead of the usual 5 min Google tries again for about 35 min "
        "and lets nobody touch the pool until then, then mcig says what else there is"
    )
    assert told.texts == ["creating node pool h100 in us-east4-c", early]
    assert caught.value.zones == ("us-east4-c",)
    assert caught.value.machine_type == "a3-highgpu-2g"

    another = NodePool(spec, spec.clusters[1], slow, clock=clock)
    with pytest.raises(StockOut):
        await another.wait(silent)


def test_the_early_word_stays_the_same_so_that_it_is_told_once() -> None:
    times = iter([40.0, 100.0])
    word = EarlyWord(OnStockout.NEXT_ZONE, lambda: next(times))
    said = "Current errors: [GCE_STOCKOUT]: The zone 'projects/p/zones/us-east4-c' does not have enough resources"
    assert word(said) == word(said)
    assert "since 0:40" in word(said)
    assert "since" not in EarlyWord(OnStockout.STOP, lambda: None)(said)


def test_a_label_holds_any_number_of_zones() -> None:
    assert zones_label(["us-east4-b", "us-east4-a"]) == "us-east4-a_us-east4-b"
    many = [f"northamerica-northeast1-{letter}" for letter in "abcdef"]
    assert len(zones_label(many)) <= 63
    assert zones_label(many) == zones_label(reversed(many))
