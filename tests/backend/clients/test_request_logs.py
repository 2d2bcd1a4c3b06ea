"""Request logs of model servers, behind API servers that the tests play."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from backend.clients import request_logs
from backend.clients.answers import ServedBy
from backend.clients.kube import Kube
from backend.clients.request_logs import RequestLogs
from tests.backend.kubes import stub_server, token

Json = dict[str, Any]


class Cluster:
    """An API server with model-server Pods and their logs."""

    def __init__(self, **logs: str) -> None:
        self.logs = logs
        self.phases = dict.fromkeys(logs, "Running")
        self.looks = 0
        self.reads: list[Json] = []
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()
        self.go_on.set()

    async def __call__(self, request: web.Request) -> web.Response:
        if request.path.endswith("/pods"):
            self.looks += 1
            pods = [{"metadata": {"name": name}, "status": {"phase": phase}} for name, phase in self.phases.items()]
            return web.json_response({"items": pods})
        pod = request.path.split("/")[-2]
        self.reads.append({"pod": pod, **request.query})
        self.asked.set()
        log = self.logs[pod]
        await self.go_on.wait()
        return web.Response(text=log)


@asynccontextmanager
async def logs_of(**clusters: Cluster) -> AsyncIterator[RequestLogs]:
    async with AsyncExitStack() as stack:
        kubes = {}
        for name, cluster in clusters.items():
            url = await stack.enter_async_context(stub_server(cluster))
            kubes[name] = Kube(url, b"", token, cluster=name)
            stack.push_async_callback(kubes[name].close)
        yield RequestLogs(kubes, namespace="default", app="llama", second_look_s=0)


async def test_a_request_is_found_in_what_its_pod_has_written_since() -> None:
    west, east = Cluster(a="INFO nothing", b="INFO Received request cmpl-id7-0"), Cluster(c="INFO nothing")
    async with logs_of(west=west, east=east) as logs:
        assert await logs.served_by("id7", time.monotonic() - 30) == (ServedBy("west", "b"), "")
    assert west.looks == 1
    assert west.reads[0] == {
        "pod": "a",
        "container": "vllm",
        "sinceSeconds": "36",
        "limitBytes": str(request_logs.LONGEST_LOG),
    }


async def test_requests_that_end_together_share_a_look() -> None:
    west = Cluster(a="first")
    west.go_on.clear()
    async with logs_of(west=west) as logs, asyncio.TaskGroup() as group:
        finds = [group.create_task(logs.served_by("first", time.monotonic()))]
        await west.asked.wait()
        names = [f"id{number}" for number in range(9)]
        finds += [group.create_task(logs.served_by(name, time.monotonic())) for name in names]
        await asyncio.sleep(0)
        west.logs["a"] = " ".join(["first", *names])
        west.go_on.set()
    assert [find.result()[0] for find in finds] == [ServedBy("west", "a")] * 10
    assert west.looks == 2


async def test_a_line_that_comes_late_is_found_by_a_second_look() -> None:
    west = Cluster(a="")
    west.go_on.clear()
    async with logs_of(west=west) as logs, asyncio.TaskGroup() as group:
        find = group.create_task(logs.served_by("id7", time.monotonic()))
        await west.asked.wait()
        west.logs["a"] = "id7"
        west.go_on.set()
    assert find.result() == (ServedBy("west", "a"), "")
    assert west.looks == 2


async def test_a_request_in_no_log_is_unknown_with_a_reason() -> None:
    west = Cluster(a="INFO nothing")
    async with logs_of(west=west) as logs:
        found = await logs.served_by("id7", time.monotonic())
    assert found == (None, "no model server has logged the request id")
    assert west.looks == 2


async def test_what_one_cluster_has_does_not_wait_for_the_others() -> None:
    west, east = Cluster(a="id7"), Cluster(c="")
    east.go_on.clear()
    async with logs_of(west=west, east=east) as logs:
        assert await logs.served_by("id7", time.monotonic()) == (ServedBy("west", "a"), "")
        east.go_on.set()


async def test_pods_that_do_not_run_are_not_read() -> None:
    west = Cluster(a="", b="id7")
    west.phases["a"] = "Pending"
    async with logs_of(west=west) as logs:
        assert await logs.served_by("id7", time.monotonic()) == (ServedBy("west", "b"), "")
    assert [read["pod"] for read in west.reads] == ["b"]


async def test_a_log_that_was_cut_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_logs, "LONGEST_LOG", 12)
    async with logs_of(west=Cluster(a="INFO nothing")) as logs:
        found = await logs.served_by("id7", time.monotonic())
    assert found == (None, "the log of Pod a on west is too long to be read whole")


async def test_a_cluster_that_cannot_be_asked_is_the_reason(unused_tcp_port: int) -> None:
    kube = Kube(f"http://127.0.0.1:{unused_tcp_port}", b"", token, cluster="gke-east")
    logs = RequestLogs({"gke-east": kube}, namespace="default", app="llama", second_look_s=0)
    served, reason = await logs.served_by("id7", time.monotonic())
    await kube.close()
    assert served is None
    assert "gke-east" in reason
