"""The model-server process of one cluster: `python -m backend.emulator.serving.modelserver`.

One process serves all vLLM Pods of a cluster, each on a loopback port of its own, so that token pacing never competes
with the emulator's API servers for the interpreter. The kubelet steers it with JSON lines on stdin and reads JSON lines
from stdout. Invariant: the process ends when stdin closes, so it never outlives the emulator.

Orders:  {"op": "add", "uid", "image", "words", "env", "container", "syncer", "adapters": [{"name", "source",
         "base_model"}], "hub", "token"} | {"op": "adapters", "uid", "adapters"} | {"op": "remove", "uid"} |
         {"op": "pace", "slowness"} | {"op": "real-model", "port"}, for all Pods and those to come
Answers: {"event": "started", "uid", "port"} | {"event": "log", "uid", "container", "line"} |
         {"event": "exited", "uid", "code"}
"""

import asyncio
import contextlib
import json
import signal
import socket
import sys
import zlib
from collections.abc import Callable
from typing import Any

import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from backend.emulator.serving.download import refusal
from backend.emulator.serving.http_server import HttpServer
from backend.emulator.serving.openai_app import ModelServer
from backend.emulator.serving.openai_protocol import ApiError
from backend.emulator.serving.vllm_args import Adapter, ServerArgumentError, parse_server

ADAPTER_DELAY_S = 0.2
"""Real seconds between a server's start and the side-car's first reconciliation of its adapters."""

ADAPTER_LOAD_S = 0.3
"""Real seconds that loading one adapter takes; the side-car loads one after another."""

DRAIN_S = 30
"""Seconds that running answers get to finish after a Pod was removed: the preStop sleep of the usual manifest."""

Json = dict[str, Any]
Emit = Callable[[Json], None]


class _Http(HttpToolsProtocol):
    """Uvicorn's HTTP, which tells the request being answered of a hang-up also when its client sent more behind it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._earlier: list[RequestResponseCycle] = []

    def on_headers_complete(self) -> None:
        before = self.cycle
        super().on_headers_complete()
        if before is not None and before is not self.cycle and not before.response_complete:
            self._earlier = [*(cycle for cycle in self._earlier if not cycle.response_complete), before]
            self.flow.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for cycle in self._earlier:
            cycle.disconnected = cycle.disconnected or not cycle.response_complete
            cycle.message_event.set()
        self._earlier.clear()


class PodServer:
    """One Pod's model server on a loopback port, with the side-car that loads its adapters."""

    def __init__(self, order: Json, emit: Emit) -> None:
        self._uid: str = order["uid"]
        self._container: str = order["container"]
        self._syncer: str | None = order.get("syncer")
        self._wanted = _adapters(order)
        self._changed = asyncio.Event()
        self._emit = emit
        config = parse_server(order["image"], order["words"], order["env"])
        self._app = ModelServer(config, self._log, seed=zlib.crc32(self._uid.encode()))
        self._hub: str | None = order.get("hub")
        self._token: str | None = order.get("token")
        self._http = HttpServer(self._app, drain_s=DRAIN_S, http=_Http)

    def _log(self, line: str, container: str | None = None) -> None:
        self._emit({"event": "log", "uid": self._uid, "container": container or self._container, "line": line})

    async def serve(self) -> int:
        """Serve until stopped; reports the port as soon as connections are accepted. Returns the exit code."""
        self._app.log.began()
        refused = await refusal(self._app.config, self._hub, self._token)
        if refused is not None:
            self._app.log.refused(refused)
            return 1
        if self._http.should_exit:
            return 0
        listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self._app.log.started()
        self._emit({"event": "started", "uid": self._uid, "port": listener.getsockname()[1]})
        sidecar = asyncio.create_task(self._keep_adapters())
        try:
            await self._http.serve(sockets=[listener])
        finally:
            sidecar.cancel()
            self._app.close()
            self._app.log.stopped()
        return 0

    def stop(self) -> None:
        """Refuse new connections and end once running answers are finished, at most DRAIN_S later."""
        self._http.should_exit = True

    def pace(self, slowness: float) -> None:
        """Take so many times longer for every token, infinitely long while nobody reaches the Pod."""
        self._app.pace(slowness)

    def answer_by(self, real_model: int | None) -> None:
        """Let the real model at that loopback port answer, when it has time; None for simulated text only."""
        self._app.real_model = real_model

    def want(self, order: Json) -> None:
        """Take over a changed list of adapters."""
        self._wanted = _adapters(order)
        self._changed.set()

    async def _keep_adapters(self) -> None:
        await asyncio.sleep(ADAPTER_DELAY_S)
        while True:
            self._changed.clear()
            await self._sync()
            await self._changed.wait()

    async def _sync(self) -> None:
        """Unload and load what the list asks for; one that cannot be loaded is told and leaves the others alone."""
        wanted = {adapter.name: adapter for adapter in self._wanted}
        loaded = self._app.synced
        for name in sorted(loaded - wanted.keys()):
            with contextlib.suppress(ApiError):
                self._app.unload(name)
            loaded.discard(name)
            self._log(f"unloaded model {name}", self._syncer)
        for name, adapter in wanted.items():
            if name in loaded:
                continue
            await asyncio.sleep(ADAPTER_LOAD_S)
            try:
                self._app.load_at_runtime(adapter)
            except ApiError as error:
                self._log(f"failed to load model {name} from {adapter.source}: {error}", self._syncer)
            else:
                loaded.add(name)
                self._log(f"loaded model {name} from {adapter.source}", self._syncer)


def _adapters(order: Json) -> list[Adapter]:
    return [Adapter(**adapter) for adapter in order.get("adapters", [])]


class ModelServers:
    """All model servers of one process, steered by orders."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._pods: dict[str, PodServer] = {}
        self._slowness = 1.0
        self._real_model: int | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def obey(self, order: Json) -> None:
        """Carry out one order; one for an unknown Pod is ignored, because that Pod has already ended."""
        if order["op"] == "pace":
            self._slowness = order["slowness"]
            for pod in self._pods.values():
                pod.pace(self._slowness)
            return
        if order["op"] == "real-model":
            self._real_model = order["port"]
            for pod in self._pods.values():
                pod.answer_by(self._real_model)
            return
        uid = order["uid"]
        if order["op"] == "add":
            try:
                pod = PodServer(order, self._emit)
            except ServerArgumentError as error:
                line = f"api_server.py: error: {error}"
                self._emit({"event": "log", "uid": uid, "container": order["container"], "line": line})
                self._emit({"event": "exited", "uid": uid, "code": 2})
                return
            self._pods[uid] = pod
            pod.pace(self._slowness)
            pod.answer_by(self._real_model)
            task = asyncio.create_task(self._serve(uid, pod))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif uid in self._pods:
            if order["op"] == "adapters":
                self._pods[uid].want(order)
            elif order["op"] == "remove":
                self._pods[uid].stop()

    async def close(self) -> None:
        """End all Pods at once, whatever they are answering."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, uid: str, pod: PodServer) -> None:
        code = 1
        try:
            code = await pod.serve()
        except Exception as error:
            line = f"RuntimeError: Engine core initialization failed: {error}"
            self._emit({"event": "log", "uid": uid, "container": "", "line": line})
        finally:
            if self._pods.get(uid) is pod:
                del self._pods[uid]
            self._emit({"event": "exited", "uid": uid, "code": code})


async def serve_orders() -> None:
    """Obey the orders on stdin until it closes."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=2**24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    out, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, sys.stdout)

    def emit(event: Json) -> None:
        if not out.is_closing():
            out.write(json.dumps(event).encode() + b"\n")

    servers = ModelServers(emit)
    while line := await reader.readline():
        servers.obey(json.loads(line))
    out.abort()
    await servers.close()


def main() -> None:
    """Run the process; SIGINT is left to the parent, which closes stdin."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    uvloop.run(serve_orders())


if __name__ == "__main__":
    main()
