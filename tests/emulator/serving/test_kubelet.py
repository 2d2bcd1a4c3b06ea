"""Pods as real processes: model servers, scripts from ConfigMaps, and what happens when they or we die."""

import asyncio
import os
import signal
import stat
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from backend.emulator.serving.child import Child, leashed, python_env
from backend.emulator.serving.kubelet import Kubelet
from backend.emulator.serving.podrun import PodState
from backend.emulator.serving.podspec import BenchWork, ScriptWork, ServerWork, readiness, work_of
from backend.emulator.serving.volumes import local_path

CLUSTER = "europe-west3/gke-west"
MODEL = "meta-llama/Llama-3.1-8B-Instruct"
ADAPTERS = f"""
vLLMLoRAConfig:
  name: adapters
  port: 8000
  defaultBaseModel: {MODEL}
  ensureExist:
    models:
    - id: food-review-1
      source: Kawon/llama3.1-food-finetune_v14_r8
"""
SCRIPT = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = "|".join([os.environ["http_proxy"], os.environ["WHO"], open(sys.argv[1]).read()]).encode()
        self.send_response(200 if self.path != "/exit" else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if self.path == "/exit":
            os._exit(3)
    def log_message(self, text, *args):
        print("served", self.path, flush=True)
print("listening", flush=True)
http.server.HTTPServer((os.environ["BIND"], int(os.environ["PORT"])), Handler).serve_forever()
"""

Json = dict[str, Any]


class World:
    """What the kubelet asks of its world; it is the gateway too."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.hub: str | None = None
        self.gateway = self
        self.touched = asyncio.Event()

    def vpc_port(self) -> int:
        return 3128

    def now(self) -> float:
        return time.time()

    def touch(self) -> None:
        self.touched.set()


@pytest.fixture
async def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
async def kubelet(world: World) -> AsyncIterator[Kubelet]:
    kubelet = Kubelet(world)
    yield kubelet
    await kubelet.close()


def model_pod(uid: str, *args: str) -> Json:
    return {
        "metadata": {"uid": uid, "name": f"vllm-{uid}", "namespace": "default"},
        "spec": {
            "containers": [
                {
                    "name": "vllm",
                    "image": "vllm/vllm-openai:v0.8.5",
                    "command": ["python3", "-m", "vllm.entrypoints.openai.api_server"],
                    "args": ["--model", MODEL, "--port", "8000", "--enable-lora", *args],
                    "env": [
                        {"name": "HUGGING_FACE_HUB_TOKEN", "value": "hf_secret"},
                        {"name": "VLLM_ALLOW_RUNTIME_LORA_UPDATING", "value": "true"},
                    ],
                    "ports": [{"containerPort": 8000, "name": "http"}],
                    "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 1},
                }
            ],
            "initContainers": [
                {
                    "name": "lora-adapter-syncer",
                    "image": "registry.k8s.io/gateway-api-inference-extension/lora-syncer:v1.1.0-rc.1",
                    "restartPolicy": "Always",
                    "env": [{"name": "DYNAMIC_LORA_ROLLOUT_CONFIG", "value": "/config/configmap.yaml"}],
                    "volumeMounts": [{"name": "config-volume", "mountPath": "/config"}],
                }
            ],
        },
    }


def script_pod(uid: str, **container: Any) -> Json:
    return {
        "metadata": {"uid": uid, "name": f"relay-{uid}", "namespace": "tools"},
        "spec": {
            "containers": [
                {
                    "name": "relay",
                    "image": "python@sha256:00",
                    "command": ["python3", "/opt/relay/relay.py"],
                    "args": ["/opt/relay/greeting.txt"],
                    "env": [{"name": "WHO", "value": "relay"}, {"name": "PORT", "value": "8080"}],
                    "ports": [{"containerPort": 8080}],
                    "volumeMounts": [{"name": "code", "mountPath": "/opt/relay"}],
                    "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}},
                    **container,
                }
            ]
        },
    }


SCRIPT_FILES = {"code": {"relay.py": SCRIPT, "greeting.txt": "hello"}}


async def until(world: World, true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await world.touched.wait()
            world.touched.clear()


def url(kubelet: Kubelet, namespace: str, pod: str, port: int) -> str:
    address = kubelet.address(CLUSTER, namespace, pod, port)
    assert address is not None
    return f"http://{address[0]}:{address[1]}"


async def test_model_server_pods_answer_log_and_go(world: World, kubelet: Kubelet) -> None:
    broken = "    - id: broken\n      source: nowhere\n"
    adapters = ADAPTERS.replace("    models:\n", f"    models:\n{broken}")
    files = {"config-volume": {"configmap.yaml": adapters}}
    for uid in ("a", "b"):
        await kubelet.run(CLUSTER, model_pod(uid), files)
        await kubelet.run(CLUSTER, model_pod(uid), files)
    assert kubelet.address(CLUSTER, "default", "vllm-a", 8000) is None
    await until(world, lambda: kubelet.state(CLUSTER, "a").ready and kubelet.state(CLUSTER, "b").ready)
    first, second = (url(kubelet, "default", f"vllm-{uid}", 8000) for uid in ("a", "b"))
    assert first != second
    assert kubelet.address(CLUSTER, "default", "vllm-a", 9090) is None

    following = kubelet.follow(CLUSTER, "default", "vllm-a", "lora-adapter-syncer", None, None)
    async with asyncio.timeout(5):
        assert "failed to load model broken from nowhere" in await anext(following)
        assert "food-review-1" in await anext(following)
    async with aiohttp.ClientSession() as http:
        body = {"model": "food-review-1", "prompt": "pizza", "max_tokens": 2}
        async with http.post(f"{first}/v1/completions", json=body, headers={"X-Request-Id": "find-me"}) as response:
            assert response.status == 200
            assert (await response.json())["id"] == "cmpl-find-me"

        def found(uid: str) -> bool:
            lines = kubelet.logs(CLUSTER, "default", f"vllm-{uid}", "vllm", None, None)
            return any("Received request cmpl-find-me-0" in line for line in lines)

        assert not found("b")
        log = kubelet.follow(CLUSTER, "default", "vllm-a", "vllm", None, None)
        async with asyncio.timeout(5):
            async for line in log:
                if "Received request cmpl-find-me-0" in line:
                    break
        assert found("a")
        stamped = kubelet.logs(CLUSTER, "default", "vllm-a", "vllm", 1, None, timestamps=True)
        assert stamped[0].startswith("20")
        assert stamped[0].split(" ")[0].endswith("Z")
        assert kubelet.logs(CLUSTER, "default", "vllm-a", "vllm", None, 0.0) == []

        await kubelet.run(CLUSTER, model_pod("a"), {"config-volume": {"configmap.yaml": "vLLMLoRAConfig: {}"}})
        async with asyncio.timeout(5):
            assert "unloaded" in await anext(following)
        async with http.post(f"{first}/v1/completions", json=body) as response:
            assert response.status == 404

        await kubelet.end(CLUSTER, "a")
        assert kubelet.state(CLUSTER, "a") == PodState(False, False, None, "not started")
        assert kubelet.address(CLUSTER, "default", "vllm-a", 8000) is None
        async with http.get(f"{second}/health") as response:
            assert response.status == 200


async def test_a_server_that_may_not_have_its_model_ends_and_one_that_has_it_goes_on(
    world: World, kubelet: Kubelet
) -> None:
    tokens = []

    async def refuse(request: web.Request) -> web.Response:
        tokens.append(request.headers["authorization"])
        words = f"Access to model {MODEL} is restricted and you are not in the authorized list."
        return web.Response(status=403, headers={"X-Error-Code": "GatedRepo", "X-Error-Message": words})

    app = web.Application()
    app.router.add_route("HEAD", "/{path:.*}", refuse)
    async with TestServer(app) as hub:
        world.hub = str(hub.make_url(""))
        await kubelet.run(CLUSTER, model_pod("a"), {})
        await until(world, lambda: kubelet.state(CLUSTER, "a").exit_code is not None)
        assert kubelet.state(CLUSTER, "a") == PodState(False, False, 1, "exit code 1")
        log = kubelet.logs(CLUSTER, "default", "vllm-a", "vllm")
        assert any(line.startswith("OSError: You are trying to access a gated repo.") for line in log)
        assert log[-1].endswith("you are not in the authorized list.")
        assert tokens == ["Bearer hf_secret"]
        assert "hf_secret" not in "".join(log)
        await kubelet.run(CLUSTER, model_pod("b"), {}, has_model=True)
        await until(world, lambda: kubelet.state(CLUSTER, "b").ready)
        assert len(tokens) == 1


async def test_an_answer_that_is_being_given_survives_the_end_of_its_pod(world: World, kubelet: Kubelet) -> None:
    await kubelet.run(CLUSTER, model_pod("a"), {})
    await until(world, lambda: kubelet.state(CLUSTER, "a").ready)
    base = url(kubelet, "default", "vllm-a", 8000)
    body = {"prompt": "x", "max_tokens": 20, "ignore_eos": True, "stream": True}
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{base}/v1/completions", json=body) as response:
            first = await response.content.readuntil(b"\n\n")
            await kubelet.end(CLUSTER, "a")
            rest = await response.content.read()
        assert first.startswith(b"data: {")
        assert rest.endswith(b"data: [DONE]\n\n")
        with pytest.raises(aiohttp.ClientConnectorError):
            async with asyncio.timeout(10):
                while True:
                    await http.get(f"{base}/health")


async def test_a_killed_model_server_process_is_noticed_and_can_be_run_again(world: World, kubelet: Kubelet) -> None:
    await kubelet.run(CLUSTER, model_pod("a"), {})
    await until(world, lambda: kubelet.state(CLUSTER, "a").ready)
    pid = kubelet.processes()[0]
    os.kill(pid, signal.SIGKILL)
    await until(world, lambda: not kubelet.state(CLUSTER, "a").running)
    state = kubelet.state(CLUSTER, "a")
    assert (state.ready, state.exit_code) == (False, 137)
    await kubelet.run(CLUSTER, model_pod("a"), {})
    assert kubelet.state(CLUSTER, "a").exit_code == 137
    await kubelet.end(CLUSTER, "a")
    await kubelet.run(CLUSTER, model_pod("a"), {})
    await until(world, lambda: kubelet.state(CLUSTER, "a").ready)


async def test_a_refused_command_line_ends_like_vllms(world: World, kubelet: Kubelet) -> None:
    await kubelet.run(CLUSTER, model_pod("a", "--max-loras", "many"), {})
    await until(world, lambda: kubelet.state(CLUSTER, "a").exit_code is not None)
    assert kubelet.state(CLUSTER, "a").exit_code == 2
    log = kubelet.logs(CLUSTER, "default", "vllm-a", None, None, None)
    assert "argument --max-loras: invalid int value: 'many'" in log[-1]


async def test_a_script_runs_with_its_files_ports_and_proxy(world: World, kubelet: Kubelet, tmp_path: Path) -> None:
    await kubelet.run(CLUSTER, script_pod("r"), SCRIPT_FILES)
    await until(world, lambda: kubelet.state(CLUSTER, "r").ready)
    base = url(kubelet, "tools", "relay-r", 8080)
    folders = [path for path in (tmp_path / "pods").rglob("*") if path.is_dir()]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{base}/x") as response:
            assert await response.text() == "http://127.0.0.1:3128|relay|hello"
        async with http.get(f"{base}/exit"):
            pass
    log = [line async for line in kubelet.follow(CLUSTER, "tools", "relay-r", "relay", None, None)]
    await until(world, lambda: not kubelet.state(CLUSTER, "r").running)
    assert kubelet.state(CLUSTER, "r").exit_code == 3
    assert log[0] == "listening"
    assert "served /x" in log
    assert kubelet.logs(CLUSTER, "tools", "relay-r", "relay", 1, None) == ["served /exit"]
    await kubelet.end(CLUSTER, "r")
    await kubelet.run(CLUSTER, script_pod("r"), SCRIPT_FILES)
    assert "served /x" in kubelet.logs(CLUSTER, "tools", "relay-r", "relay", None, None, previous=True)
    assert "served /x" not in kubelet.logs(CLUSTER, "tools", "relay-r", "relay", None, None)
    await kubelet.close()
    assert list((tmp_path / "pods").iterdir()) == []


async def test_other_images_are_ready_at_once(kubelet: Kubelet) -> None:
    image = "registry.k8s.io/gateway-api-inference-extension/epp:v1.1.0"
    pod = {
        "metadata": {"uid": "e", "name": "epp", "namespace": "default"},
        "spec": {"containers": [{"name": "epp", "image": image}]},
    }
    await kubelet.run(CLUSTER, pod, {})
    assert kubelet.state(CLUSTER, "e") == PodState(True, True, None, "")
    assert kubelet.address(CLUSTER, "default", "epp", 9090) is None


async def test_children_end_when_their_parent_is_killed() -> None:
    """A parent that holds a leashed child is killed outright; the child's own connection to us then closes."""
    gone = asyncio.Event()
    arrived = asyncio.Event()

    async def child_connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await reader.read()
        gone.set()
        writer.close()

    server = await asyncio.start_server(child_connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    inner = f"import socket, time; c = socket.create_connection(('127.0.0.1', {port})); time.sleep(600)"
    command = leashed([sys.executable, "-c", inner])
    outer = f"import subprocess, time; p = subprocess.Popen({command!r}, stdin=subprocess.PIPE); time.sleep(600)"
    parent = await Child.start([sys.executable, "-c", outer], env=python_env())
    async with asyncio.timeout(10):
        await arrived.wait()
        os.kill(parent.pid, signal.SIGKILL)
        await gone.wait()
    assert await parent.wait() == 137
    server.close()
    await server.wait_closed()


async def test_a_leashed_command_passes_its_exit_code_on() -> None:
    lines: list[str] = []
    command = leashed([sys.executable, "-c", "print('out'); raise SystemExit(7)"])
    child = await Child.start(command, env=python_env(), on_line=lines.append)
    assert await child.wait() == 7
    assert lines == ["out"]
    endless = "import time; print('up', flush=True); time.sleep(600)"
    up = asyncio.Event()
    child = await Child.start(leashed([sys.executable, "-c", endless]), env=python_env(), on_line=lambda _: up.set())
    await up.wait()
    assert await child.stop() == 143


async def test_what_does_not_end_by_itself_is_killed_with_its_leash() -> None:
    """Its output would never end otherwise, and neither would the wait for it."""
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )
    up = asyncio.Event()
    child = await Child.start(leashed([sys.executable, "-c", deaf]), env=python_env(), on_line=lambda _: up.set())
    await up.wait()
    async with asyncio.timeout(10):
        assert await child.stop(0.1) == 137


def test_a_pods_work_is_read_from_its_manifest() -> None:
    work = work_of(model_pod("a", "--port=9000"), {"config-volume": {"configmap.yaml": ADAPTERS}})
    assert isinstance(work, ServerWork)
    assert "hf_secret" not in repr(work)
    assert (work.port, work.syncer) == (9000, "lora-adapter-syncer")
    assert [dict(adapter) for adapter in work.adapters] == [
        {"name": "food-review-1", "source": "Kawon/llama3.1-food-finetune_v14_r8", "base_model": MODEL}
    ]
    probe = readiness(model_pod("a"), "vllm")
    assert probe is not None
    assert (probe.path, probe.port, probe.period_s) == ("/health", 8000, 1.0)

    script = work_of(script_pod("r"), SCRIPT_FILES)
    assert isinstance(script, ScriptWork)
    assert local_path("/opt/relay/relay.py", script.mounts, Path("/here")) == "/here/code/relay.py"
    assert local_path("/opt/relays", script.mounts, Path("/here")) == "/opt/relays"
    assert work_of(script_pod("r"), {}) is None
    assert work_of(script_pod("r", command=["/bin/sh", "-c", "true"]), SCRIPT_FILES) is None


def bench_pod(uid: str, *args: str) -> Json:
    pod = model_pod(uid)
    (container,) = pod["spec"]["containers"]
    container |= {"name": "load", "command": ["vllm", "bench", "serve"], "args": list(args)}
    pod["spec"] = {"restartPolicy": "Never", "containers": [container]}
    return pod


async def test_a_load_test_runs_to_its_end_and_its_report_stays_in_the_log(world: World, kubelet: Kubelet) -> None:
    """The client is a process of its own; here no gateway answers, so it ends as vLLM's does."""
    pod = bench_pod("l", "--base-url", "http://10.0.0.9", "--model", MODEL, "--num-prompts", "2")
    await kubelet.run(CLUSTER, pod, {})
    async with asyncio.timeout(20):
        while kubelet.state(CLUSTER, "l").exit_code is None:
            world.touched.clear()
            await world.touched.wait()
    assert kubelet.state(CLUSTER, "l").exit_code == 1
    log = "\n".join(kubelet.logs(CLUSTER, "default", "vllm-l", "load"))
    assert "Initial test run failed" in log


def test_the_model_servers_image_runs_the_client_where_its_words_say_so() -> None:
    work = work_of(bench_pod("l", "--num-prompts", "2"), {})
    assert work == BenchWork("load", ("--num-prompts", "2"))
