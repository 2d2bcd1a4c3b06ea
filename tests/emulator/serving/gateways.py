"""What tests of the gateway share: a world that only notes that something changed, and servers on loopback."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web

VIP = "10.132.0.50"


class World:
    """What the data plane asks of its world."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.touched = asyncio.Event()
        self.used = asyncio.Event()

    def touch(self) -> None:
        """Something changed."""
        self.touched.set()

    def seen(self) -> None:
        """Requests have gone through."""
        self.used.set()


async def listen(app: web.Application) -> tuple[web.AppRunner, int]:
    """Serve an application on a free loopback port; the runner ends it."""
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port: int = runner.addresses[0][1]
    return runner, port
