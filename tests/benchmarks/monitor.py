"""What watching costs: of one core, of memory, and for a frame, and how that grows with clusters and Pods.

Run by path: ``python tests/benchmarks/monitor.py``. A cloud and API servers over TLS in a process of their own answer
with Pods and with pages as vLLM writes them; the monitor screen of this process looks at them every two seconds. Ends
with 1 when a limit does not hold. The stack is a real one: its looks at costs and drift, and what they load, are in it.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import multiprocessing
import resource
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from textual.app import App

from backend import presets
from backend.clients import Clients
from backend.clients.connect import emulated
from backend.monitor import Snapshot
from backend.places import Places
from backend.resources import declare
from backend.spec import GatewaySpec
from backend.stack import Stack
from tui.looks import LiveLooks
from tui.screens.monitor import MonitorScreen
from tui.themes import DEFAULTS, THEMES

if TYPE_CHECKING:
    from aiohttp import web

PROJECT = "benchmark"
SIZES = ((2, 3), (10, 20), (20, 50))
"""Clusters, and Pods of each."""
HELD = (10, 20)
"""The size at which the limits hold."""
COLLECTIONS = (f"{PROJECT}:getIamPolicy", "services", "subnetworks", "forwardingRules", "memberships")
"""Lists of the cloud that are empty; what else is asked of it is not found."""
EVERY_S, SECONDS, WARM_S = 2.0, 16.0, 5.0
MOST_CORE, MOST_MB, MOST_FRAME_S = 0.25, 150.0, 0.030
BOUNDS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0)
HISTOGRAMS = ("time_to_first_token_seconds", "inter_token_latency_seconds", "time_per_output_token_seconds",
              "e2e_request_latency_seconds", "request_queue_time_seconds", "request_inference_time_seconds",
              "request_prefill_time_seconds", "request_decode_time_seconds", "request_prompt_tokens")  # fmt: skip


def page(count: int) -> str:
    """A metrics page of vLLM after so many requests."""
    labels = 'engine="0",model_name="meta-llama/Llama-3.1-8B-Instruct"'
    lines = [f"vllm:num_requests_running{{{labels}}} {count % 90}.0", f"vllm:num_requests_waiting{{{labels}}} 0.0"]
    lines += [f"vllm:kv_cache_usage_perc{{{labels}}} {count % 97 / 100}"]
    lines += [f"vllm:generation_tokens_total{{{labels}}} {count * 200}.0"]
    for reason in ("stop", "length", "abort"):
        lines.append(f'vllm:request_success_total{{{labels},finished_reason="{reason}"}} {count}.0')
    for name in HISTOGRAMS:
        lines += [f"# HELP vllm:{name} Histogram of {name}.", f"# TYPE vllm:{name} histogram"]
        lines += [
            f'vllm:{name}_bucket{{{labels},le="{bound}"}} {count * number}.0' for number, bound in enumerate(BOUNDS)
        ]
        lines += [
            f'vllm:{name}_bucket{{{labels},le="+Inf"}} {count * len(BOUNDS)}.0',
            f"vllm:{name}_sum{{{labels}}} 7.0",
        ]
    lines += [f'python_gc_objects_collected_total{{generation="{number}"}} 7.0' for number in range(60)]
    return "\n".join(lines) + "\n"


def serve(clusters: int, pods: int, told: Connection) -> None:
    """Answer for a cloud and its API servers until the process is ended; what only that needs is imported here."""
    from aiohttp import web

    from backend.emulator.kube.pki import Authority

    authority = Authority.generate("benchmark")
    names = [f"vllm-llama3-8b-instruct-{number:010}-{number:05}" for number in range(pods)]
    ready = {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}
    items = [{"metadata": {"name": name}, "spec": {"nodeName": "node"}, "status": ready} for name in names]
    began = time.monotonic()
    ports: list[int] = []

    def missing(path: str) -> web.Response:
        return web.json_response({"error": {"code": 404, "message": f"{path} was not found"}}, status=404)

    async def cluster(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/proxy/metrics"):
            return web.Response(text=page(int((time.monotonic() - began) * 10)))
        if request.path.endswith("/pods"):
            return web.json_response({"items": items})
        if "/deployments/" in request.path:
            return web.json_response({"spec": {"replicas": pods}})
        below_the_version = request.path.split("/")[3 if request.path.startswith("/api/") else 4 :]
        return web.json_response({"items": []}) if len(below_the_version) % 2 else missing(request.path)

    def listed(number: int, port: int) -> dict[str, Any]:
        authority_pem = base64.b64encode(authority.cert_pem).decode()
        way = {"endpoint": f"127.0.0.1:{port}", "masterAuth": {"clusterCaCertificate": authority_pem}}
        return {"name": name_of(number), "location": region_of(number), "status": "RUNNING", **way}

    async def cloud(request: web.Request) -> web.StreamResponse:
        asked = request.path.rpartition("/")[2]
        if asked == "clusters":
            return web.json_response({"clusters": [listed(number, port) for number, port in enumerate(ports)]})
        if "/clusters/" in request.path and asked.startswith("gke-"):
            return web.json_response(listed(int(asked.removeprefix("gke-")), ports[int(asked.removeprefix("gke-"))]))
        if asked == PROJECT:
            return web.json_response({"name": "projects/1234567890", "projectId": PROJECT, "state": "ACTIVE"})
        return web.json_response({}) if asked in COLLECTIONS else missing(request.path)

    async def run() -> None:
        async def serving(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.AppRunner:
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", answer)
            runner = web.AppRunner(app)
            await runner.setup()
            return runner

        async def port_of(runner: web.AppRunner, context: ssl.SSLContext | None = None) -> int:
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
            await site.start()
            return int(cast("asyncio.Server", site._server).sockets[0].getsockname()[1])

        context, api_servers = authority.server_context(), await serving(cluster)
        ports.extend([await port_of(api_servers, context) for _ in range(clusters)])
        told.send(await port_of(await serving(cloud)))
        await asyncio.Event().wait()

    asyncio.run(run())


@asynccontextmanager
async def opened(spec: GatewaySpec, port: int, places: Places) -> AsyncIterator[Stack]:
    """The stack as ``mcig monitor`` opens it, of the cloud at this port."""
    connection = emulated(f"http://127.0.0.1:{port}", "a-token-of-the-benchmark", project=PROJECT)
    clients = Clients(connection, spec)
    try:
        yield Stack(
            spec, connection=connection, clients=clients, declare=lambda of: declare(of, clients), places=places
        )
    finally:
        await clients.close()


class Alone(App[None]):
    """The monitor screen by itself."""

    CSS_PATH = str(Path(__file__).parents[2] / "tui" / "mcig.tcss")

    def __init__(self, looks: LiveLooks) -> None:
        super().__init__()
        self.monitor = MonitorScreen(looks)
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name

    def on_mount(self) -> None:
        self.push_screen(self.monitor)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return DEFAULTS


def name_of(number: int) -> str:
    """Name of a cluster."""
    return f"gke-{number:02}"


def region_of(number: int) -> str:
    """Its region: each has one of its own."""
    return f"europe-west{number + 1}"


def spec_of(clusters: int, places: Places) -> GatewaySpec:
    """The rehearsal's specification with so many clusters of the same kind."""
    spec = presets.load(presets.find("rehearsal", places))
    first = spec.clusters[0]
    many = tuple(
        first.model_copy(update={"name": name_of(number), "region": region_of(number)}) for number in range(clusters)
    )
    return spec.model_copy(update={"clusters": many, "config_cluster": many[0].name, "project": PROJECT})


async def watch(clusters: int, port: int, folder: Path) -> tuple[float, float, list[float], int]:
    """Watch for a while; share of a core, peak MB, seconds of CPU of each frame, and looks that were taken."""
    places = Places.of({"MCIG_HOME": str(folder)})
    async with opened(spec_of(clusters, places), port, places) as stack:
        return await watched(stack)


async def watched(stack: Stack) -> tuple[float, float, list[float], int]:
    """Watch a stack for a while; see ``watch``."""
    app = Alone(LiveLooks(stack, every_s=EVERY_S))
    frames: list[float] = []
    looks = 0
    draw = app.monitor.draw

    def timed() -> None:
        nonlocal looks
        began = time.thread_time()
        draw()
        app.monitor._compositor.render_strips()
        frames.append(time.thread_time() - began)
        looks += 1

    app.monitor.draw = timed  # type: ignore[method-assign]
    async with app.run_test(size=(120, 36)):
        await asyncio.sleep(WARM_S)
        gc.collect()
        frames.clear()
        looks, began, busy = 0, time.monotonic(), time.process_time()
        await asyncio.sleep(SECONDS)
        share = (time.process_time() - busy) / (time.monotonic() - began)
        judge(app.monitor.snapshot)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return share, peak, frames, looks


def judge(snapshot: Snapshot | None) -> None:
    """Raise ``RuntimeError`` unless all could be looked at: what is not read costs nothing."""
    if snapshot is None or snapshot.drift is None or snapshot.drift.reason is not None or not snapshot.drift.resources:
        raise RuntimeError(f"the looks for drift were not whole: {snapshot and snapshot.drift}")
    silent = [pod for one in snapshot.clusters for pod in one.pods if pod.kv_cache is None]
    unseen = [(one.name, one.reason) for one in snapshot.clusters if not one.pods]
    if silent or unseen:
        raise RuntimeError(f"not read: {unseen} {silent[:1]}")


def measure(clusters: int, pods: int) -> bool:
    """Print what one size costs; whether the limits hold."""
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    server = context.Process(target=serve, args=(clusters, pods, theirs), daemon=True)
    server.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            share, peak, frames, looks = asyncio.run(watch(clusters, ours.recv(), Path(folder)))
    finally:
        server.kill()
        server.join()
    frame = statistics.median(frames) if frames else float("nan")
    held = share <= MOST_CORE and peak <= MOST_MB and frame <= MOST_FRAME_S and looks >= SECONDS / EVERY_S / 2
    tell(
        f"{clusters:>2} x {pods:<3} {share:>7.1%} of a core  {peak:>6.0f} MB  frame {frame * 1000:>5.1f} ms  "
        f"{looks} looks in {SECONDS:.0f} s"
    )
    return held


def tell(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Measure every size in a process of its own, or the one that is named."""
    if len(sys.argv) == 3:
        return 0 if measure(int(sys.argv[1]), int(sys.argv[2])) else 1
    tell(f"held at {HELD[0]} x {HELD[1]}: {MOST_CORE:.0%} of a core, {MOST_MB:.0f} MB, {MOST_FRAME_S * 1000:.0f} ms")
    held = {}
    for clusters, pods in SIZES:
        done = subprocess.run([sys.executable, __file__, str(clusters), str(pods)], check=False)
        held[clusters, pods] = done.returncode == 0
    return 0 if held[HELD] else 1


if __name__ == "__main__":
    sys.exit(main())
