"""What the clusters of a world tell of what happens in them."""

from __future__ import annotations

from typing import Any

import pytest

from backend.emulator import faults
from backend.emulator.kube.controllers import reconcile
from backend.emulator.kube.events import EVENTS

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "default"},
    "spec": {"containers": [{"name": "main", "image": "nginx:1"}]},
}


def told(cluster: Any, kind: str, name: str = "") -> list[tuple[str, str]]:
    """(reason, message) of the events about objects of a kind."""
    events = sorted(cluster.store.list(EVENTS), key=lambda event: int(event["metadata"]["resourceVersion"]))
    found = [event for event in events if event["involvedObject"]["kind"] == kind]
    return [(event["reason"], event["message"]) for event in found if name in ("", event["involvedObject"]["name"])]


async def test_the_life_of_a_pod(world: Any) -> None:
    cluster = world.cluster("europe-west3/gke-west")
    world.pace.table["pod.start"] = 69.0
    cluster.add(POD)
    await world.settle()
    node = cluster.one("/pods", "p")["spec"]["nodeName"]
    assert told(cluster, "Pod") == [
        ("Scheduled", f"Successfully assigned default/p to {node}"),
        ("Pulling", 'Pulling image "nginx:1"'),
    ]
    await world.after(69)
    assert told(cluster, "Pod")[2:] == [
        ("Pulled", 'Successfully pulled image "nginx:1" in 1m9s (1m9s including waiting).'),
        ("Created", "Created container: main"),
        ("Started", "Started container main"),
    ]
    again = {**POD, "metadata": {**POD["metadata"], "name": "q"}}
    cluster.add({**again, "spec": {**again["spec"], "nodeSelector": {"kubernetes.io/hostname": node}}})
    await world.settle()
    await world.after(69)
    pulled = ("Pulled", 'Container image "nginx:1" already present on machine')
    assert pulled in told(cluster, "Pod", "q")
    assert "Pulling" not in dict(told(cluster, "Pod", "q"))


async def test_what_stands_in_a_pods_way(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST, gpu_nodes=0)
    cluster.add(kit.deployment("vllm", gpus=1))
    await world.settle()
    ((reason, message),) = told(cluster, "Pod")
    assert reason == "FailedScheduling"
    assert (
        message.startswith("0/1 nodes are available: 1 node(s) didn't match")
        or "Insufficient nvidia.com/gpu" in message
    )
    cluster = world.cluster(kit.EAST)
    cluster.add(kit.deployment("vllm", gpus=1))
    await world.settle()
    assert told(cluster, "Pod")[1:2] == [
        ("FailedMount", 'MountVolume.SetUp failed for volume "config-volume" : configmap "adapters" not found')
    ]
    cluster.add(kit.config_map("adapters"))
    await world.settle()
    assert ("Failed", 'Error: secret "hf-token" not found') in told(cluster, "Pod")


async def test_probes_and_restarts_are_told_and_counted(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST)
    probe = {"httpGet": {"path": "/health", "port": "http"}}
    container = {
        "name": "main",
        "image": "nginx:1",
        "ports": [{"name": "http", "containerPort": 8000}],
        "readinessProbe": probe,
    }
    cluster.add({**POD, "spec": {"containers": [container]}})
    world.kubelet.states[uid := cluster.one("/pods", "p")["metadata"]["uid"]] = kit.State(ready=False)
    await world.settle()
    address = cluster.one("/pods", "p")["status"]["podIP"]
    failed = f'Readiness probe failed: Get "http://{address}:8000/health": '
    assert ("Unhealthy", f"{failed}dial tcp {address}:8000: connect: connection refused") in told(cluster, "Pod")
    for ready in (True, False):
        world.kubelet.states[uid] = kit.State(ready=ready)
        await world.settle()
    late = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    assert ("Unhealthy", f"{failed}{late}") in told(cluster, "Pod")
    for _ in range(2):
        world.kubelet.states[uid] = kit.State(running=False, ready=False, exit_code=1)
        await world.settle()
        await world.after(60)
    (backoff,) = [event for event in cluster.store.list(EVENTS) if event["reason"] == "BackOff"]
    assert (backoff["count"], backoff["type"]) == (2, "Warning")
    assert backoff["message"] == f"Back-off restarting failed container main in pod p_default({uid})"
    cluster.store.delete("/pods", "default", "p")
    await world.settle()
    assert ("Killing", "Stopping container main") in told(cluster, "Pod")


async def test_sets_and_jobs_tell_what_they_make(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST)
    cluster.add(kit.deployment("web", replicas=2))
    cluster.add({**kit.deployment("bare"), "metadata": {"name": "bare", "namespace": "default"}})
    await world.settle()
    ((reason, message),) = told(cluster, "Deployment", "web")
    (name,) = {
        one["metadata"]["name"] for one in cluster.store.list("apps/replicasets", "default") if "web" in str(one)
    }
    assert (reason, message) == ("ScalingReplicaSet", f"Scaled up replica set {name} from 0 to 2")
    pods = {one["metadata"]["name"] for one in cluster.store.list("/pods") if one["metadata"]["name"].startswith("web")}
    assert set(told(cluster, "ReplicaSet", name)) == {("SuccessfulCreate", f"Created pod: {pod}") for pod in pods}
    denied = kit.deployment("denied")
    denied["spec"]["template"]["spec"]["serviceAccountName"] = "nobody"
    cluster.add(denied)
    await world.settle()
    ((reason, message),) = [one for one in told(cluster, "ReplicaSet") if one[0] == "FailedCreate"]
    assert message.startswith('Error creating: pods "denied-') and "service account default/nobody" in message


async def test_a_machine_that_is_taken_back(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST, gpu_nodes=1)
    await world.settle()
    name = next(one["metadata"]["name"] for one in cluster.store.list("/nodes") if "h100" in one["metadata"]["name"])
    assert told(cluster, "Node", name) == [
        ("RegisteredNode", f"Node {name} event: Registered Node {name} in Controller"),
        ("NodeReady", f"Node {name} status is now: NodeReady"),
    ]
    faults.add(world, "spot-preemption", world.pace)
    await reconcile(world)
    await world.settle()
    await world.after(31)
    assert {"Shutdown", "NodeNotReady", "RemovingNode"} <= dict(told(cluster, "Node", name)).keys()


async def test_what_the_gateway_controller_tells(world: Any, kit: Any) -> None:
    west, east = kit.two_regions(world)
    west.add(*kit.inference_pool(), kit.gateway("europe-west3", "us-east4"), kit.route(), kit.health_policy())
    east.add(*kit.inference_pool())
    await world.settle()
    subject = "default/cross-region-gateway"
    assert told(west, "Gateway")[0] == ("ADD", subject)
    assert ("SYNC", f"SYNC on {subject} was a success") in told(west, "Gateway")
    assert ("SYNC", 'Application of HealthCheckPolicy "default/health" was a success') in told(
        west, "HealthCheckPolicy"
    )
    assert ("ADD", "default/route") in told(west, "HTTPRoute")
    bound = f'Reconciliation of HTTPRoute "default/route" to Gateway "{subject}" was a success'
    assert ("SYNC", bound) in told(west, "HTTPRoute")
    assert told(east, "Gateway") == told(east, "HTTPRoute") == []
    sources = {event["source"]["component"] for event in west.store.list(EVENTS) if event["reason"] == "SYNC"}
    assert sources == {"sc-gateway-controller"}


@pytest.mark.parametrize("regions", [("us-east4",), ()])
async def test_why_a_gateway_is_not_programmed(world: Any, kit: Any, regions: tuple[str, ...]) -> None:
    west, _ = kit.two_regions(world)
    del world.tables["subnetworks"]["us-east4/us-east4-subnet"]
    if not regions:
        world.tables["iam"] = {}
    west.add(kit.gateway("us-east4"))
    await world.settle()
    failed = [event for event in west.store.list(EVENTS) if event["type"] == "Warning"]
    why = next(
        each["message"]
        for each in west.status("gateway.networking.k8s.io/gateways", "cross-region-gateway")["conditions"]
        if each["type"] == "Programmed"
    )
    assert [event["message"] for event in failed] == [
        f'failed to translate Gateway "default/cross-region-gateway": {why}'
    ]


async def test_a_change_is_told_once_and_a_restart_tells_nothing(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST)
    cluster.add(POD)
    await world.settle()
    before = [(event["metadata"]["name"], event["count"]) for event in cluster.store.list(EVENTS)]
    assert before
    cluster.store.load(cluster.store.dump())
    await world.settle()
    assert [(event["metadata"]["name"], event["count"]) for event in cluster.store.list(EVENTS)] == before
    del world.kube[kit.WEST]
    await reconcile(world)
    assert world.tables["told"] == {}
