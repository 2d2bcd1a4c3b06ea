"""A page of metrics that lacks what a fault hides, and is untouched otherwise."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

PAGE = """\
# HELP vllm:kv_cache_usage_perc KV-cache usage.
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0"} 0.25
# HELP vllm:num_requests_waiting Number of requests waiting.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0"} 3
"""
METRICS = "/api/v1/namespaces/default/pods/server:8000/proxy/metrics"


class OnePort:
    """A kubelet whose only process listens on one port."""

    def __init__(self, port: int) -> None:
        self._port = port

    def address(self, cluster: str, namespace: str, pod: str, port: int) -> tuple[str, int]:
        del cluster, namespace, pod, port
        return "127.0.0.1", self._port


@pytest.fixture
async def server(served: Any, world: Any) -> AsyncIterator[None]:
    async def page(_request: web.Request) -> web.Response:
        return web.Response(text=PAGE)

    app = web.Application()
    app.router.add_get("/metrics", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    world.kubelet = OnePort(runner.addresses[0][1])
    pod = {"metadata": {"name": "server"}, "spec": {"containers": [{"name": "main", "image": "registry/main:1"}]}}
    served.store.create("/pods", pod, manager="test")
    yield
    await runner.cleanup()


@pytest.mark.usefixtures("server")
async def test_a_hidden_metric_leaves_no_line_behind(http: Any, served: Any) -> None:
    async with http.get(METRICS) as response:
        assert await response.text() == PAGE
    served.unreported = lambda: ("vllm:gpu_cache_usage_perc", "vllm:kv_cache_usage_perc")
    async with http.get(METRICS) as response:
        assert (response.status, await response.text()) == (200, "".join(PAGE.splitlines(keepends=True)[3:]))
