"""Pods are placed, started, watched and ended."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from backend.emulator.kube.controllers import reconcile

PODS = "/pods"
NAME = "vllm"


def bare(name: str = "relay", **spec: Any) -> dict[str, Any]:
    containers = [{"name": "main", "image": "python:3.12", "command": ["python3", "/relay/relay.py"]}]
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers, **spec}}


def model_server(world: Any, kit: Any, replicas: int = 1, **cluster: Any) -> Any:
    found = world.cluster(kit.WEST, **cluster)
    found.add(
        kit.secret(),
        kit.config_map("adapters", **{"configmap.yaml": "a: 1"}),
        kit.deployment(NAME, replicas=replicas, gpus=1),
    )
    return found


def waiting(pod: Any) -> tuple[str, str]:
    state = pod["status"]["containerStatuses"][0]["state"]["waiting"]
    return state["reason"], state.get("message", "")


async def test_a_running_model_server_has_a_full_status(world: Any, kit: Any) -> None:
    cluster = model_server(world, kit)
    await world.settle()
    (pod,) = cluster.store.list(PODS)
    status = pod["status"]
    assert status["phase"] == "Running"
    assert {kind: state for kind, (state, _) in kit.conditions(status).items()} == dict.fromkeys(
        ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"), "True"
    )
    assert [each["ready"] for each in status["containerStatuses"]] == [True]
    assert [each["ready"] for each in status["initContainerStatuses"]] == [True]
    node = cluster.one("/nodes", pod["spec"]["nodeName"], None)
    assert IPv4Address(status["podIP"]) in IPv4Network(node["spec"]["podCIDR"])
    assert status["hostIP"] == node["status"]["addresses"][0]["address"]
    assert status["startTime"].endswith("Z")
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod["spec"]["tolerations"]


async def test_the_kubelet_gets_plain_env_and_the_files_of_config_maps(world: Any, kit: Any) -> None:
    cluster = model_server(world, kit)
    await world.settle()
    (pod,) = cluster.store.list(PODS)
    uid = pod["metadata"]["uid"]
    env = world.kubelet.pods[uid]["spec"]["containers"][0]["env"]
    assert env == [{"name": "HUGGING_FACE_HUB_TOKEN", "value": "secret"}]
    assert world.kubelet.files[uid] == {"config-volume": {"configmap.yaml": "a: 1"}}
    assert "value" not in pod["spec"]["containers"][0]["env"][0], "the secret leaked into the stored Pod"


async def test_pods_beyond_the_gpus_stay_pending_and_start_when_there_is_room(world: Any, kit: Any) -> None:
    cluster = model_server(world, kit, replicas=3, gpu_nodes=1)
    await world.settle()
    pods = cluster.store.list(PODS)
    (pending,) = [pod for pod in pods if pod["status"]["phase"] == "Pending"]
    (condition,) = pending["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("PodScheduled", "False", "Unschedulable")
    assert condition["message"].startswith("0/2 nodes are available: 2 Insufficient nvidia.com/gpu.")
    world.tables["clusters"][kit.WEST]["nodePools"][1]["initialNodeCount"] = 2
    await world.settle()
    assert {pod["status"]["phase"] for pod in cluster.store.list(PODS)} == {"Running"}


async def test_a_model_server_pulls_then_loads_then_is_ready(world: Any, kit: Any) -> None:
    world.pace.table["model-server.start"] = 100
    cluster = model_server(world, kit)
    await world.settle()
    (pod,) = cluster.store.list(PODS)
    assert waiting(pod) == ("ContainerCreating", "")
    assert "podIP" not in pod["status"]
    await world.after(25)
    (pod,) = cluster.store.list(PODS)
    assert pod["status"]["phase"] == "Running"
    assert kit.conditions(pod["status"])["Ready"] == ("False", "ContainersNotReady")
    assert world.kubelet.starts == []
    await world.after(75)
    assert len(world.kubelet.starts) == 1
    (pod,) = cluster.store.list(PODS)
    assert kit.conditions(pod["status"])["Ready"][0] == "True"


@pytest.mark.parametrize(
    ("image", "command", "loads"),
    [
        ("vllm/vllm-openai:v0.11.0", ["python3", "-m", "vllm.entrypoints.openai.api_server"], True),
        ("vllm/vllm-openai:v0.11.0", ["vllm", "serve", "m"], True),
        ("europe-docker.pkg.dev/p/r/vllm-openai:v1", ["vllm", "serve", "m"], True),
        (f"vllm/vllm-openai@sha256:{'0' * 64}", ["vllm", "serve", "m"], True),
        ("vllm/vllm-openai:v0.11.0", ["vllm", "bench", "serve"], False),
        ("python:3.12", ["python3", "/relay/relay.py"], False),
    ],
)
async def test_what_serves_a_model_loads_it_first(
    world: Any, kit: Any, image: str, command: list[str], loads: bool
) -> None:
    world.pace.table |= {"model-server.start": 100, "pod.start": 5}
    cluster = world.cluster(kit.WEST)
    pod = bare()
    pod["spec"]["containers"][0] |= {"image": image, "command": command}
    cluster.add(pod)
    await world.settle()
    await world.after(6)
    assert bool(world.kubelet.starts) is not loads
    await world.after(20)
    assert bool(world.kubelet.starts) is not loads
    await world.after(75)
    assert len(world.kubelet.starts) == 1


async def test_a_start_up_probe_that_loses_patience_ends_the_container(world: Any, kit: Any) -> None:
    world.pace.table["model-server.start"] = 100
    cluster = world.cluster(kit.WEST)
    pod = bare()
    image = {"image": "vllm/vllm-openai:v0.11.0", "command": ["vllm", "serve", "m"]}
    probe = {"httpGet": {"path": "/health", "port": 8000}, "initialDelaySeconds": 10, "periodSeconds": 5}
    pod["spec"]["containers"][0] |= image | {"startupProbe": probe | {"failureThreshold": 10}}
    cluster.add(pod)
    await world.settle()
    await world.after(25)
    await world.after(59)
    (status,) = cluster.status(PODS, "relay")["containerStatuses"]
    assert ("running" in status["state"], status["restartCount"]) == (True, 0)
    await world.after(1)
    (status,) = cluster.status(PODS, "relay")["containerStatuses"]
    assert status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert status["lastState"]["terminated"]["exitCode"] == 137
    told = [one["message"] for one in cluster.store.list("/events") if one["reason"] == "Killing"]
    assert told == ["Container main failed startup probe, will be restarted"]
    world.pace.table["model-server.start"] = 40
    await world.after(10)
    await world.after(30)
    (status,) = cluster.status(PODS, "relay")["containerStatuses"]
    assert (status["ready"], status["restartCount"]) == (True, 1)


async def test_ends_are_forgotten_after_ten_good_minutes(world: Any, kit: Any) -> None:
    cluster = model_server(world, kit)
    await world.settle()

    async def crash() -> str:
        (pod,) = cluster.store.list(PODS)
        world.kubelet.states[pod["metadata"]["uid"]] = kit.State(running=False, ready=False, exit_code=1)
        await world.settle()
        (pod,) = cluster.store.list(PODS)
        return waiting(pod)[1].partition(" restarting")[0]

    assert await crash() == "back-off 10s"
    await world.after(10)
    assert await crash() == "back-off 20s"
    await world.after(20)
    await world.after(601)
    assert await crash() == "back-off 10s"


async def test_the_next_pass_is_due_when_the_wait_is_over(world: Any, kit: Any) -> None:
    world.pace.table["pod.start"] = 30
    cluster = world.cluster(kit.WEST)
    cluster.add(kit.deployment("epp"))
    start = world.now()
    await world.settle()
    assert await reconcile(world) == start + 30


async def test_readiness_follows_the_process(world: Any, kit: Any) -> None:
    cluster = model_server(world, kit)
    await world.settle()
    (pod,) = cluster.store.list(PODS)
    world.kubelet.states[pod["metadata"]["uid"]] = kit.State(ready=False)
    await world.settle()
    (pod,) = cluster.store.list(PODS)
    assert kit.conditions(pod["status"])["Ready"][0] == "False"
    assert cluster.status("apps/deployments", NAME).get("readyReplicas", 0) == 0


async def test_a_missing_secret_holds_the_container_until_it_appears(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST)
    cluster.add(kit.config_map("adapters"), kit.deployment(NAME, gpus=1))
    await world.settle()
    (pod,) = cluster.store.list(PODS)
    assert waiting(pod) == ("CreateContainerConfigError", 'secret "hf-token" not found')
    cluster.add(kit.secret())
    await world.settle()
    assert cluster.store.list(PODS)[0]["status"]["phase"] == "Running"


async def test_a_missing_key_is_named(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST)
    obj = kit.secret()
    obj["data"] = {"other": "eA=="}
    cluster.add(obj, kit.config_map("adapters"), kit.deployment(NAME, gpus=1))
    await world.settle()
    assert waiting(cluster.store.list(PODS)[0])[1] == "couldn't find key token in Secret default/hf-token"


async def test_a_missing_volume_source_keeps_the_pod_creating(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST)
    cluster.add(kit.secret(), kit.deployment(NAME, gpus=1))
    await world.settle()
    assert waiting(cluster.store.list(PODS)[0]) == ("ContainerCreating", "")
    cluster.add(kit.config_map("adapters"))
    await world.settle()
    assert cluster.store.list(PODS)[0]["status"]["phase"] == "Running"


async def test_a_changed_config_map_reaches_the_kubelet(world: Any, kit: Any) -> None:
    cluster = model_server(world, kit)
    await world.settle()
    obj = cluster.one("/configmaps", "adapters")
    cluster.store.replace("/configmaps", {**obj, "data": {"configmap.yaml": "a: 2"}}, manager="kubectl")
    await world.settle()
    (files,) = world.kubelet.files.values()
    assert files == {"config-volume": {"configmap.yaml": "a: 2"}}
    assert len(world.kubelet.starts) == 1


async def test_a_crash_is_backed_off_and_restarted(world: Any, kit: Any) -> None:
    cluster = model_server(world, kit)
    await world.settle()
    (pod,) = cluster.store.list(PODS)
    world.kubelet.states[pod["metadata"]["uid"]] = kit.State(running=False, ready=False, exit_code=1)
    await world.settle()
    (pod,) = cluster.store.list(PODS)
    reason, message = waiting(pod)
    assert reason == "CrashLoopBackOff" and message.startswith("back-off 10s restarting failed container=main pod=")
    assert pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 1
    await world.after(10)
    (pod,) = cluster.store.list(PODS)
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 1
    assert kit.conditions(pod["status"])["Ready"][0] == "True"
    assert len(world.kubelet.starts) == 2


async def test_a_pod_that_never_restarts_fails_with_its_exit_code(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST)
    cluster.add(bare(restartPolicy="Never"))
    await world.settle()
    (pod,) = cluster.store.list(PODS)
    world.kubelet.states[pod["metadata"]["uid"]] = kit.State(running=False, ready=False, exit_code=3)
    await world.settle()
    status = cluster.status(PODS, "relay")
    assert status["phase"] == "Failed"
    terminated = status["containerStatuses"][0]["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (3, "Error")
    await world.after(600)
    assert len(world.kubelet.starts) == 1


async def test_a_deadline_ends_the_pod(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST)
    cluster.add(bare(activeDeadlineSeconds=60, restartPolicy="Never"))
    await world.settle()
    await world.after(59)
    assert cluster.status(PODS, "relay")["phase"] == "Running"
    await world.after(1)
    status = cluster.status(PODS, "relay")
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    assert world.kubelet.pods == {}


async def test_a_deleted_pod_ends_its_process_and_goes(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST)
    cluster.add(bare())
    await world.settle()
    uid = cluster.one(PODS, "relay")["metadata"]["uid"]
    cluster.store.delete(PODS, "default", "relay")
    await world.settle()
    assert cluster.store.get(PODS, "default", "relay") is None
    assert world.kubelet.ended == [uid]


async def test_a_node_that_goes_takes_its_pods_along(world: Any, kit: Any) -> None:
    cluster = model_server(world, kit, replicas=2, gpu_nodes=2)
    await world.settle()
    world.tables["clusters"][kit.WEST]["nodePools"][1]["initialNodeCount"] = 1
    await world.settle()
    living = {node["metadata"]["name"] for node in cluster.store.list("/nodes")}
    pods = cluster.store.list(PODS)
    assert len(pods) == 2
    assert {pod["spec"]["nodeName"] for pod in pods} <= living


async def test_a_cluster_that_goes_ends_its_processes(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST)
    cluster.add(bare())
    await world.settle()
    del world.kube[kit.WEST]
    await world.settle()
    assert world.kubelet.pods == {}
    assert world.tables["processes"] == {}


async def test_processes_come_back_after_a_restart_without_waiting_again(world: Any, kit: Any) -> None:
    world.pace.table["model-server.start"] = 100
    cluster = model_server(world, kit)
    await world.settle()
    await world.after(25)
    await world.after(75)
    world.kubelet = type(world.kubelet)()
    await world.settle()
    assert len(world.kubelet.starts) == 1
    (pod,) = cluster.store.list(PODS)
    assert kit.conditions(pod["status"])["Ready"][0] == "True"
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


async def test_every_pod_has_an_address_of_its_own(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST)
    cluster.add(kit.deployment("epp", replicas=40))
    await world.settle()
    assert len({pod["status"]["podIP"] for pod in cluster.store.list(PODS)}) == 40
