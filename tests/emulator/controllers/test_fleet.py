"""The fleet's ingress feature brings the multi-cluster GatewayClasses to the config cluster."""

from __future__ import annotations

from typing import Any

import pytest

from backend.emulator.kube.controllers.fleet import cluster_key

CLASSES = "gateway.networking.k8s.io/gatewayclasses"
INTERNAL = "gke-l7-cross-regional-internal-managed-mc"


def names(cluster: Any) -> set[str]:
    return {each["metadata"]["name"] for each in cluster.store.list(CLASSES)}


@pytest.mark.parametrize("start", ["//container.googleapis.com", "//127.0.0.1:4321/container", "https://x/v1"])
def test_a_cluster_is_known_by_its_link_whatever_host_that_names(start: str) -> None:
    assert cluster_key(f"{start}/projects/p/locations/us-east4/clusters/gke-east") == "us-east4/gke-east"


def test_other_links_are_no_clusters() -> None:
    assert cluster_key("//container.googleapis.com/projects/p/locations/us-east4") is None


async def test_every_cluster_with_the_gateway_api_has_the_single_cluster_classes(world: Any, kit: Any) -> None:
    with_api, without = world.cluster(kit.WEST), world.cluster(kit.EAST, gateway_api=False)
    await world.settle()
    assert "gke-l7-rilb" in names(with_api)
    assert not any(each.endswith("-mc") for each in names(with_api))
    assert names(without) == set()


async def test_the_multi_cluster_classes_come_to_the_config_cluster_only(world: Any, kit: Any) -> None:
    west, east = kit.two_regions(world)
    await world.settle()
    assert {each for each in names(west) if each.endswith("-mc")} == {
        INTERNAL,
        "gke-l7-global-external-managed-mc",
        "gke-l7-regional-external-managed-mc",
        "gke-l7-rilb-mc",
        "gke-l7-gxlb-mc",
    }
    found = west.one(CLASSES, INTERNAL, None)
    assert found["spec"]["controllerName"] == "networking.gke.io/gateway"
    assert kit.conditions(found["status"])["Accepted"] == ("True", "Accepted")
    assert INTERNAL not in names(east)


async def test_a_feature_that_is_not_ok_yet_brings_nothing(world: Any, kit: Any) -> None:
    west, _ = kit.two_regions(world)
    del world.tables["features"]["global/multiclusteringress"]["state"]
    await world.settle()
    assert INTERNAL not in names(west)


async def test_the_classes_go_with_the_feature(world: Any, kit: Any) -> None:
    west, _ = kit.two_regions(world)
    await world.settle()
    world.tables["features"].clear()
    await world.settle()
    assert INTERNAL not in names(west)
    assert "gke-l7-rilb" in names(west)


async def test_the_classes_move_with_the_config_membership(world: Any, kit: Any) -> None:
    west, east = kit.two_regions(world)
    await world.settle()
    world.fleet(kit.WEST, kit.EAST, config=kit.EAST)
    await world.settle()
    assert INTERNAL not in names(west)
    assert INTERNAL in names(east)
