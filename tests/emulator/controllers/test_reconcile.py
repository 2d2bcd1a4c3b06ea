"""All controllers together: they come to rest, survive a failure and a restart."""

from __future__ import annotations

import copy
import json
import logging
from typing import Any

import pytest

from backend.emulator.kube.builtin import model_schema
from backend.emulator.kube.controllers import exports, pods, reconcile
from backend.emulator.kube.limits import check
from backend.emulator.kube.schema import mistyped, prune


def everything(world: Any, kit: Any) -> None:
    west, east = kit.two_regions(world)
    west.add(*kit.inference_pool(), kit.gateway("europe-west3", "us-east4"), kit.route(), kit.health_policy())
    west.add(kit.policy("GCPBackendPolicy", "p", timeoutSec=100))
    east.add(*kit.inference_pool())


async def test_everything_comes_to_rest_in_a_few_passes(world: Any, kit: Any) -> None:
    everything(world, kit)
    assert await world.settle() <= 6
    revisions = [cluster.store.revision for cluster in world.kube.values()]
    touched, tables = world.touched, copy.deepcopy(world.tables)
    world.time += 3600
    await reconcile(world)
    assert [cluster.store.revision for cluster in world.kube.values()] == revisions
    assert (world.touched, world.tables) == (touched, tables)


async def test_everything_that_is_written_is_what_the_api_serves(world: Any, kit: Any) -> None:
    everything(world, kit)
    await world.settle()
    kinds = set()
    for cluster in world.kube.values():
        for kind in cluster.store.registry:
            schema = kind.schema() if kind.custom else model_schema(str(kind.model))
            assert schema is not None
            for obj in cluster.store.list(kind.resource):
                kinds.add(kind.kind)
                where = f"{kind.kind} {obj['metadata']['name']}"
                assert list(mistyped(schema, obj)) == [], where
                assert list(prune(schema, copy.deepcopy(obj))) == [], where
                if kind.custom:
                    assert list(check(schema, obj)) == [], where
    assert {"Node", "ReplicaSet", "Pod", "GatewayClass", "Gateway", "HTTPRoute", "GCPInferencePoolImport"} <= kinds


async def test_all_state_is_json_and_nothing_waits_in_memory(world: Any, kit: Any) -> None:
    world.pace.table |= {"model-server.start": 40, "import": 30, "gateway.program": 50, "policy.attach": 5}
    everything(world, kit)
    await world.settle()
    for _ in range(30):
        world.tables = json.loads(json.dumps(world.tables))
        await world.after(10)
    gateway = world.kube[kit.WEST].status("gateway.networking.k8s.io/gateways", "cross-region-gateway")
    assert kit.conditions(gateway)["networking.gke.io/GatewayHealthy"] == ("True", "Healthy")


async def test_a_failing_controller_does_not_stop_the_others(
    world: Any, kit: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    everything(world, kit)

    async def fail(turn: Any) -> None:
        raise RuntimeError("out of order")

    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
        patch.setattr(exports, "reconcile", fail)
        due = await reconcile(world)
    assert due is not None and due <= world.now() + 1
    assert "controller exports failed" in caplog.text
    assert world.kube[kit.WEST].store.list("/pods") != []
    await world.settle()
    assert world.kube[kit.WEST].store.list(exports.IMPORTS) != []


async def test_a_failure_does_not_forget_how_long_things_waited(
    world: Any, kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.pace.table["pod.start"] = 10
    cluster = world.cluster(kit.WEST)
    cluster.add(kit.deployment("epp"))
    await world.settle()

    async def fail(turn: Any) -> None:
        raise RuntimeError("out of order")

    world.time += 9
    with monkeypatch.context() as patch:
        patch.setattr(pods, "reconcile", fail)
        await reconcile(world)
    await world.after(1)
    assert cluster.store.list("/pods")[0]["status"]["phase"] == "Running"


async def test_timers_of_what_is_gone_are_dropped(world: Any, kit: Any) -> None:
    world.tables["timers"] = {"someone else's": 1.0}
    world.pace.table["pod.start"] = 10
    cluster = world.cluster(kit.WEST)
    cluster.add(kit.deployment("epp"))
    await world.settle()
    assert {name.split()[1] for name in world.tables["timers"]} == {"else's", "pod.start", "progress"}
    cluster.store.delete("apps/deployments", "default", "epp")
    await world.settle()
    assert world.tables["timers"] == {"someone else's": 1.0}


async def test_an_empty_world_has_nothing_to_do(world: Any) -> None:
    assert await reconcile(world) is None
    assert world.touched == 0
