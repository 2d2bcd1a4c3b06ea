"""The emulator: the world, its Google APIs, its clusters and what they run, put together in one process.

One loop drives everything that happens by itself: it wakes when something changed or is due, settles operations, lets
the controllers look once, and sleeps again. What lasts is written behind it; the order of requests never matters to
it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from backend.emulator import management
from backend.emulator.google import operations
from backend.emulator.google.app import add_google_apis
from backend.emulator.google.clusterserver import open_cluster
from backend.emulator.huggingface.hub import PREFIX as HUB
from backend.emulator.huggingface.hub import add_hub
from backend.emulator.pace import Pace
from backend.emulator.world import World, token_of, write_private

IDLE_S = 1800.0
"""Seconds without a request after which a background emulator ends itself."""
_COALESCE_S = 0.005
_AWAKEN_S = 10.0
_AWAKEN_PAUSE_S = 0.02
_RETRY_S = 1.0
_SAVE_DELAY_S = 0.2
_LONGEST_SLEEP_S = 60.0
_log = logging.getLogger(__name__)


class Emulator:
    """An emulated cloud on loopback; an async context manager: inside, all that a world of before had runs again."""

    def __init__(
        self,
        home: Path,
        *,
        speed: float = math.inf,
        jitter: float = 1.0,
        seed: int = 7,
        port: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.home = home
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.token = token_of(home)
        """Bearer token that every API asks for."""
        self.world = World(home, token=self.token, pace=Pace(seed, speed, jitter), clock=clock)
        """The state behind the APIs."""
        self.url = ""
        """Root of the Google APIs, like http://127.0.0.1:8123."""
        self.stopping = asyncio.Event()
        """Set when somebody asked the emulator to end."""
        self.started = clock()
        """Unix time of the start."""
        self._port = port
        self._runner: web.AppRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._pass = asyncio.Lock()

    async def __aenter__(self) -> Self:
        from backend.emulator.serving.envoy import GatewayDataPlane
        from backend.emulator.serving.kubelet import Kubelet

        world = self.world
        world.authority = _authority(self.home)
        world.kubelet = Kubelet(world)
        world.gateway = GatewayDataPlane(world)
        try:
            await self._listen()
            await self._restore(world.load())
        except BaseException:
            await self._close()
            raise
        await self._awaken()
        self._tasks = [asyncio.create_task(self._control()), asyncio.create_task(self._keep())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    @property
    def ca_file(self) -> Path:
        """The certificate authority of the clusters' API servers, PEM."""
        return self.home / "ca.pem"

    async def reset(self) -> None:
        """Back to an empty world: clusters, processes and data gone; token, port and authority stay."""
        async with self._pass, self.world.settling:
            await self._end_parts()
            await self.world.kubelet.close()
            self.world.clear()
        self.world.save()

    async def idle(self, limit_s: float = IDLE_S) -> None:
        """Return once no request came for `limit_s` seconds."""
        while True:
            left = self.world.last_request + limit_s - self.world.now()
            if left <= 0:
                return
            await asyncio.sleep(min(left, _LONGEST_SLEEP_S))

    async def _listen(self) -> None:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        management.add_management_api(app, self)
        add_hub(app, self.world)
        add_google_apis(app, self.world)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        remembered = self.home / "port"
        wanted = self._port
        if not wanted:
            with contextlib.suppress(FileNotFoundError, ValueError):
                wanted = int(remembered.read_text())
        try:
            await web.TCPSite(self._runner, "127.0.0.1", wanted).start()
        except OSError:
            if self._port or not wanted:
                raise
            await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port = self._runner.addresses[0][1]
        write_private(remembered, str(port))
        self.url = f"http://127.0.0.1:{port}"
        self.world.hub = f"{self.url}{HUB}"

    async def _restore(self, clusters: dict[str, Any]) -> None:
        for key, saved in clusters.items():
            row = self.world.tables["clusters"].get(key)
            if row is not None:
                await open_cluster(self.world, row, port=saved["port"], state=saved["state"])

    async def _awaken(self) -> None:
        """Look until what was ready before is ready again, so that nobody meets a world that is still half asleep."""
        before = _ready(self.world)
        await self._look()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_AWAKEN_S):
                while not before <= _ready(self.world):
                    await asyncio.sleep(_AWAKEN_PAUSE_S)
                    await self._look()

    async def _look(self) -> float | None:
        """Settle and let the controllers look once; the Unix time at which something is due without a change."""
        from backend.emulator.kube.controllers import reconcile

        world = self.world
        try:
            async with self._pass:
                await operations.settle(world)
                due = await reconcile(world)
        except Exception:
            _log.exception("a pass of the controllers failed")
            due = world.now() + _RETRY_S
        moments = [moment for moment in (due, operations.next_due(world)) if moment is not None]
        return min(moments, default=None)

    async def _control(self) -> None:
        world = self.world
        while True:
            world.wake.clear()
            due = await self._look()
            wait = _LONGEST_SLEEP_S if due is None else max(0.0, min(due - world.now(), _LONGEST_SLEEP_S))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await world.wake.wait()
            await asyncio.sleep(_COALESCE_S)

    async def _keep(self) -> None:
        while True:
            await self.world.unsaved.wait()
            await asyncio.sleep(_SAVE_DELAY_S)
            self.world.unsaved.clear()
            try:
                self.world.save()
            except Exception:
                _log.exception("the world could not be saved to %s", self.world.file)

    async def _end_parts(self) -> None:
        for cluster in list(self.world.kube.values()):
            await cluster.stop()
        await self.world.kubelet.close()
        await self.world.gateway.close()

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._tasks:
            self.world.save()
        self._tasks = []
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await self._end_parts()


def _ready(world: World) -> set[tuple[str, str]]:
    """Cluster and uid of every Pod that is ready and every Gateway that is healthy."""
    from backend.emulator.kube.controllers.gateways import HEALTHY
    from backend.emulator.kube.controllers.objects import is_true, uid_of
    from backend.emulator.kube.controllers.routes import GATEWAYS

    return {
        (key, uid_of(found))
        for key, cluster in world.kube.items()
        for resource, condition in (("/pods", "Ready"), (GATEWAYS, HEALTHY))
        for found in cluster.store.list(resource)
        if is_true(found, condition)
    }


def _authority(home: Path) -> Any:
    """The world's certificate authority, made on first use; its key is readable by its owner only."""
    from backend.emulator.kube.pki import Authority

    path = home / "ca.json"
    if path.exists():
        return Authority.load(json.loads(path.read_text()))
    authority = Authority.generate("mcig emulator")
    write_private(path, json.dumps(authority.dump()))
    write_private(home / "ca.pem", authority.cert_pem.decode())
    return authority
