"""What watching costs: of one core, of memory, and for a frame, and how that grows with clusters and Pods.

Run by path: ``python tests/benchmarks/monitor.py``. API servers over TLS in a process of their own answer with Pods and
with pages as vLLM writes them; the monitor screen of this process looks at them every two seconds. Ends with 1 when a
limit does not hold. Google's packages, which look at costs and drift, come on top of it: about 50 MiB at every size.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

from textual.app import App

from backend import presets
from backend.clients import Clients
from backend.clients.kube import Kube
from backend.monitor import CostSnapshot, Monitor
from backend.places import Places
from backend.spec import GatewaySpec
from tui.looks import LiveLooks
from tui.screens.monitor import MonitorScreen
from tui.themes import DEFAULTS, THEMES

SIZES = ((2, 3), (10, 20), (20, 50))
"""Clusters, and Pods of each."""
HELD = (10, 20)
"""The size at which the limits hold."""
EVERY_S, SECONDS, WARM_S = 2.0, 16.0, 5.0
MOST_CORE, MOST_MIB, MOST_FRAME_S = 0.25, 150.0, 0.030
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
    """Answer for API servers until the process is ended; what only that needs is imported here."""
    from aiohttp import web

    from backend.emulator.kube.pki import Authority

    authority = Authority.generate("benchmark")
    names = [f"vllm-llama3-8b-instruct-{number:010}-{number:05}" for number in range(pods)]
    ready = {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}
    items = [{"metadata": {"name": name}, "spec": {"nodeName": "node"}, "status": ready} for name in names]
    began = time.monotonic()

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/proxy/metrics"):
            return web.Response(text=page(int((time.monotonic() - began) * 10)))
        if request.path.endswith("/pods"):
            return web.json_response({"items": items})
        if "/deployments/" in request.path:
            return web.json_response({"spec": {"replicas": pods}})
        return web.json_response({"items": []})

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        context = authority.server_context()
        ports = []
        for _ in range(clusters):
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
            await site.start()
            ports.append(cast("asyncio.Server", site._server).sockets[0].getsockname()[1])
        told.send((ports, authority.cert_pem))
        await asyncio.Event().wait()

    asyncio.run(run())


class Kubes:
    """Clients of the API servers, and of nothing else."""

    def __init__(self, spec: GatewaySpec, ports: Sequence[int], ca_pem: bytes) -> None:
        async def token() -> str:
            return "a-token-of-the-benchmark"

        names = [cluster.name for cluster in spec.clusters]
        self._kubes = {
            name: Kube(f"https://127.0.0.1:{port}", ca_pem, token, cluster=name)
            for name, port in zip(names, ports, strict=True)
        }

    def kube(self, cluster: str) -> Kube:
        return self._kubes[cluster]


class Watched:
    """A stack of which only the traffic is looked at."""

    def __init__(self, spec: GatewaySpec, kubes: Kubes) -> None:
        self._spec, self._kubes = spec, kubes

    def monitor(self) -> Monitor:
        async def cost() -> CostSnapshot:
            return CostSnapshot(28.4, 3.2)

        async def addresses() -> list[Any]:
            return []

        return Monitor(self._spec, cast("Clients", self._kubes), cost=cost, addresses=addresses)


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


def spec_of(clusters: int) -> GatewaySpec:
    """The rehearsal's specification with so many clusters of the same kind."""
    places = Places.of({"MCIG_HOME": tempfile.gettempdir()})
    spec = presets.load(presets.find("rehearsal", places))
    first = spec.clusters[0]
    many = tuple(first.model_copy(update={"name": f"gke-{number:02}"}) for number in range(clusters))
    return spec.model_copy(update={"clusters": many, "config_cluster": many[0].name})


async def watch(clusters: int, ports: Sequence[int], ca_pem: bytes) -> tuple[float, float, list[float], int]:
    """Watch for a while; share of a core, peak MiB, seconds of each frame, and looks that were taken."""
    spec = spec_of(clusters)
    stack = cast("Any", Watched(spec, Kubes(spec, ports, ca_pem)))
    app = Alone(LiveLooks(stack, every_s=EVERY_S))
    frames: list[float] = []
    looks = 0
    draw = app.monitor.draw

    def timed() -> None:
        nonlocal looks
        began = time.perf_counter()
        draw()
        app.monitor._compositor.render_strips()
        frames.append(time.perf_counter() - began)
        looks += 1

    app.monitor.draw = timed  # type: ignore[method-assign]
    async with app.run_test(size=(120, 36)):
        await asyncio.sleep(WARM_S)
        gc.collect()
        frames.clear()
        looks, began, busy = 0, time.monotonic(), time.process_time()
        await asyncio.sleep(SECONDS)
        share = (time.process_time() - busy) / (time.monotonic() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return share, peak, frames, looks


def measure(clusters: int, pods: int) -> bool:
    """Print what one size costs; whether the limits hold."""
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    server = context.Process(target=serve, args=(clusters, pods, theirs), daemon=True)
    server.start()
    try:
        ports, ca_pem = ours.recv()
        share, peak, frames, looks = asyncio.run(watch(clusters, ports, ca_pem))
    finally:
        server.kill()
        server.join()
    frame = statistics.median(frames) if frames else float("nan")
    held = share <= MOST_CORE and peak <= MOST_MIB and frame <= MOST_FRAME_S and looks >= SECONDS / EVERY_S / 2
    tell(
        f"{clusters:>2} x {pods:<3} {share:>7.1%} of a core  {peak:>6.0f} MiB  frame {frame * 1000:>5.1f} ms  "
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
    tell(f"held at {HELD[0]} x {HELD[1]}: {MOST_CORE:.0%} of a core, {MOST_MIB:.0f} MiB, {MOST_FRAME_S * 1000:.0f} ms")
    held = {}
    for clusters, pods in SIZES:
        done = subprocess.run([sys.executable, __file__, str(clusters), str(pods)], check=False)
        held[clusters, pods] = done.returncode == 0
    return 0 if held[HELD] else 1


if __name__ == "__main__":
    sys.exit(main())
