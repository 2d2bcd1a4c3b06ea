"""The relay asked by a command in its Pod: the real script, as a process, behind an API server's exec."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from backend.clients import kube_exec
from backend.clients.answers import Ask
from backend.clients.inference import prompt
from backend.clients.kube import Kube
from backend.clients.kube_exec import ask_relay, run
from backend.clients.request_logs import RequestLogs
from backend.emulator.kube.cluster import KubeCluster
from backend.emulator.kube.managed import ClusterFeatures
from backend.emulator.serving.kubelet import Kubelet
from backend.errors import PermissionDenied, PromptError, Unavailable
from backend.resources.manifests.relay import relay_pod, script
from backend.spec import GatewaySpec
from tests.backend.kubes import AUTHORITY, TOKEN, client_of, stub_server

ADDRESS = "10.0.0.7"
Json = dict[str, Any]


class World:
    """A world with one cluster, a kubelet, and a VPC in which one server answers every address."""

    hub = None

    def __init__(self, home: Path, vpc: str) -> None:
        self.home, self.token, self.gateway = home, TOKEN, self
        self._port = int(vpc.rpartition(":")[2])
        self.denied: set[str] = set()
        self.kubelet = Kubelet(self)

    def vpc_port(self) -> int:
        return self._port

    def now(self) -> float:
        return time.time()

    def touch(self) -> None: ...

    def seen(self) -> None: ...


@dataclass
class Relayed:
    """The running relay of a cluster."""

    world: World
    kube: Kube


async def model(request: web.Request) -> web.StreamResponse:
    """Streams an answer in two pieces."""
    assert request.host == ADDRESS
    if request.path == "/refused":
        return web.json_response({"error": {"message": "no such model"}}, status=404)
    if request.path == "/cut":
        response = web.StreamResponse(headers={"Content-Length": "400"})
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.close()
        return response
    assert (await request.json())["prompt"] == "ça va?"
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for text in ("one ", "two"):
        await response.write(b'data: {"choices": [{"text": "' + text.encode() + b'"}]}\n\n')
    return response


@pytest.fixture
async def relayed(tmp_path: Path, spec: GatewaySpec) -> AsyncIterator[Relayed]:
    async with stub_server(model) as vpc:
        world = World(tmp_path, vpc)
        features = ClusterFeatures(gateway_api=True, managed_prometheus=False, hpa_performance=False)
        cluster = KubeCluster(
            world,
            key="here/gke-west",
            version="1.34.1-gke.1127000",
            features=features,
            ca=AUTHORITY,
            allows=lambda permission: permission not in world.denied,
        )
        await cluster.start()
        kube = client_of(cluster)
        pod = relay_pod(spec, [ADDRESS])
        pod["spec"]["nodeName"] = "node"
        pod = cluster.store.create("/pods", pod, manager="test")
        await world.kubelet.run(cluster.key, pod, {"script": {"relay.py": script()}})
        state = {
            "name": "relay",
            "state": {"running": {}},
            "ready": True,
            "restartCount": 0,
            "image": "",
            "imageID": "",
        }
        cluster.store.set_status(
            "/pods", "default", "mcig-relay", {"phase": "Running", "containerStatuses": [state]}, manager="test"
        )
        uid = pod["metadata"]["uid"]
        async for line in world.kubelet.follow(cluster.key, "default", "mcig-relay"):
            if line.startswith("relay on port"):
                break
        assert world.kubelet.state(cluster.key, uid).running
        yield Relayed(world, kube)
        await kube.close()
        await cluster.stop()
        await world.kubelet.close()


async def asked(relayed: Relayed) -> Any:
    return await prompt(
        relayed.kube,
        RequestLogs({}, namespace="default", app="llama"),
        Ask("ça va?", "llama"),
        namespace="default",
        region="here",
        address=ADDRESS,
        port=80,
        timeout_s=5.0,
    )


async def test_a_prompt_goes_by_a_command_where_the_proxy_is_forbidden(
    relayed: Relayed,
) -> None:
    by_proxy = await asked(relayed)
    relayed.world.denied.add("container.pods.proxy")
    by_command = await asked(relayed)
    assert (by_proxy.status, by_proxy.text) == (by_command.status, by_command.text) == (200, "one two")
    assert by_command.ttft_s is not None
    relayed.world.denied.add("container.pods.exec")
    with pytest.raises(PromptError) as refused:
        await asked(relayed)
    assert "container.pods.exec" in str(refused.value.fix)


async def test_a_refusal_passes_with_its_status(relayed: Relayed) -> None:
    path = f"to/{ADDRESS}:80/refused"
    async with ask_relay(
        relayed.kube, "default", path, body={}, headers={"X-Request-Id": "1"}, silence_s=5.0
    ) as answer:
        assert answer.status == 404
        assert "x-mcig-relay-ttfb-ms" in answer.headers
        assert b"no such model" in await answer.read()


async def test_an_answer_that_is_shorter_than_it_said_is_broken_off(relayed: Relayed) -> None:
    path = f"to/{ADDRESS}:80/cut"
    async with ask_relay(relayed.kube, "default", path, body={}, headers={}, silence_s=5.0) as answer:
        with pytest.raises(Unavailable) as broken:
            assert [chunk async for chunk in answer.chunks()] == [b"half"]
    assert "the answer broke off" in str(broken.value.cause)


@pytest.mark.parametrize(
    ("written", "cause"),
    [
        ("", "it is empty"),
        ("WARNING: no locale\n{}", "the relay began with 'WARNING: no locale'"),
        ('{"status": "?"}\n', 'the relay began with \'{"status": "?"}\''),
        ("[]\n", "the relay began with '[]'"),
    ],
)
async def test_what_is_no_answer_of_the_relay_is_an_error(
    relayed: Relayed, monkeypatch: pytest.MonkeyPatch, written: str, cause: str
) -> None:
    relayed.world.denied.add("container.pods.proxy")
    monkeypatch.setattr(kube_exec, "ASK", ("python3", "-c", f"print({written!r}, end='')"))
    with pytest.raises(PromptError) as broken:
        await asked(relayed)
    assert broken.value.cause == cause


async def test_a_command_that_fails_is_an_answer_that_breaks_off(relayed: Relayed) -> None:
    words = ["python3", "-c", "import sys; print('half'); sys.exit('it broke')"]
    async with run(relayed.kube, "default", "mcig-relay", "relay", words, text=b"", silence_s=5.0) as output:
        with pytest.raises(Unavailable) as broken:
            assert [chunk async for chunk in output.chunks()] == [b"half\n"]
    assert broken.value.cause == "it broke"


async def test_a_refused_command_says_so(relayed: Relayed) -> None:
    relayed.world.denied.add("container.pods.exec")
    with pytest.raises(PermissionDenied):
        async with run(relayed.kube, "default", "mcig-relay", "relay", ["true"], text=b"", silence_s=5.0):
            pass
