"""The relay: its script as the process it is, and the row that keeps a fitting Pod."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from backend.clients.kinds import POD
from backend.clients.kube import Kube
from backend.clients.names import RELAY_POD
from backend.emulator.kube.cluster import KubeCluster
from backend.engine.events import Action
from backend.errors import Conflict, NotFound
from backend.resources.manifests.relay import script
from backend.resources.relay import Relay, relay
from backend.spec import GatewaySpec
from tests.backend.kubes import FakeClients, Handler, Notes, api_server, client_of, stub_server

Json = dict[str, Any]


@asynccontextmanager
async def running_relay(tmp_path: Path, *targets: str, **env: str) -> AsyncIterator[str]:
    """The script, as a Pod would run it; gives its URL."""
    path = tmp_path / "relay.py"
    path.write_text(script())
    inherited = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    settings = {"PORT": "0", "BIND": "127.0.0.1", "ALLOWED_TARGETS": ",".join(targets), **env}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", path, env=inherited | settings, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        told = (await process.stdout.readline()).decode()
        yield f"http://127.0.0.1:{told.split()[3]}"
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 10) == 0


@asynccontextmanager
async def relayed(
    tmp_path: Path, handler: Handler, **env: str
) -> AsyncIterator[tuple[aiohttp.ClientSession, str, str]]:
    """A session to a relay whose only allowed target is a server with this handler; gives both URLs' roots."""
    async with stub_server(handler) as upstream:
        target = upstream.removeprefix("http://")
        async with running_relay(tmp_path, target, **env) as url, aiohttp.ClientSession(url) as session:
            yield session, f"/to/{target}", target


async def test_a_prompt_streams_through_piece_by_piece(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    seen: Json = {}

    async def model(request: web.Request) -> web.StreamResponse:
        seen.update(headers=request.headers, body=await request.json(), path=request.path_qs, method=request.method)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Request-Id": "7"})
        await response.prepare(request)
        await response.write(b"data: one\n\n")
        await go_on.wait()
        await response.write(b"data: two\n\n")
        return response

    async with relayed(tmp_path, model) as (session, root, target):
        headers = {
            "X-Request-Id": "7",
            "x-gateway-inference-objective": "food-review",
            "Authorization": "Bearer secret",
            "Cookie": "a=b",
        }
        async with session.post(f"{root}/v1/completions?a=b", json={"prompt": "Hi"}, headers=headers) as answer:
            assert answer.status == 200
            assert float(answer.headers["x-mcig-relay-ttfb-ms"]) >= 0
            assert answer.headers["content-type"] == "text/event-stream"
            assert answer.headers["x-request-id"] == "7"
            assert await answer.content.readany() == b"data: one\n\n"
            go_on.set()
            assert await answer.content.read() == b"data: two\n\n"
    assert (seen["method"], seen["path"], seen["body"]) == ("POST", "/v1/completions?a=b", {"prompt": "Hi"})
    assert seen["headers"]["Host"] == target
    assert seen["headers"]["X-Request-Id"] == "7"
    assert seen["headers"]["x-gateway-inference-objective"] == "food-review"
    assert not {"Authorization", "Cookie"} & set(seen["headers"])


async def test_a_refusal_passes_with_its_status_and_words(tmp_path: Path) -> None:
    async def model(request: web.Request) -> web.Response:
        return web.json_response({"message": "no such model"}, status=404)

    async with relayed(tmp_path, model) as (session, root, _), session.get(f"{root}/v1/models") as answer:
        assert (answer.status, await answer.json()) == (404, {"message": "no such model"})
        assert "x-mcig-relay-ttfb-ms" in answer.headers
        assert "x-mcig-relay-error" not in answer.headers


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/to/10.0.0.1:80/v1/models", 403),
        ("/to/169.254.169.254/computeMetadata", 403),
        ("/to//v1", 403),
        ("/to/", 403),
        ("/", 404),
        ("/v1/models", 404),
    ],
)
async def test_nothing_else_is_reached(tmp_path: Path, path: str, status: int) -> None:
    async def never(request: web.Request) -> web.Response:
        raise AssertionError(request.path)

    async with relayed(tmp_path, never) as (session, _, _), session.get(path) as answer:
        assert answer.status == status
        assert answer.headers["x-mcig-relay-error"] == "1"
        assert (await answer.json())["error"]


async def test_a_redirect_is_passed_on_and_not_followed(tmp_path: Path) -> None:
    asked = []

    async def model(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=302, headers={"Location": "http://169.254.169.254/"})

    async with (
        relayed(tmp_path, model) as (session, root, _),
        session.get(f"{root}/v1", allow_redirects=False) as answer,
    ):
        assert (answer.status, answer.headers["location"]) == (302, "http://169.254.169.254/")
    assert asked == ["/v1"]


async def test_bodies_without_a_length_and_connections_kept_alive_work(tmp_path: Path) -> None:
    async def model(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    async with relayed(tmp_path, model) as (session, root, _):
        for _ in range(2):
            async with session.post(f"{root}/echo", data=pieces()) as answer:
                assert await answer.read() == b"one two"
        async with session.head(f"{root}/echo") as answer:
            assert answer.status == 200
        async with session.get("/healthz") as answer:
            assert (answer.status, await answer.json()) == (200, {"status": "ok"})


async def test_an_address_that_does_not_answer_is_a_bad_gateway(tmp_path: Path, unused_tcp_port: int) -> None:
    target = f"127.0.0.1:{unused_tcp_port}"
    async with (
        running_relay(tmp_path, target) as url,
        aiohttp.ClientSession(url) as session,
        session.get(f"/to/{target}/v1/models") as answer,
    ):
        assert answer.status == 502
        assert answer.headers["x-mcig-relay-error"] == "1"
        assert target in (await answer.json())["error"]


@pytest.mark.parametrize("length", [{}, {"Content-Length": "400"}])
@pytest.mark.parametrize("pieces", [(), (b"data: one\n\n",)])
async def test_an_answer_that_breaks_off_is_passed_back_as_far_as_it_came(
    tmp_path: Path, pieces: tuple[bytes, ...], length: dict[str, str]
) -> None:
    async def model(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **length})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        assert request.transport is not None
        request.transport.close()
        return response

    async with relayed(tmp_path, model) as (session, root, _), session.post(f"{root}/v1/completions") as answer:
        assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
        assert "x-mcig-relay-error" not in answer.headers
        came = b""
        with pytest.raises(aiohttp.ClientPayloadError):
            async for piece in answer.content.iter_any():
                came += piece
        assert came == b"".join(pieces)


async def test_what_does_not_speak_http_is_a_bad_gateway(tmp_path: Path) -> None:
    async def gibberish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"what?\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(gibberish, "127.0.0.1", 0) as server:
        target = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with (
            running_relay(tmp_path, target) as url,
            aiohttp.ClientSession(url) as session,
            session.get(f"/to/{target}/v1/models") as answer,
        ):
            assert (answer.status, answer.headers["x-mcig-relay-error"]) == (502, "1")


async def test_an_address_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = f"127.0.0.1:{silent.getsockname()[1]}"
        async with (
            running_relay(tmp_path, target, UPSTREAM_TIMEOUT_S="0.05") as url,
            aiohttp.ClientSession(url) as session,
            session.get(f"/to/{target}/v1/models") as answer,
        ):
            assert answer.status == 502


async def test_the_proxy_of_the_environment_is_used(tmp_path: Path) -> None:
    async def proxy(request: web.Request) -> web.Response:
        return web.json_response({"asked_for": str(request.url)})

    async with (
        stub_server(proxy) as way,
        running_relay(tmp_path, "10.0.0.7:80", http_proxy=way) as url,
        aiohttp.ClientSession(url) as session,
        session.get("/to/10.0.0.7:80/v1/models") as answer,
    ):
        assert json.loads(await answer.text()) == {"asked_for": "http://10.0.0.7/v1/models"}


@pytest.mark.parametrize("length", ["-1", "many", str(2**40)])
async def test_a_length_that_is_none_is_refused(tmp_path: Path, length: str) -> None:
    async with running_relay(tmp_path, "10.0.0.7:80") as url:
        host, _, port = url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"POST /to/10.0.0.7:80/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
        assert (await reader.readline()).split()[1] in {b"400", b"413"}
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def cluster() -> AsyncIterator[KubeCluster]:
    async with api_server() as running:
        yield running


@pytest.fixture
async def kube(cluster: KubeCluster) -> AsyncIterator[Kube]:
    made = client_of(cluster)
    yield made
    await made.close()


@pytest.fixture
async def row(spec: GatewaySpec, kube: Kube, cluster: KubeCluster) -> Relay:
    made = relay(spec, FakeClients({"gke-west": kube}).as_clients())
    gateway: Json = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": spec.gateway.name, "namespace": "default"},
        "spec": {"gatewayClassName": "x", "listeners": [{"name": "http", "protocol": "HTTP", "port": 80}]},
    }
    await kube.apply(gateway, manager="mcig-gateway")
    give_addresses(spec, cluster, "10.0.0.7")
    return made


def give_addresses(spec: GatewaySpec, cluster: KubeCluster, *addresses: str) -> None:
    status = {"addresses": [{"type": "IPAddress", "value": address} for address in addresses]}
    cluster.store.set_status("gateway.networking.k8s.io/gateways", "default", spec.gateway.name, status, manager="gke")


def pod_says(cluster: KubeCluster, phase: str, *, ready: str = "True") -> None:
    status = {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]}
    cluster.store.set_status("/pods", "default", RELAY_POD, status, manager="kubelet")


async def targets_and_uid(kube: Kube) -> tuple[str, str]:
    pod = await kube.get(POD, "default", RELAY_POD)
    assert pod is not None
    env = {item["name"]: item["value"] for item in pod["spec"]["containers"][0]["env"]}
    return env["ALLOWED_TARGETS"], pod["metadata"]["uid"]


async def test_a_running_relay_for_these_addresses_is_left_alone(row: Relay, kube: Kube, cluster: KubeCluster) -> None:
    assert row.diff(await row.observe()).action is Action.CREATE
    await row.apply(row.create(), Notes())
    pod_says(cluster, "Running")
    assert row.diff(await row.wait(Notes())).action is Action.NO_OP
    before = await targets_and_uid(kube)
    assert before[0] == "10.0.0.7:80"
    await row.apply(row.create(), Notes())
    assert await targets_and_uid(kube) == before


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
async def test_a_relay_that_has_ended_is_replaced(row: Relay, kube: Kube, cluster: KubeCluster, phase: str) -> None:
    await row.apply(row.create(), Notes())
    _, before = await targets_and_uid(kube)
    pod_says(cluster, phase, ready="False")
    step = row.diff(await row.observe())
    assert [(change.field, change.before) for change in step.changes] == [(f"Pod/{RELAY_POD}", "absent")]
    await row.apply(step, Notes())
    assert (await targets_and_uid(kube))[1] != before


async def test_other_addresses_take_another_pod(
    row: Relay, kube: Kube, cluster: KubeCluster, spec: GatewaySpec
) -> None:
    await row.apply(row.create(), Notes())
    pod_says(cluster, "Running")
    _, before = await targets_and_uid(kube)
    give_addresses(spec, cluster, "10.0.0.9", "10.0.0.8")
    step = row.diff(await row.observe())
    assert step.action is Action.UPDATE
    await row.apply(step, Notes())
    targets, after = await targets_and_uid(kube)
    assert targets == "10.0.0.8:80,10.0.0.9:80"
    assert after != before


async def test_somebody_elses_pod_of_that_name_is_not_taken(row: Relay, kube: Kube, spec: GatewaySpec) -> None:
    theirs = next(obj for key, obj in row.wanted.items() if key == row.pod_key)
    await kube.apply(theirs | {"metadata": {"name": RELAY_POD, "namespace": "default"}}, manager="kubectl")
    with pytest.raises(Conflict, match="belongs to something else"):
        await row.apply(row.create(), Notes())


async def test_another_stacks_relay_to_the_same_addresses_is_used_as_it_is(
    row: Relay, kube: Kube, cluster: KubeCluster, spec: GatewaySpec
) -> None:
    await row.apply(row.create(), Notes())
    pod_says(cluster, "Running")
    before = [await kube.get(key.kind, key.namespace, key.name) for key in row.wanted]
    other = GatewaySpec.model_validate(spec.to_data() | {"name": "other"})
    theirs = relay(other, FakeClients({"gke-west": kube}).as_clients())

    await theirs.apply(theirs.create(), Notes())
    await theirs.delete(Notes())

    assert [await kube.get(key.kind, key.namespace, key.name) for key in row.wanted] == before


async def test_a_gateway_without_an_address_cannot_be_relayed_to(
    row: Relay, cluster: KubeCluster, spec: GatewaySpec
) -> None:
    give_addresses(spec, cluster)
    with pytest.raises(NotFound, match="no address"):
        await row.apply(row.create(), Notes())


async def test_nothing_is_left_of_the_relay(row: Relay, kube: Kube) -> None:
    await row.apply(row.create(), Notes())
    await row.delete(Notes())
    assert await row.observe() is None
