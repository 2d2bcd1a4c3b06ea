"""The real Python client against a cluster: what the product does, the product's way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

POOL_SERVER: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "epp", "namespace": "default"},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "epp"}},
        "template": {
            "metadata": {"labels": {"app": "epp"}},
            "spec": {"containers": [{"name": "epp", "image": "registry/epp:1"}]},
        },
    },
}


@pytest.fixture
async def dynamic(api: Any) -> Any:
    from kubernetes.aio.dynamic import DynamicClient

    return await DynamicClient(api)  # type: ignore[no-untyped-call]


async def test_server_side_apply_creates_then_changes_nothing(dynamic: Any) -> None:
    deployments = await dynamic.resources.get(api_version="apps/v1", kind="Deployment")
    first = await deployments.server_side_apply(body=POOL_SERVER, field_manager="mcig-pool")
    again = await deployments.server_side_apply(body=POOL_SERVER, field_manager="mcig-pool")
    assert first.metadata.resourceVersion == again.metadata.resourceVersion
    assert first.metadata.managedFields[0].manager == "mcig-pool"


async def test_a_conflict_is_told_and_can_be_forced(dynamic: Any) -> None:
    from kubernetes.aio.dynamic.exceptions import ConflictError

    deployments = await dynamic.resources.get(api_version="apps/v1", kind="Deployment")
    await deployments.server_side_apply(body=POOL_SERVER, field_manager="helm")
    other = {**POOL_SERVER, "spec": {**POOL_SERVER["spec"], "replicas": 2}}
    with pytest.raises(ConflictError) as caught:
        await deployments.server_side_apply(body=other, field_manager="mcig-pool")
    assert 'conflict with \\"helm\\": .spec.replicas' in str(caught.value.body)
    forced = await deployments.server_side_apply(body=other, field_manager="mcig-pool", force_conflicts=True)
    assert forced.spec.replicas == 2


async def test_a_dry_run_apply_with_strict_validation_finds_the_unknown_field(dynamic: Any, served: Any) -> None:
    from kubernetes.aio.dynamic.exceptions import DynamicApiError

    policies = await dynamic.resources.get(api_version="networking.gke.io/v1", kind="GCPBackendPolicy")
    policy: dict[str, Any] = {
        "apiVersion": "networking.gke.io/v1",
        "kind": "GCPBackendPolicy",
        "metadata": {"name": "policy", "namespace": "default"},
        "spec": {
            "targetRef": {"group": "networking.gke.io", "kind": "GCPInferencePoolImport", "name": "pool"},
            "default": {"balancingMode": "IN_FLIGHT", "dryRun": False},
        },
    }
    with pytest.raises(DynamicApiError) as caught:
        await policies.server_side_apply(body=policy, field_manager="mcig", dry_run="All", field_validation="Strict")
    assert ".spec.default.dryRun: field not declared in schema" in str(caught.value.body)
    del policy["spec"]["default"]["dryRun"]
    made = await policies.server_side_apply(body=policy, field_manager="mcig", dry_run="All")
    assert made.spec.default.balancingMode == "IN_FLIGHT"
    assert served.store.list("networking.gke.io/gcpbackendpolicies") == []


async def test_typed_clients_work_too(api: Any) -> None:
    from kubernetes.aio import client

    core = client.CoreV1Api(api)
    secret = client.V1Secret(metadata=client.V1ObjectMeta(name="hf-token"), string_data={"token": "x"})
    await core.create_namespaced_secret("default", secret)
    found = await core.read_namespaced_secret("hf-token", "default")
    assert found.data == {"token": "eA=="}
    with pytest.raises(client.ApiException) as caught:
        await core.create_namespaced_secret("default", secret)
    assert (caught.value.status, caught.value.reason) == (409, "Conflict")
    await core.delete_namespaced_secret("hf-token", "default")
    assert (await core.list_namespaced_secret("default")).items == []
    version = await client.VersionApi(api).get_code()
    assert version.git_version == "v1.34.1-gke.1127000"


async def test_watching_until_a_condition(dynamic: Any, served: Any) -> None:
    from kubernetes.aio import watch

    deployments = await dynamic.resources.get(api_version="apps/v1", kind="Deployment")
    await deployments.server_side_apply(body=POOL_SERVER, field_manager="mcig-pool")

    async def become_available() -> None:
        condition = {"type": "Available", "status": "True"}
        served.store.set_status("apps/deployments", "default", "epp", {"conditions": [condition]}, manager="c")

    task: asyncio.Task[None] | None = None
    seen: list[str] = []
    async with watch.Watch() as watcher:  # type: ignore[no-untyped-call]
        async for event in deployments.watch(namespace="default", timeout=5, watcher=watcher):
            seen.append(event["type"])
            if event["object"].status and event["object"].status.conditions:
                break
            task = task or asyncio.create_task(become_available())
    assert seen == ["ADDED", "MODIFIED"]


class Kubelet:
    """Stands in for the one that runs processes: a log, and a real server behind the proxy."""

    def __init__(self, port: int) -> None:
        self.port = port

    def logs(self, *place_tail_since: Any) -> list[str]:
        *place, tail, _ = place_tail_since
        assert place == ["europe-west3/gke-west", "default", "server", "main"]
        return ["one", "two", "three"][-tail if tail else 0 :]

    async def follow(self, *place_tail_since: Any) -> AsyncIterator[str]:
        for line in self.logs(*place_tail_since):
            yield line

    def address(self, key: str, namespace: str, pod: str, port: int) -> tuple[str, int] | None:
        return ("127.0.0.1", self.port) if (pod, port) == ("server", 8000) else None


@pytest.fixture
async def backend(served: Any, world: Any) -> AsyncIterator[None]:
    """A Pod ``server`` on port 8000 with a Service, and the process behind it."""

    async def stream(request: web.Request) -> web.StreamResponse:
        text = await request.text()
        response = web.StreamResponse(status=201, headers={"X-From": "pod"})
        await response.prepare(request)
        for part in (request.rel_url.raw_path_qs, " ", text, " ", request.headers.get("Authorization", "anonymous")):
            await response.write(part.encode())
        return response

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", stream)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    world.kubelet = Kubelet(runner.addresses[0][1])
    container = {"name": "main", "image": "registry/main:1", "ports": [{"name": "http", "containerPort": 8000}]}
    pod = {"metadata": {"name": "server", "labels": {"app": "server"}}, "spec": {"containers": [container]}}
    served.store.create("/pods", pod, manager="test")
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    served.store.set_status("/pods", "default", "server", ready, manager="kubelet")
    service = {
        "metadata": {"name": "front"},
        "spec": {"selector": {"app": "server"}, "ports": [{"name": "web", "port": 80, "targetPort": "http"}]},
    }
    served.store.create("/services", service, manager="test")
    yield
    await runner.cleanup()


@pytest.mark.usefixtures("backend")
async def test_logs(api: Any) -> None:
    from kubernetes.aio import client

    core = client.CoreV1Api(api)
    assert await core.read_namespaced_pod_log("server", "default") == "one\ntwo\nthree\n"
    assert await core.read_namespaced_pod_log("server", "default", tail_lines=1) == "three\n"
    for follow in (False, True):
        cut = await core.read_namespaced_pod_log_without_preload_content(
            "server", "default", follow=follow, limit_bytes=6
        )
        assert await cut.read() == b"one\ntw"
    response = await core.read_namespaced_pod_log_without_preload_content("server", "default", follow=True)
    assert await response.content.read() == b"one\ntwo\nthree\n"
    with pytest.raises(client.ApiException, match="container side is not valid for pod server"):
        await core.read_namespaced_pod_log("server", "default", container="side")


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(
    "place", ["pods/server:8000", "pods/server:http", "pods/server", "services/front:80", "services/front:web"]
)
async def test_the_proxy_passes_everything_but_the_token(http: Any, place: str) -> None:
    url = f"/api/v1/namespaces/default/{place}/proxy/v1/ask?x=1%2F2"
    from yarl import URL

    async with http.post(URL(url, encoded=True), data=b"prompt") as response:
        assert (response.status, response.headers["X-From"]) == (201, "pod")
        assert await response.text() == "/v1/ask?x=1%2F2 prompt anonymous"


async def test_the_proxy_streams_an_answer_as_it_comes(http: Any, served: Any, world: Any) -> None:
    go_on = asyncio.Event()

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: first\n\n")
        await go_on.wait()
        await response.write(b"data: second\n\n")
        return response

    app = web.Application()
    app.router.add_get("/stream", stream)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    world.kubelet = Kubelet(runner.addresses[0][1])
    pod = {"metadata": {"name": "server"}, "spec": {"containers": [{"name": "main", "image": "registry/main:1"}]}}
    served.store.create("/pods", pod, manager="test")
    async with http.get("/api/v1/namespaces/default/pods/server:8000/proxy/stream") as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        assert await response.content.readuntil(b"\n\n") == b"data: first\n\n"
        go_on.set()
        assert await response.content.readuntil(b"\n\n") == b"data: second\n\n"
    await runner.cleanup()


@pytest.mark.usefixtures("backend")
async def test_the_proxy_to_nothing_is_unavailable(http: Any) -> None:
    async with http.get("/api/v1/namespaces/default/pods/server:9/proxy/") as response:
        assert (response.status, (await response.json())["reason"]) == (503, "ServiceUnavailable")
    async with http.get("/api/v1/namespaces/default/pods/absent:9/proxy/") as response:
        assert response.status == 404
