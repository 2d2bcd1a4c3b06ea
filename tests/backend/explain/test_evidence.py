"""What is asked about Pods that are not ready, over the API server's wire."""

from __future__ import annotations

from typing import Any

from backend.explain.evidence import gather_cluster
from backend.spec import GatewaySpec
from tests.backend.kubes import FakeClients, api_server, client_of

Json = dict[str, Any]


class Logs:
    """A kubelet whose container has run twice."""

    def logs(self, *_: Any, previous: bool = False) -> list[str]:
        return ["the first run"] if previous else ["the last run"]


async def no_members() -> list[Json]:
    return []


def pod(spec: GatewaySpec, name: str, node: str | None = "node-1") -> Json:
    container = {"name": "vllm", "image": "vllm/vllm-openai:v0.8.5"}
    body: Json = {"containers": [container]} | ({} if node is None else {"nodeName": node})
    meta = {"name": name, "namespace": "default", "labels": {"app": spec.model.name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": body}


def status(state: str, *, ended: bool) -> Json:
    told = {"waiting": {"reason": "CrashLoopBackOff"}} if state == "waiting" else {"running": {}}
    last = {"terminated": {"exitCode": 1}} if ended else {}
    container = {"name": "vllm", "image": "i", "imageID": "", "ready": False, "restartCount": 0}
    return {"phase": "Running", "containerStatuses": [container | {"state": told, "lastState": last}]}


def event(pod_name: str, number: int, reason: str, message: str) -> Json:
    about = {"kind": "Pod", "namespace": "default", "name": pod_name}
    stamp = f"2026-11-22T12:00:{number:02}Z"
    meta = {"name": f"{pod_name}.{number}", "namespace": "default"}
    body = {"involvedObject": about, "type": "Warning", "reason": reason, "message": message, "lastTimestamp": stamp}
    return {"apiVersion": "v1", "kind": "Event", "metadata": meta, **body}


async def test_a_crashed_container_is_heard_before_its_first_restart_and_after(spec: GatewaySpec) -> None:
    states = {
        "waits": status("waiting", ended=True),
        "runs-again": status("running", ended=True),
        "loads": status("running", ended=False),
    }
    events = [
        event("waits", 1, "BackOff", "an old one"),
        event("waits", 2, "BackOff", "the newest one"),
        event("waits", 3, "FailedScheduling", "no node then"),
        event("nowhere", 4, "FailedScheduling", "no node now"),
    ]
    async with api_server() as cluster:
        cluster._world.kubelet = Logs()  # type: ignore[attr-defined]
        for name, told in states.items():
            cluster.store.create("/pods", pod(spec, name), manager="test")
            cluster.store.set_status("/pods", "default", name, told, manager="test")
        cluster.store.create("/pods", pod(spec, "nowhere", None), manager="test")
        for one in events:
            cluster.store.create("/events", one, manager="test")
        kube = client_of(cluster)
        clients = FakeClients({"gke-west": kube}).as_clients()
        found = await gather_cluster(spec, clients, spec.targets[0], no_members())
        await kube.close()
    assert found.logs == {"waits": "the last run", "runs-again": "the first run"}
    assert found.warnings == {
        "waits": ["BackOff: the newest one"],
        "runs-again": [],
        "loads": [],
        "nowhere": ["FailedScheduling: no node now"],
    }
