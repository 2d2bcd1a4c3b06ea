"""Jobs run Pods to their end."""

from __future__ import annotations

from typing import Any

JOBS, PODS = "batch/jobs", "/pods"


def job(**spec: Any) -> dict[str, Any]:
    pod = {"restartPolicy": "Never", "containers": [{"name": "ask", "image": "python:3.12"}]}
    metadata = {"name": "ask", "namespace": "default"}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {**spec, "template": {"spec": pod}}}


def finish(world: Any, kit: Any, cluster: Any, code: int) -> None:
    for pod in cluster.store.list(PODS):
        if pod["status"]["phase"] == "Running":
            state = kit.State(running=False, ready=False, exit_code=code)
            world.kubelet.states[pod["metadata"]["uid"]] = state


async def test_a_job_is_complete_when_its_pod_ends_well(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST)
    cluster.add(job())
    await world.settle()
    assert cluster.status(JOBS, "ask")["active"] == 1
    (pod,) = cluster.store.list(PODS)
    assert pod["metadata"]["labels"]["job-name"] == "ask"
    finish(world, kit, cluster, 0)
    await world.settle()
    status = cluster.status(JOBS, "ask")
    assert status["succeeded"] == 1 and "active" not in status
    assert kit.conditions(status)["Complete"] == ("True", "CompletionsReached")
    assert cluster.status(PODS, pod["metadata"]["name"])["phase"] == "Succeeded"


async def test_a_job_fails_after_too_many_tries(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST)
    cluster.add(job(backoffLimit=1))
    for _ in range(3):
        await world.settle()
        finish(world, kit, cluster, 1)
    await world.settle()
    status = cluster.status(JOBS, "ask")
    assert kit.conditions(status)["Failed"] == ("True", "BackoffLimitExceeded")
    assert status["failed"] == 2
    assert len(cluster.store.list(PODS)) == 2


async def test_an_ended_job_goes_after_its_time_to_live(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST)
    cluster.add(job(ttlSecondsAfterFinished=60))
    await world.settle()
    finish(world, kit, cluster, 0)
    await world.after(0)
    assert cluster.one(JOBS, "ask")
    await world.after(61)
    assert cluster.store.get(JOBS, "default", "ask") is None
    assert cluster.store.list(PODS) == []


async def test_a_job_fails_when_its_time_is_over(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST)
    cluster.add(job(activeDeadlineSeconds=60))
    await world.settle()
    assert cluster.status(JOBS, "ask")["active"] == 1
    await world.after(61)
    status = cluster.status(JOBS, "ask")
    assert kit.conditions(status)["Failed"] == ("True", "DeadlineExceeded")
    assert "active" not in status
    assert cluster.store.list(PODS) == []
