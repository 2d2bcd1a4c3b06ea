"""Flex-start pools stay at zero until Pods ask, and never outgrow their limit."""

from __future__ import annotations

from typing import Any

from backend.emulator import faults
from backend.emulator.pace import Pace

POOL = "europe-west3/gke-west/h100"


def flex(world: Any, kit: Any, *, most: int = 3, zones: tuple[str, ...] = ("europe-west3-c",)) -> Any:
    cluster = world.cluster(kit.WEST, gpu_nodes=0, locations=list(zones))
    pool = world.tables["clusters"][kit.WEST]["nodePools"][1]
    pool["config"] |= {"flexStart": True, "spot": False}
    pool["autoscaling"] = {"enabled": True, "totalMaxNodeCount": most, "locationPolicy": "ANY"}
    return cluster


def pod(name: str, *, gpus: int = 1, selects: bool = True) -> dict[str, Any]:
    container = {"name": "main", "image": "busybox:1", "resources": {"limits": {"nvidia.com/gpu": str(gpus)}}}
    selector = {"nodeSelector": {"cloud.google.com/gke-flex-start": "true"}} if selects else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [container], **selector},
    }


def nodes(cluster: Any) -> list[Any]:
    return list(cluster.store.list("/nodes", labels={"cloud.google.com/gke-nodepool": "h100"}))


async def test_a_pool_that_nobody_asks_stays_empty(world: Any, kit: Any) -> None:
    cluster = flex(world, kit)
    await world.settle()
    assert nodes(cluster) == []


async def test_pods_get_as_many_machines_as_they_need(world: Any, kit: Any) -> None:
    cluster = flex(world, kit)
    cluster.add(pod("one"), pod("two"), pod("three"))
    await world.settle()
    found = nodes(cluster)
    assert len(found) == 2, "two GPUs a machine"
    assert all(node["metadata"]["labels"]["cloud.google.com/gke-flex-start"] == "true" for node in found)
    assert all(cluster.one("/pods", name)["spec"]["nodeName"] for name in ("one", "two", "three"))


async def test_the_limit_holds(world: Any, kit: Any) -> None:
    cluster = flex(world, kit, most=1)
    cluster.add(pod("one", gpus=2), pod("two", gpus=2))
    await world.settle()
    assert len(nodes(cluster)) == 1


async def test_a_zone_without_machines_gives_none_and_another_does(world: Any, kit: Any) -> None:
    cluster = flex(world, kit, zones=("europe-west3-a", "europe-west3-b"))
    faults.add(world, "stockout zone=europe-west3-a", Pace())
    cluster.add(pod("one", gpus=2), pod("two", gpus=2))
    await world.settle()
    zones = [node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in nodes(cluster)]
    assert zones == ["europe-west3-b"] * 2
    faults.add(world, "stockout", Pace())
    cluster.add(pod("three", gpus=2))
    await world.settle()
    assert len(nodes(cluster)) == 2


async def test_machines_go_when_the_last_pod_went(world: Any, kit: Any) -> None:
    cluster = flex(world, kit)
    cluster.add(pod("one"))
    await world.settle()
    assert len(nodes(cluster)) == 1
    cluster.store.delete("/pods", "default", "one")
    await world.settle()
    assert nodes(cluster) == []
    assert POOL not in world.tables["machines"]
