"""What a running Envoy says of itself, asked over its admin socket.

Invariant: an Envoy that does not answer, or not with 200, is no error: nothing is known then.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

_TIMEOUT = aiohttp.ClientTimeout(total=2)
_WANTED = r"(update_rejected|version_text|total_listeners_warming|warming_clusters)$"


@dataclass(frozen=True, slots=True)
class Clusters:
    """What an Envoy knows of what is behind it."""

    healthy: dict[str, bool]
    """Cluster to whether any endpoint of it passes its health check."""
    requests: int
    """How many requests the present endpoints were sent; health checks do not count."""


class EnvoyAdmin:
    """One Envoy's admin interface."""

    def __init__(self, socket: Path) -> None:
        self._http = aiohttp.ClientSession("http://envoy", connector=aiohttp.UnixConnector(str(socket)))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def ready(self) -> bool:
        """Whether it has taken over its start configuration."""
        return await self._ask("/ready") is not None

    async def stats(self) -> dict[str, str]:
        """Name to value of the statistics that tell what was taken over, and what was rejected."""
        text = await self._ask(f"/stats?filter={_WANTED}") or ""
        lines = (line.partition(": ") for line in text.splitlines())
        return {name: value.strip('"') for name, _, value in lines}

    async def clusters(self) -> Clusters | None:
        """What it knows of its clusters; None when nothing is known."""
        text = await self._ask("/clusters?format=json")
        if text is None:
            return None
        found = {one["name"]: one.get("host_statuses", []) for one in json.loads(text).get("cluster_statuses", [])}
        return Clusters(
            healthy={name: any(_host_healthy(host) for host in hosts) for name, hosts in found.items()},
            requests=sum(_requests(host) for hosts in found.values() for host in hosts),
        )

    async def _ask(self, path: str) -> str | None:
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with self._http.get(path, timeout=_TIMEOUT) as response:
                if response.status == 200:
                    return await response.text()
        return None


def rejections(stats: Mapping[str, str]) -> dict[str, str]:
    """The counts of configurations that were rejected."""
    return {name: count for name, count in stats.items() if name.endswith("update_rejected")}


def version_stat(stem: str) -> str:
    """Name of the statistic that holds the version of a resource file."""
    kind, _, name = stem.partition("-")
    if kind == "eds":
        return f"cluster.{name}.version_text"
    if kind == "rds":
        return f"http.{name}.rds.{name}.version_text"
    return "cluster_manager.cds.version_text" if kind == "cds" else "listener_manager.lds.version_text"


def _requests(host: Mapping[str, Any]) -> int:
    return sum(int(one.get("value", 0)) for one in host.get("stats", ()) if one["name"] == "rq_total")


def _host_healthy(host: Mapping[str, Any]) -> bool:
    return not any(value for name, value in host.get("health_status", {}).items() if name.startswith("failed_"))
