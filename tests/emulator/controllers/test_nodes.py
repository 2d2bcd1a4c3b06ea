"""Node pools become Nodes."""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from typing import Any

from backend.emulator.kube.controllers.nodes import pod_range


def by_pool(cluster: Any, pool: str) -> list[Any]:
    return list(cluster.store.list("/nodes", labels={"cloud.google.com/gke-nodepool": pool}))


async def test_gpu_nodes_carry_what_schedulers_and_people_look_for(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST)
    await world.settle()
    nodes = by_pool(cluster, "h100")
    assert len(nodes) == 3
    for node in nodes:
        assert re.fullmatch(r"gke-gke-west-h100-[0-9a-f]{8}-[0-9a-z]{4}", node["metadata"]["name"])
        labels = node["metadata"]["labels"]
        assert labels["cloud.google.com/gke-accelerator"] == "nvidia-h100-80gb"
        assert labels["node.kubernetes.io/instance-type"] == "a3-highgpu-2g"
        assert labels["topology.kubernetes.io/zone"] == "europe-west3-c"
        assert labels["topology.kubernetes.io/region"] == "europe-west3"
        assert labels["cloud.google.com/gke-spot"] == "true"
        assert node["status"]["allocatable"]["nvidia.com/gpu"] == "2"
        assert node["spec"]["taints"] == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]
        assert kit.conditions(node["status"])["Ready"] == ("True", "KubeletReady")


async def test_plain_nodes_have_no_gpu_and_no_taint(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST)
    await world.settle()
    (node,) = by_pool(cluster, "default-pool")
    assert "nvidia.com/gpu" not in node["status"]["allocatable"]
    assert "taints" not in node["spec"]
    assert node["status"]["capacity"]["cpu"] == "16"


async def test_every_zone_has_as_many_nodes_as_the_pool_says(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST, locations=["europe-west3-a", "europe-west3-b"], gpu_nodes=2)
    await world.settle()
    zones = [node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in by_pool(cluster, "h100")]
    assert sorted(zones) == ["europe-west3-a"] * 2 + ["europe-west3-b"] * 2


async def test_names_are_those_of_the_instance_groups_that_the_pool_reports(world: Any, kit: Any) -> None:
    managers = "https://www.googleapis.com/compute/v1/projects/p/zones/europe-west3-c/instanceGroupManagers"
    cluster = world.cluster(kit.WEST, instanceGroupUrls=[f"{managers}/gke-gke-west-h100-0badcafe-grp"])
    await world.settle()
    assert all(node["metadata"]["name"].startswith("gke-gke-west-h100-0badcafe-") for node in by_pool(cluster, "h100"))


async def test_a_pool_without_machines_yet_has_no_nodes_and_loses_them_when_it_goes(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST, status="PROVISIONING")
    await world.settle()
    assert by_pool(cluster, "h100") == []
    world.tables["clusters"][kit.WEST]["nodePools"][1]["status"] = "RUNNING"
    await world.settle()
    assert len(by_pool(cluster, "h100")) == 3
    del world.tables["clusters"][kit.WEST]["nodePools"][1]
    await world.settle()
    assert by_pool(cluster, "h100") == []
    assert len(by_pool(cluster, "default-pool")) == 1


async def test_nodes_share_out_the_clusters_pod_range(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST, gpu_nodes=20)
    world.tables["clusters"][kit.WEST]["clusterIpv4Cidr"] = "10.8.0.0/19"
    await world.settle()
    ranges = [IPv4Network(node["spec"]["podCIDR"]) for node in cluster.store.list("/nodes")]
    assert len(set(ranges)) == 21
    assert all(each.subnet_of(IPv4Network("10.8.0.0/19")) for each in ranges)


def test_clusters_without_a_stated_range_get_a_private_one() -> None:
    assert pod_range("europe-west3/gke-west", {}).subnet_of(IPv4Network("10.0.0.0/8"))
    assert pod_range("europe-west3/gke-west", {}) != pod_range("us-east4/gke-east", {})
