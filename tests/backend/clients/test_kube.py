"""The Kubernetes client against an API server over TLS, and against servers that misbehave."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from backend.clients.kinds import CONFIG_MAP, DEPLOYMENT, INFERENCE_OBJECTIVE, NAMESPACE, POD, SECRET, Kind
from backend.clients.kube import Kube
from backend.clients.kube_errors import error_of
from backend.emulator.kube.cluster import KubeCluster
from backend.emulator.kube.pki import Authority
from backend.errors import (
    AlreadyExists,
    CloudError,
    Conflict,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    RateLimited,
    Unauthenticated,
    Unavailable,
)
from tests.backend.kubes import api_server, client_of, config_map, stub_server, token


@pytest.fixture
async def cluster() -> AsyncIterator[KubeCluster]:
    async with api_server() as running:
        yield running


@pytest.fixture
async def kube(cluster: KubeCluster) -> AsyncIterator[Kube]:
    made = client_of(cluster)
    yield made
    await made.close()


async def test_an_object_is_applied_read_listed_and_deleted(kube: Kube) -> None:
    applied = await kube.apply(config_map(a="1"), manager="mcig-test")
    assert applied["data"] == {"a": "1"}
    assert [entry["manager"] for entry in applied["metadata"]["managedFields"]] == ["mcig-test"]
    assert await kube.get(CONFIG_MAP, "default", "box") == applied
    assert await kube.list(CONFIG_MAP, "default") == [applied]
    assert await kube.delete(CONFIG_MAP, "default", "box") is True
    assert await kube.get(CONFIG_MAP, "default", "box") is None
    assert await kube.delete(CONFIG_MAP, "default", "box") is False


async def test_a_dry_run_changes_nothing_and_tells_what_is_wrong(kube: Kube) -> None:
    await kube.apply(config_map(a="1"), manager="mcig-test", dry_run=True)
    assert await kube.get(CONFIG_MAP, "default", "box") is None
    with pytest.raises(InvalidRequest, match="datta"):
        await kube.apply(config_map() | {"datta": {}}, manager="mcig-test", dry_run=True)


async def test_a_conflict_names_the_field_and_its_owner(kube: Kube) -> None:
    await kube.apply(config_map(a="1"), manager="kubectl")
    with pytest.raises(Conflict, match=r"\.data\.a is owned by kubectl") as caught:
        await kube.apply(config_map(a="2"), manager="mcig-test")
    assert caught.value.cause
    assert caught.value.fix
    forced = await kube.apply(config_map(a="2"), manager="mcig-test", force=True)
    assert forced["data"] == {"a": "2"}


async def test_create_and_replace_say_what_is_already_and_what_is_not_there(kube: Kube) -> None:
    made = await kube.create(config_map(a="1"))
    with pytest.raises(AlreadyExists):
        await kube.create(config_map(a="1"))
    assert (await kube.replace(made | {"data": {"a": "2"}}))["data"] == {"a": "2"}
    with pytest.raises(Conflict):
        await kube.replace(made | {"data": {"a": "3"}})
    with pytest.raises(NotFound):
        await kube.replace(config_map("other"))


async def test_a_kind_that_the_cluster_does_not_know_is_empty_to_read_and_an_error_to_write(kube: Kube) -> None:
    objective = {
        "apiVersion": INFERENCE_OBJECTIVE.group_version,
        "kind": INFERENCE_OBJECTIVE.name,
        "metadata": {"name": "x", "namespace": "default"},
    }
    assert await kube.list(INFERENCE_OBJECTIVE, "default") == []
    assert await kube.get(INFERENCE_OBJECTIVE, "default", "x") is None
    with pytest.raises(NotFound, match="on gke-west"):
        await kube.apply(objective, manager="mcig-test")


async def test_lists_can_be_narrowed_by_labels_and_items_keep_their_kind(kube: Kube) -> None:
    labelled = config_map("one") | {"metadata": {"name": "one", "namespace": "default", "labels": {"app": "x"}}}
    await kube.apply(labelled, manager="mcig-test")
    await kube.apply(config_map("two"), manager="mcig-test")
    found = await kube.list(CONFIG_MAP, "default", {"app": "x"})
    assert [(item["kind"], item["apiVersion"], item["metadata"]["name"]) for item in found] == [
        ("ConfigMap", "v1", "one")
    ]
    assert {item["metadata"]["name"] for item in await kube.list(CONFIG_MAP)} >= {"one", "two"}
    assert "default" in {item["metadata"]["name"] for item in await kube.list(NAMESPACE)}


async def test_a_wrong_token_is_told_as_such(cluster: KubeCluster) -> None:
    async def wrong() -> str:
        return "wrong"

    kube = Kube(f"https://{cluster.endpoint}", cluster.ca_pem, wrong, cluster="gke-west")
    try:
        with pytest.raises(Unauthenticated) as caught:
            await kube.list(NAMESPACE)
        assert caught.value.cluster == "gke-west"
        assert "gcloud auth" in caught.value.fix
    finally:
        await kube.close()


async def test_a_server_of_another_authority_is_not_talked_to(cluster: KubeCluster) -> None:
    kube = Kube(f"https://{cluster.endpoint}", Authority.generate("another").cert_pem, token)
    try:
        with pytest.raises(Unavailable) as caught:
            await kube.list(NAMESPACE)
        assert "certificate" in caught.value.cause.lower()
    finally:
        await kube.close()


async def test_nobody_listening_is_unavailable(unused_tcp_port: int) -> None:
    kube = Kube(f"http://127.0.0.1:{unused_tcp_port}", b"", token, cluster="gke-west")
    try:
        with pytest.raises(Unavailable) as caught:
            await kube.get(POD, "default", "x")
        assert caught.value.cluster == "gke-west"
        assert caught.value.cause
        assert caught.value.fix
    finally:
        await kube.close()


async def test_a_proxy_of_the_environment_is_not_used_on_loopback(
    kube: Kube, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_tcp_port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert await kube.list(NAMESPACE)


async def test_a_server_that_is_not_found_is_looked_for_again(cluster: KubeCluster) -> None:
    answers: Iterator[Any] = iter([NotFound("not yet"), (f"https://{cluster.endpoint}", cluster.ca_pem)])

    async def locate(anew: bool) -> tuple[str, bytes]:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        found: tuple[str, bytes] = answer
        return found

    kube = Kube.lazily(locate, token)
    try:
        with pytest.raises(NotFound):
            await kube.list(NAMESPACE)
        assert await kube.list(NAMESPACE)
        assert await kube.list(NAMESPACE)
    finally:
        await kube.close()


async def test_equal_lists_at_the_same_time_are_one_request_until_something_is_written() -> None:
    asked: list[str] = []
    go, once, twice = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.method)
        if request.method == "GET":
            (twice if once.is_set() else once).set()
            await go.wait()
            return web.json_response({"items": [{"metadata": {"name": str(len(asked))}}]})
        return web.json_response(config_map())

    async with stub_server(answer) as url:
        kube = Kube(url, b"", token)
        first, second = (asyncio.create_task(kube.list(CONFIG_MAP, "default")) for _ in range(2))
        await once.wait()
        await kube.apply(config_map(), manager="mcig-test")
        third = asyncio.create_task(kube.list(CONFIG_MAP, "default"))
        await twice.wait()
        go.set()
        assert await first == await second
        assert await third
        assert asked.count("GET") == 2
        await kube.close()


async def test_a_cancelled_list_does_not_take_others_with_it() -> None:
    go = asyncio.Event()
    asked = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        asked.set()
        await go.wait()
        return web.json_response({"items": []})

    async with stub_server(answer) as url:
        kube = Kube(url, b"", token)
        first, second = (asyncio.create_task(kube.list(CONFIG_MAP)) for _ in range(2))
        await asked.wait()
        first.cancel()
        go.set()
        assert await second == []
        with pytest.raises(asyncio.CancelledError):
            await first
        await kube.close()


async def test_retry_after_is_heeded_a_few_times() -> None:
    asked = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        if asked < 3:
            return web.json_response({"reason": "TooManyRequests"}, status=429, headers={"Retry-After": "0"})
        return web.json_response({"items": []})

    async with stub_server(answer) as url:
        kube = Kube(url, b"", token)
        assert await kube.list(POD) == []
        assert asked == 3
        await kube.close()


async def test_a_server_that_never_stops_shedding_load_is_an_error() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"message": "busy"}, status=429, headers={"Retry-After": "0"})

    async with stub_server(answer) as url:
        kube = Kube(url, b"", token)
        with pytest.raises(RateLimited, match="busy"):
            await kube.list(POD)
        await kube.close()


async def test_the_pod_proxy_streams_and_gives_every_status() -> None:
    go_on = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return web.Response(status=418, text="no tea", headers={"X-Kettle": "1"})
        assert request.path == "/api/v1/namespaces/default/pods/relay:8080/proxy/to/10.0.0.1:80/v1"
        assert request.headers["Authorization"].startswith("Bearer ")
        assert request.headers["X-Request-Id"] == "7"
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(json.dumps(await request.json()).encode())
        await go_on.wait()
        await response.write(b"second")
        return response

    async with stub_server(answer) as url:
        kube = Kube(url, b"", token)
        sent = {"prompt": "hello"}
        async with kube.proxy(
            "default", "relay", 8080, "/to/10.0.0.1:80/v1", method="POST", body=sent, headers={"X-Request-Id": "7"}
        ) as response:
            chunks = response.chunks()
            assert json.loads(await anext(chunks)) == sent
            go_on.set()
            assert b"".join([chunk async for chunk in chunks]) == b"second"
        async with kube.proxy("default", "relay", 8080, "healthz") as response:
            assert (response.status, response.headers["x-kettle"], await response.read()) == (418, "1", b"no tea")
        await kube.close()


async def test_an_answer_that_breaks_off_is_told() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"ten bytes.")
        assert request.transport is not None
        request.transport.close()
        return response

    async with stub_server(answer) as url:
        kube = Kube(url, b"", token)
        async with kube.proxy("default", "relay", 8080, "x") as response:
            with pytest.raises(Unavailable, match="broke off"):
                await response.read()
        await kube.close()


async def test_logs_are_asked_for_by_the_second() -> None:
    async def answer(request: web.Request) -> web.Response:
        if "gone" in request.path:
            return web.json_response({"reason": "NotFound"}, status=404)
        return web.Response(text=f"{request.path} {dict(request.query)}")

    async with stub_server(answer) as url:
        kube = Kube(url, b"", token)
        log = await kube.logs("default", "one", "vllm", 1.2)
        assert log == "/api/v1/namespaces/default/pods/one/log {'container': 'vllm', 'sinceSeconds': '2'}"
        assert "'limitBytes': '7'" in await kube.logs("default", "one", "vllm", 1, most_bytes=7)
        assert await kube.logs("default", "gone", "vllm", 0.1) == ""
        await kube.close()


async def test_a_refused_secret_leaves_no_value_in_the_error(kube: Kube) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "Not A Name", "namespace": "default"},
        "data": {"token": "aGZfc2VjcmV0"},
    }
    with pytest.raises(CloudError) as caught:
        await kube.apply(secret, manager="mcig-test")
    told = " ".join((str(caught.value), caught.value.cause, caught.value.fix, repr(caught.value)))
    assert "aGZfc2VjcmV0" not in told
    assert await kube.list(SECRET, "default") == []


@given(st.integers(400, 599), st.binary() | st.dictionaries(st.text(), st.none()).map(lambda d: json.dumps(d).encode()))
def test_every_refusal_is_an_error_with_cause_and_fix(status: int, body: bytes) -> None:
    error = error_of(status, body, "do it")
    assert error.status == status
    assert str(error).startswith("cannot do it: ")
    assert error.cause
    assert error.fix


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (403, "Forbidden", PermissionDenied),
        (404, "", NotFound),
        (422, "Invalid", InvalidRequest),
        (500, "InternalError", Unavailable),
        (504, "Timeout", Unavailable),
        (409, "AlreadyExists", AlreadyExists),
        (409, "Conflict", Conflict),
    ],
)
def test_reasons_and_statuses_mean_what_kubernetes_says(status: int, reason: str, kind: type[CloudError]) -> None:
    assert type(error_of(status, json.dumps({"reason": reason}).encode(), "do it")) is kind


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (POD, "/api/v1/namespaces/ns/pods/x"),
        (DEPLOYMENT, "/apis/apps/v1/namespaces/ns/deployments/x"),
        (NAMESPACE, "/api/v1/namespaces/x"),
    ],
)
def test_kinds_know_their_paths(kind: Kind, path: str) -> None:
    assert kind.path("ns", "x") == path
    assert kind.path("ns") == path.rpartition("/")[0]
    assert Kind.of({"apiVersion": kind.group_version, "kind": kind.name}) is kind
