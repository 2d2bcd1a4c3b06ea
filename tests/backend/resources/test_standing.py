"""Which clusters of a stack stand, since when, and whose they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backend.clients import Clients
from backend.emulator.server import Emulator
from backend.money import Standing, costs, spent
from backend.resources import marks
from backend.resources.standing import look, standing
from backend.spec import GatewaySpec

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOBODYS = {"team": "platform"}


def cluster(
    spec: GatewaySpec, number: int, made: str, *, ours: bool = True, pools: int | None = None
) -> dict[str, Any]:
    """A cluster of the specification, with a GPU pool whose marks are the stack's or nobody's."""
    wanted = spec.clusters[number]
    labels = marks.labels(spec) if ours else NOBODYS
    pool = {"name": wanted.serving_pool.name, "config": {"resourceLabels": labels if pools is None else NOBODYS}}
    return {
        "name": wanted.name,
        "location": wanted.region,
        "createTime": made,
        "resourceLabels": labels,
        "nodePools": [{"name": "default-pool"}, pool],
    }


def test_an_adopted_cluster_counts_from_the_first_thing_that_was_made_for_the_stack(spec: GatewaySpec) -> None:
    theirs = cluster(spec, 0, "2025-11-22T10:00:00Z", ours=False)
    theirs["nodePools"][1]["config"] = {"resourceLabels": marks.labels(spec)}
    mine = cluster(spec, 1, "2026-11-22T10:00:00Z")
    membership = {"labels": marks.labels(spec), "createTime": "2026-11-22T09:30:00.123456789Z"}
    another = {"labels": NOBODYS, "createTime": "2020-01-01T00:00:00Z"}
    found = standing(spec, [theirs, mine], [membership, another])
    assert [(one.cluster, one.made, one.gpus, str(one.since)[11:16]) for one in found] == [
        (theirs["name"], False, True, "09:30"),
        (mine["name"], True, True, "10:00"),
    ]


def test_a_pool_that_was_there_before_is_not_the_stacks(spec: GatewaySpec) -> None:
    theirs = cluster(spec, 0, "2025-11-22T10:00:00Z", ours=False)
    assert standing(spec, [theirs], []) == (Standing(theirs["name"], None, made=False, gpus=False),)


async def test_a_cluster_of_last_year_that_was_adopted_costs_nothing_before_its_pool(
    spec: GatewaySpec, clients: Clients, emulator: Emulator
) -> None:
    first = spec.clusters[0]
    assert await look(spec, clients) == (), "the API is off"
    for name in ("container", "gkehub"):
        emulator.world.tables["services"][f"{name}.googleapis.com"] = {"state": "ENABLED"}
    pool = {"name": first.serving_pool.name, "initialNodeCount": 1, "config": {"resourceLabels": marks.labels(spec)}}
    await clients.container.create_cluster(first.region, {"name": first.name, "nodePools": [pool]})
    emulator.world.tables["clusters"][f"{first.region}/{first.name}"]["createTime"] = "2025-11-22T10:00:00Z"
    assert spent(spec, await look(spec, clients)).usd == 0

    emulator.world.tables["memberships"][f"global/{first.name}"] = {
        "labels": marks.labels(spec),
        "createTime": (NOW - timedelta(hours=1)).isoformat(),
        "endpoint": {"gkeCluster": {"resourceLink": f"projects/x/locations/{first.region}/clusters/{first.name}"}},
    }
    found = spent(spec, await look(spec, clients), NOW)
    assert found.usd == pytest.approx(costs(spec.model_copy(update={"clusters": (first,)})).gpus)
    assert found.uncounted == (first.name,)
