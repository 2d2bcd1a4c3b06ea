"""Exported InferencePools are imported by the config cluster."""

from __future__ import annotations

import copy
from typing import Any

IMPORTS = "networking.gke.io/gcpinferencepoolimports"
POOLS = "inference.networking.k8s.io/inferencepools"


def exporting(cluster: Any, name: str) -> list[str]:
    controllers = cluster.status(IMPORTS, name)["controllers"]
    return [each["name"] for controller in controllers for each in controller["exportingClusters"]]


def unexport(cluster: Any, name: str) -> None:
    cluster.store.annotate(POOLS, "default", name, {"networking.gke.io/export": None}, manager="kubectl")


async def test_an_exported_pool_has_an_import_that_names_its_clusters(world: Any, kit: Any) -> None:
    west, east = kit.two_regions(world)
    west.add(*kit.inference_pool())
    east.add(*kit.inference_pool())
    await world.settle()
    assert exporting(west, kit.POOL) == ["gke-east", "gke-west"]
    assert east.store.list(IMPORTS) == []
    for cluster in (west, east):
        (parent,) = cluster.status(POOLS, kit.POOL)["parents"]
        assert parent["parentRef"]["kind"] == "GCPInferencePoolImport"
        assert kit.conditions(parent)["Exported"] == ("True", "Exported")


async def test_a_pool_that_is_not_exported_is_left_alone(world: Any, kit: Any) -> None:
    west, _ = kit.two_regions(world)
    west.add(*kit.inference_pool(exported=False))
    await world.settle()
    assert west.store.list(IMPORTS) == []
    assert "status" not in west.one(POOLS, kit.POOL)


async def test_only_the_exact_value_exports(world: Any, kit: Any) -> None:
    west, _ = kit.two_regions(world)
    west.add(*kit.inference_pool(exported=False))
    annotations = {"networking.gke.io/export": "true"}
    west.store.annotate(POOLS, "default", kit.POOL, annotations, manager="kubectl")
    await world.settle()
    assert west.store.list(IMPORTS) == []


async def test_a_cluster_outside_the_fleet_exports_nothing(world: Any, kit: Any) -> None:
    west, east = kit.two_regions(world)
    del world.tables["memberships"]["global/gke-east"]
    east.add(*kit.inference_pool())
    await world.settle()
    assert west.store.list(IMPORTS) == []


async def test_a_membership_that_is_being_updated_stays_in_the_fleet(world: Any, kit: Any) -> None:
    west, east = kit.two_regions(world)
    east.add(*kit.inference_pool())
    await world.settle()
    world.tables["memberships"]["global/gke-east"]["state"] = {"code": "UPDATING"}
    await world.settle()
    assert exporting(west, kit.POOL) == ["gke-east"]


async def test_a_membership_counts_from_when_it_was_created(world: Any, kit: Any) -> None:
    west, east = kit.two_regions(world)
    east.add(*kit.inference_pool())
    world.tables["memberships"]["global/gke-east"]["state"] = {"code": "CREATING"}
    await world.settle()
    assert west.store.list(IMPORTS) == []


async def test_an_import_takes_its_time(world: Any, kit: Any) -> None:
    west, _ = kit.two_regions(world)
    world.pace.table["import"] = 60
    west.add(*kit.inference_pool())
    await world.settle()
    assert west.store.list(IMPORTS) == []
    await world.after(60)
    assert exporting(west, kit.POOL) == ["gke-west"]


async def test_the_import_lives_as_long_as_one_cluster_exports(world: Any, kit: Any) -> None:
    west, east = kit.two_regions(world)
    west.add(*kit.inference_pool())
    east.add(*kit.inference_pool())
    await world.settle()
    unexport(west, kit.POOL)
    await world.settle()
    assert exporting(west, kit.POOL) == ["gke-east"]
    assert west.status(POOLS, kit.POOL) == {}
    unexport(east, kit.POOL)
    await world.settle()
    assert west.store.list(IMPORTS) == []


async def test_endpoint_groups_follow_the_export(world: Any, kit: Any) -> None:
    west, _ = kit.two_regions(world)
    west.add(*kit.inference_pool())
    await world.settle()
    ((key, row),) = world.tables["networkEndpointGroups"].items()
    assert key == f"europe-west3-c/{row['name']}"
    assert row["size"] == 3
    assert row["networkEndpointType"] == "GCE_VM_IP_PORT"
    assert row["zone"].endswith("/projects/demo-project/zones/europe-west3-c")
    assert len(row["name"]) <= 63
    unexport(west, kit.POOL)
    await world.settle()
    assert world.tables["networkEndpointGroups"] == {}


async def test_a_pool_that_is_deleted_takes_its_endpoint_groups_along(world: Any, kit: Any) -> None:
    west, _ = kit.two_regions(world)
    west.add(*kit.inference_pool())
    await world.settle()
    west.store.delete(POOLS, "default", kit.POOL)
    await world.settle()
    assert world.tables["networkEndpointGroups"] == {}
    assert west.store.list(IMPORTS) == []


async def test_a_cluster_deleted_under_an_export_leaves_its_endpoint_groups_behind(world: Any, kit: Any) -> None:
    west, east = kit.two_regions(world)
    west.add(*kit.inference_pool())
    east.add(*kit.inference_pool())
    await world.settle()
    before = copy.deepcopy(world.tables["networkEndpointGroups"])
    del world.kube[kit.EAST]
    await world.settle()
    assert world.tables["networkEndpointGroups"].keys() == before.keys()
    assert exporting(west, kit.POOL) == ["gke-west"]
