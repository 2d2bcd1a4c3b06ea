"""Deployments become ReplicaSets and Pods, and say how far they are."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from backend.emulator.kube.controllers import replicasets

PODS, SETS, DEPLOYMENTS = "/pods", "apps/replicasets", "apps/deployments"


def change(cluster: Any, name: str, **spec: Any) -> None:
    obj = copy.deepcopy(cluster.one(DEPLOYMENTS, name))
    obj["spec"] |= spec
    cluster.store.replace(DEPLOYMENTS, obj, manager="kubectl")


def retag(cluster: Any, name: str, image: str) -> None:
    template = copy.deepcopy(cluster.one(DEPLOYMENTS, name)["spec"]["template"])
    template["spec"]["containers"][0]["image"] = image
    change(cluster, name, template=template)


async def test_a_deployment_becomes_available_with_its_pods(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST)
    cluster.add(kit.deployment("epp", replicas=2))
    await world.settle()
    status = cluster.status(DEPLOYMENTS, "epp")
    counts = ("replicas", "readyReplicas", "availableReplicas", "updatedReplicas")
    assert [status[each] for each in counts] == [2, 2, 2, 2]
    assert "unavailableReplicas" not in status
    assert status["observedGeneration"] == 1
    assert kit.conditions(status) == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }
    (replica_set,) = cluster.store.list(SETS)
    assert cluster.one(DEPLOYMENTS, "epp")["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    assert replica_set["status"]["readyReplicas"] == 2
    for pod in cluster.store.list(PODS):
        assert pod["metadata"]["name"].startswith(replica_set["metadata"]["name"] + "-")
        assert pod["metadata"]["labels"]["pod-template-hash"] in replica_set["metadata"]["name"]


async def test_a_deployment_says_that_it_waits_for_its_pods(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST)
    world.pace.table["pod.start"] = 10
    cluster.add(kit.deployment("epp"))
    await world.settle()
    status = cluster.status(DEPLOYMENTS, "epp")
    assert kit.conditions(status)["Available"] == ("False", "MinimumReplicasUnavailable")
    assert kit.conditions(status)["Progressing"] == ("True", "ReplicaSetUpdated")
    assert status["unavailableReplicas"] == 1
    await world.after(10)
    assert kit.conditions(cluster.status(DEPLOYMENTS, "epp"))["Available"][0] == "True"


async def test_a_deployment_that_comes_to_nothing_says_so_at_its_deadline(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST)
    world.pace.table["pod.start"] = 100
    obj = kit.deployment("epp")
    obj["spec"]["progressDeadlineSeconds"] = 60
    cluster.add(obj)
    await world.settle()
    await world.after(59)
    assert kit.conditions(cluster.status(DEPLOYMENTS, "epp"))["Progressing"] == ("True", "ReplicaSetUpdated")
    await world.after(1)
    assert kit.conditions(cluster.status(DEPLOYMENTS, "epp"))["Progressing"] == ("False", "ProgressDeadlineExceeded")
    await world.after(40)
    assert kit.conditions(cluster.status(DEPLOYMENTS, "epp"))["Progressing"] == ("True", "NewReplicaSetAvailable")


async def test_scaling_adds_and_removes_pods(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST)
    cluster.add(kit.deployment("epp", replicas=3))
    await world.settle()
    before = {pod["metadata"]["name"] for pod in cluster.store.list(PODS)}
    change(cluster, "epp", replicas=1)
    await world.settle()
    kept = {pod["metadata"]["name"] for pod in cluster.store.list(PODS)}
    assert len(kept) == 1 and kept < before
    change(cluster, "epp", replicas=4)
    await world.settle()
    after = {pod["metadata"]["name"] for pod in cluster.store.list(PODS)}
    assert len(after) == 4
    assert after & before == kept, "a name was given twice"


async def test_a_new_template_rolls_over_without_losing_what_is_promised(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST)
    cluster.add(kit.deployment("epp", replicas=4))
    await world.settle()
    world.pace.table["pod.start"] = 10
    retag(cluster, "epp", "epp:v2")
    least = 4
    for _ in range(20):
        await world.after(5)
        least = min(least, cluster.status(DEPLOYMENTS, "epp")["availableReplicas"])
        assert len(cluster.store.list(PODS)) <= 5
    assert least == 3
    images = {pod["spec"]["containers"][0]["image"] for pod in cluster.store.list(PODS)}
    assert images == {"epp:v2"}
    assert sorted(each["spec"]["replicas"] for each in cluster.store.list(SETS)) == [0, 4]
    assert cluster.one(DEPLOYMENTS, "epp")["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"


async def test_recreate_ends_the_old_pods_first(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST)
    cluster.add(kit.deployment("epp", replicas=2, strategy={"type": "Recreate"}))
    await world.settle()
    world.pace.table["pod.start"] = 10
    before = cluster.store.revision
    retag(cluster, "epp", "epp:v2")
    await world.after(1)
    events = [event.type for event in cluster.store.history.since(PODS, before) if event.type != "MODIFIED"]
    assert events == ["DELETED", "DELETED", "ADDED", "ADDED"]
    pods = cluster.store.list(PODS)
    assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {"epp:v2"}
    assert cluster.status(DEPLOYMENTS, "epp").get("availableReplicas", 0) == 0
    await world.after(10)
    assert cluster.status(DEPLOYMENTS, "epp")["availableReplicas"] == 2


async def test_a_deleted_pod_is_replaced(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST)
    cluster.add(kit.deployment("epp"))
    await world.settle()
    (pod,) = cluster.store.list(PODS)
    cluster.store.delete(PODS, "default", pod["metadata"]["name"])
    await world.settle()
    (other,) = cluster.store.list(PODS)
    assert other["metadata"]["name"] != pod["metadata"]["name"]
    assert pod["metadata"]["uid"] in world.kubelet.ended


async def test_a_missing_service_account_is_reported_and_mended(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST)
    obj = kit.deployment("epp")
    obj["spec"]["template"]["spec"]["serviceAccountName"] = "epp"
    cluster.add(obj)
    await world.settle()
    failures = [each for each in cluster.status(DEPLOYMENTS, "epp")["conditions"] if each["type"] == "ReplicaFailure"]
    assert 'serviceaccount "epp" not found' in failures[0]["message"]
    metadata = {"name": "epp", "namespace": "default"}
    cluster.add({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    await world.settle()
    assert kit.conditions(cluster.status(DEPLOYMENTS, "epp"))["Available"][0] == "True"
    assert "ReplicaFailure" not in kit.conditions(cluster.status(DEPLOYMENTS, "epp"))


async def test_deleting_a_deployment_ends_its_processes(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST)
    cluster.add(kit.deployment("epp", replicas=2))
    await world.settle()
    cluster.store.delete(DEPLOYMENTS, "default", "epp")
    await world.settle()
    assert cluster.store.list(PODS) == []
    assert world.kubelet.pods == {}
    assert world.tables["processes"] == {}


async def test_no_more_pods_than_the_namespace_may_have(world: Any, kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicasets, "BURST", 5)
    monkeypatch.setattr(replicasets, "POD_QUOTA", 12)
    cluster = world.cluster(kit.WEST)
    cluster.add(kit.deployment("web", replicas=20))
    await world.settle()
    assert len(cluster.store.list("/pods")) == 12
    failure = next(
        each for each in cluster.status("apps/deployments", "web")["conditions"] if each["type"] == "ReplicaFailure"
    )
    assert failure["message"].endswith(
        "exceeded quota: gke-resource-quotas, requested: pods=1, used: pods=12, limited: pods=12"
    )
