"""How the gateway is, and what its policy says now: the part of a snapshot that the config cluster tells.

Invariant: what the live policy says wins over the specification; while the config cluster does not answer, what was
known stays, its health alone is unknown.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from backend.clients.kinds import (
    BACKEND_POLICY,
    GATEWAY,
    HEALTH_CHECK_POLICY,
    HTTP_ROUTE,
    INFERENCE_OBJECTIVE,
    POOL_IMPORT,
)
from backend.errors import McigError, NotFound
from backend.monitor.objects import conditions_of, gateway_healthy, policy_said, why
from backend.monitor.snapshot import GatewaySnapshot
from backend.spec import BalancingMode, GatewaySpec

if TYPE_CHECKING:
    from backend.address import Address
    from backend.clients import Clients
    from backend.clients.kube import Kube

LIMIT_S = 4.0
"""Seconds that a look may take."""
EVERY_S = 10.0
"""Seconds between two looks."""
KINDS = (GATEWAY, HTTP_ROUTE, POOL_IMPORT, BACKEND_POLICY, HEALTH_CHECK_POLICY)

Object = Mapping[str, Any]


class GatewayLook:
    """Looks at the gateway's objects; what it saw holds for ``EVERY_S``."""

    def __init__(
        self,
        spec: GatewaySpec,
        clients: Clients,
        addresses: Callable[[], Awaitable[Sequence[Address]]],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._spec = spec
        self._clients = clients
        self._addresses = addresses
        self._clock = clock
        self._now = now
        self._healthy_at: datetime | None = None
        self._regions: dict[frozenset[str], Mapping[str, str]] = {}
        self._seen: GatewaySnapshot | None = None
        self._seen_at = float("-inf")

    async def look(self) -> GatewaySnapshot:
        """The gateway as it is; raises nothing for what the world does."""
        if self._seen is not None and 0 <= self._clock() - self._seen_at < EVERY_S:
            return self._seen
        spec = self._spec
        kube = self._clients.kube(spec.config_cluster)
        try:
            async with asyncio.timeout(LIMIT_S):
                lists, objectives = await asyncio.gather(
                    asyncio.gather(*(kube.list(kind, spec.pool.namespace) for kind in KINDS)), self._objectives(kube)
                )
        except (McigError, TimeoutError) as error:
            return self.unknown(self._seen or self._blank(), why(error, LIMIT_S))
        conditions = tuple(
            one
            for kind, objects in zip(KINDS, lists, strict=True)
            for obj in objects
            for one in conditions_of(kind, obj)
        )
        gateway = next((obj for obj in lists[0] if obj["metadata"]["name"] == spec.gateway.name), None)
        found = replace(
            self._blank(),
            addresses=await self._by_region(gateway),
            healthy=None if gateway is None else gateway_healthy(conditions, spec.gateway.name),
            conditions=conditions,
            reason=f"Gateway {spec.gateway.name} is not there" if gateway is None else None,
            objectives=objectives,
        )
        for policy in lists[3]:
            aim = (policy.get("spec") or {}).get("targetRef") or {}
            if (aim.get("kind"), aim.get("name")) == (POOL_IMPORT.name, spec.pool.name):
                mode, target, drained = policy_said(policy, self._now())
                found = replace(found, mode=mode or found.mode, target=target, drained=drained)
        self._seen, self._seen_at = found, self._clock()
        if found.healthy:
            self._healthy_at = self._now()
        return found

    def unknown(self, seen: GatewaySnapshot, reason: str) -> GatewaySnapshot:
        """What was seen, its health unknown because the config cluster does not answer now."""
        told = f"{self._spec.config_cluster}: {reason}"
        if self._healthy_at is not None:
            told += f"; healthy at {self._healthy_at.astimezone():%H:%M:%S}"
        return replace(seen, healthy=None, reason=told)

    async def _objectives(self, kube: Kube) -> Mapping[str, int]:
        """Objective -> priority, of the pool; nothing where the config cluster does not know the kind."""
        try:
            found = await kube.list(INFERENCE_OBJECTIVE, self._spec.pool.namespace)
        except NotFound:
            return {}
        told = ((str(one["metadata"]["name"]), one.get("spec") or {}) for one in found)
        pool = self._spec.pool.name
        return {
            name: int(said.get("priority") or 0)
            for name, said in told
            if (said.get("poolRef") or {}).get("name") == pool
        }

    def _blank(self) -> GatewaySnapshot:
        """What the specification alone says."""
        balancing = self._spec.balancing
        percent = balancing.max_utilization_percent if balancing.mode is BalancingMode.CUSTOM_METRICS else None
        return GatewaySnapshot({}, None, str(balancing.mode), None if percent is None else percent / 100)

    async def _by_region(self, gateway: Object | None) -> Mapping[str, str]:
        """Region -> address of the Gateway; which is which is asked again only when its addresses change."""
        told = frozenset(
            str(one["value"]) for one in ((gateway or {}).get("status") or {}).get("addresses") or () if "value" in one
        )
        if told and told not in self._regions:
            try:
                async with asyncio.timeout(LIMIT_S):
                    found = await self._addresses()
            except (McigError, TimeoutError):
                return {}
            self._regions = {told: {one.region: one.address for one in found}}
        return self._regions.get(told, {})
