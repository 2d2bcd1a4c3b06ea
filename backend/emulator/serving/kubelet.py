"""Runs the processes behind Pods and says how they are: the emulator's stand-in for the kubelets of all nodes.

vLLM Pods are served by their cluster's model-server process, vLLM's client for load tests and a Python script from a
ConfigMap run as processes of their own, any other image runs as nothing and is ready at once. Start delays and restarts
are the controllers' business.
Invariants: a Pod's process is started once per `run` and never outlives the emulator; Secret values reach a process
through its environment, or over its standard input, only.
"""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp

from backend.emulator.serving.child import Child, leashed, python_env
from backend.emulator.serving.inside import Command, Inside
from backend.emulator.serving.loopback import free_port
from backend.emulator.serving.modelserver_client import Event
from backend.emulator.serving.modelservers import ModelServers
from backend.emulator.serving.podlog import PodLog
from backend.emulator.serving.podrun import PodState, RunningPod, keep_ready
from backend.emulator.serving.podspec import (
    BenchWork,
    Files,
    Probe,
    ScriptWork,
    ServerWork,
    containers,
    mounts,
    plain_env,
    readiness,
    work_of,
)
from backend.emulator.serving.seams import KubeletWorld
from backend.emulator.serving.volumes import local_path, write_files

_LOGS_KEPT = 100

Json = dict[str, Any]


class Kubelet:
    """Starts, probes and ends the processes of Pods; belongs to one event loop."""

    def __init__(self, world: KubeletWorld) -> None:
        self._world = world
        self._folder = world.home / "pods"
        self._pods: dict[tuple[str, str], RunningPod] = {}
        self._servers = ModelServers()
        self._old_logs: dict[tuple[str, str], dict[str, PodLog]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None
        self._runs = 0
        shutil.rmtree(self._folder, ignore_errors=True)

    async def run(self, cluster_key: str, pod: Json, files: Files, *, has_model: bool = False) -> None:
        """Start the Pod's process; returns at once and never fails, `state` tells how it went.

        A Pod that was started already, also one that has exited since, keeps its process; of its files only a changed
        adapter list is taken over. `files` maps ConfigMap volumes to file names and texts; env values are plain. A
        server that `has_model` goes on with what it downloaded before, which the hub is not asked for again.
        """
        uid = pod["metadata"]["uid"]
        known = self._pods.get((cluster_key, uid))
        work = work_of(pod, files)
        if known is not None:
            if isinstance(work, ServerWork) and isinstance(known.work, ServerWork):
                self._take_adapters(known, work)
            return
        self._runs += 1
        logs = self._old_logs.pop((cluster_key, uid), None) or {c["name"]: PodLog() for c in containers(pod)}
        starting = {each["name"] for each in pod["spec"].get("containers", ())}
        for name, log in logs.items():
            log.open(new_run=name in starting)
        state = PodState(False, False, None, "starting")
        entry = RunningPod(cluster_key, pod, files, work, logs, f"{uid}/{self._runs}", state)
        self._pods[cluster_key, uid] = entry
        if work is None:
            entry.state = PodState(True, True, None, "")
        else:
            entry.start = asyncio.create_task(self._start(entry, files, None if has_model else self._world.hub))

    async def end(self, cluster_key: str, uid: str) -> None:
        """Forget the Pod and end its process; answers that a model server is giving are finished in the background."""
        entry = self._pods.pop((cluster_key, uid), None)
        if entry is None:
            return
        for log in entry.logs.values():
            log.close()
        self._old_logs[cluster_key, uid] = entry.logs
        while len(self._old_logs) > _LOGS_KEPT:
            del self._old_logs[next(iter(self._old_logs))]
        task = asyncio.create_task(self._clean_up(entry))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def forget(self, cluster_key: str) -> None:
        """End every Pod of a cluster that is gone, and the process that served its models."""
        for owner, uid in list(self._pods):
            if owner == cluster_key:
                await self.end(owner, uid)
        await self._servers.forget(cluster_key)

    def pace(self, cluster_key: str, slowness: float) -> None:
        """Let a cluster's model servers take so many times longer; infinite: they answer nobody until told again."""
        self._servers.pace(cluster_key, slowness)

    def real_model(self, wanted: bool) -> None:
        """Let the real model answer what it has time for, or simulated text only."""
        self._servers.real_model(wanted)

    def state(self, cluster_key: str, uid: str) -> PodState:
        """Return how the Pod is; one that was never run, or has been ended, is not running and has no exit code."""
        entry = self._pods.get((cluster_key, uid))
        return entry.state if entry is not None else PodState(False, False, None, "not started")

    def has_process(self, cluster_key: str, uid: str) -> bool:
        """Return whether a process of this machine runs for the Pod; other images run without one."""
        entry = self._pods.get((cluster_key, uid))
        return entry is not None and entry.work is not None and entry.state.running

    def address(self, cluster_key: str, namespace: str, pod: str, port: int) -> tuple[str, int] | None:
        """Return the loopback host and port behind a container port, None when nothing listens there."""
        entry = self._find(cluster_key, namespace, pod)
        if entry is None or not entry.state.running or port not in entry.ports:
            return None
        return "127.0.0.1", entry.ports[port]

    async def execute(
        self, cluster_key: str, namespace: str, pod: str, container: str, words: Sequence[str], *, tty: bool = False
    ) -> Command | None:
        """Start a command in a container, None when that does not run; raises NoSuchProgram and OSError."""
        entry = self._find(cluster_key, namespace, pod)
        manifest = (
            next((one for one in containers(entry.manifest) if one["name"] == container), None) if entry else None
        )
        if entry is None or manifest is None or not entry.state.running:
            return None
        folder = self._pod_folder(entry)
        await asyncio.to_thread(write_files, folder, entry.files)
        inside = Inside(str(manifest["image"]), {}, folder, mounts(manifest, entry.files), dict(entry.ports))
        env = {name: inside.local(value) for name, value in plain_env(manifest).items()}
        env |= {"HOSTNAME": pod, **self._network(entry)}
        return await Command.start(replace(inside, env=env), words, tty=tty)

    def logs(  # noqa: PLR0917
        self,
        cluster_key: str,
        namespace: str,
        pod: str,
        container: str | None = None,
        tail: int | None = None,
        since: float | None = None,
        *,
        timestamps: bool = False,
        previous: bool = False,
    ) -> list[str]:
        """Return log lines of a container (the main one when None): the last `tail`, of the last `since` seconds.

        An unknown Pod or container has none. With `timestamps` each line is led by its RFC 3339 time, with `previous`
        they are those of the run before.
        """
        log = self._log(cluster_key, namespace, pod, container)
        return log.read(tail, self._moment(since), timestamps=timestamps, previous=previous) if log else []

    async def follow(  # noqa: PLR0917
        self,
        cluster_key: str,
        namespace: str,
        pod: str,
        container: str | None = None,
        tail: int | None = None,
        since: float | None = None,
        *,
        timestamps: bool = False,
    ) -> AsyncIterator[str]:
        """Yield the lines that `logs` returns and every later one until the process has ended."""
        log = self._log(cluster_key, namespace, pod, container)
        if log is not None:
            async for line in log.follow(tail, self._moment(since), timestamps=timestamps):
                yield line

    def processes(self) -> list[int]:
        """Return the ids of the operating-system processes that run now."""
        scripts = [e.child.pid for e in self._pods.values() if e.child is not None and e.child.exit_code is None]
        return self._servers.pids + scripts

    async def close(self) -> None:
        """End every process and wait until all are gone; Pods can be run again afterwards."""
        for cluster_key, uid in list(self._pods):
            await self.end(cluster_key, uid)
        await asyncio.gather(*self._ending)
        await self._servers.close()
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _moment(self, since: float | None) -> float | None:
        return None if since is None else self._world.now() - since

    def _find(self, cluster_key: str, namespace: str, name: str) -> RunningPod | None:
        wanted = (cluster_key, namespace, name)
        return next((entry for entry in reversed(self._pods.values()) if entry.key == wanted), None)

    def _log(self, cluster_key: str, namespace: str, name: str, container: str | None) -> PodLog | None:
        entry = self._find(cluster_key, namespace, name)
        if entry is None:
            return None
        return entry.logs.get(container) if container else next(iter(entry.logs.values()), None)

    def _become(self, entry: RunningPod, state: PodState) -> None:
        if entry.become(state):
            self._world.touch()

    async def _start(self, entry: RunningPod, files: Files, hub: str | None) -> None:
        try:
            if isinstance(entry.work, ServerWork):
                await self._start_server(entry, entry.work, hub)
            elif isinstance(entry.work, ScriptWork):
                await self._start_script(entry, entry.work, files)
            elif isinstance(entry.work, BenchWork):
                await self._start_bench(entry, entry.work)
        except OSError as error:
            self._become(entry, PodState(False, False, 128, f"failed to create container: {error}"))

    async def _start_server(self, entry: RunningPod, work: ServerWork, hub: str | None) -> None:
        order = {
            "uid": entry.run_id,
            "image": work.image,
            "words": work.words,
            "env": dict(work.env),
            "container": work.container,
            "syncer": work.syncer,
            "adapters": [dict(adapter) for adapter in work.adapters],
            "hub": hub,
            "token": work.token,
        }
        await self._servers.add(entry.cluster_key, order, lambda event: self._hear(entry, work, event))

    def _hear(self, entry: RunningPod, work: ServerWork, event: Event) -> None:
        if event["event"] == "log":
            log = entry.logs.get(event["container"] or work.container)
            if log is not None:
                log.write(self._world.now(), event["line"])
        elif event["event"] == "started":
            entry.ports[work.port] = event["port"]
            self._running(entry, work.container, Probe(path="/health", port=work.port, failures=1))
        elif event["event"] == "exited":
            self._exited(entry, event["code"])

    def _take_adapters(self, entry: RunningPod, work: ServerWork) -> None:
        if isinstance(entry.work, ServerWork) and work.adapters != entry.work.adapters:
            entry.work = work
            adapters = [dict(adapter) for adapter in work.adapters]
            self._servers.send(entry.cluster_key, {"op": "adapters", "uid": entry.run_id, "adapters": adapters})

    async def _start_script(self, entry: RunningPod, work: ScriptWork, files: Files) -> None:
        folder = self._pod_folder(entry)
        write_files(folder, files)
        env = {**python_env(), **{name: local_path(value, work.mounts, folder) for name, value in work.env.items()}}
        if work.port is not None:
            entry.ports[work.port] = free_port()
        env |= {"HOME": str(folder), **self._network(entry)}
        command = [sys.executable, *(local_path(word, work.mounts, folder) for word in work.words[1:])]
        await self._start_child(entry, work.container, command, env, folder)

    async def _start_bench(self, entry: RunningPod, work: BenchWork) -> None:
        command = [sys.executable, "-m", "backend.emulator.serving.bench", *work.words]
        await self._start_child(entry, work.container, command, {**python_env(), **self._network(entry)}, None)

    async def _start_child(
        self, entry: RunningPod, container: str, command: list[str], env: dict[str, str], folder: Path | None
    ) -> None:
        log = entry.logs[container]
        child = await Child.start(
            leashed(command), env=env, cwd=folder, on_line=lambda line: log.write(self._world.now(), line)
        )
        entry.child = child
        self._running(entry, container, None)
        entry.tasks.append(asyncio.create_task(self._await_exit(entry, child)))

    def _network(self, entry: RunningPod) -> dict[str, str]:
        """The environment in which a process of the Pod finds the VPC, and a script the port that is its own."""
        proxy = f"http://127.0.0.1:{self._world.gateway.vpc_port()}"
        env = dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"), proxy)
        if isinstance(entry.work, ScriptWork):
            env["BIND"] = "127.0.0.1"
            if entry.work.port is not None:
                env["PORT"] = str(entry.ports[entry.work.port])
        return env

    async def _await_exit(self, entry: RunningPod, child: Child) -> None:
        self._exited(entry, await child.wait())

    def _running(self, entry: RunningPod, container: str, fallback: Probe | None) -> None:
        probe = readiness(entry.manifest, container) or fallback
        self._become(entry, PodState(True, probe is None, None, ""))
        if probe is not None:
            if self._session is None:
                self._session = aiohttp.ClientSession(trust_env=False)
            watch = keep_ready(entry, probe, self._session, self._become)
            entry.tasks.append(asyncio.create_task(watch))

    def _exited(self, entry: RunningPod, code: int) -> None:
        self._become(entry, PodState(False, False, code, f"exit code {code}"))
        for log in entry.logs.values():
            log.close()
        for task in entry.tasks:
            if task is not asyncio.current_task():
                task.cancel()

    def _pod_folder(self, entry: RunningPod) -> Path:
        return self._folder / entry.run_id.replace("/", "-")

    async def _clean_up(self, entry: RunningPod) -> None:
        if entry.start is not None:
            await entry.start
        if isinstance(entry.work, ServerWork):
            self._servers.send(entry.cluster_key, {"op": "remove", "uid": entry.run_id})
        if entry.child is not None:
            await entry.child.stop()
        for task in entry.tasks:
            task.cancel()
        await asyncio.gather(*entry.tasks, return_exceptions=True)
        await asyncio.to_thread(shutil.rmtree, self._pod_folder(entry), ignore_errors=True)
