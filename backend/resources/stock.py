"""What a node pool's row says when a zone has no machines: early, while Google still tries, and at the end.

Invariant: the early word never changes once it was told, so that it is told once.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection

from backend import catalog
from backend.clients.failures import zones_of
from backend.clients.google import Json
from backend.errors import StockOut
from backend.spec import GatewaySpec, OnStockout
from backend.stockout import Alternative, Fallback, alternatives

STOCKOUT_S = 35 * 60.0
"""How long Google tries to get machines before it gives up (GoogleCloudPlatform/cluster-toolkit#6278)."""


class EarlyWord:
    """The early word of a stock-out: told once with the time at which it was first seen."""

    def __init__(self, policy: OnStockout, since_s: Callable[[], float | None]) -> None:
        """Keep what is done afterwards, and a clock: real seconds, ``None`` where waiting is left out."""
        self._policy = policy
        self._since_s = since_s
        self._told = ""

    def __call__(self, said: str) -> str:
        """Put what Google says into words for people; the same ones each time."""
        if not self._told:
            since_s = self._since_s()
            when = "" if since_s is None else f" since {int(since_s // 60)}:{int(since_s % 60):02}"
            zones = " and ".join(zones_of(said))
            usual = f"{catalog.duration('node-pool') / 60:.0f} min"
            self._told = (
                f"{zones or 'the pool'} reports GCE_STOCKOUT{when}; instead of the usual {usual} Google tries again "
                f"for about {STOCKOUT_S / 60:.0f} min and lets nobody touch the pool until then, {_AFTER[self._policy]}"
            )
        return self._told


_AFTER = {
    OnStockout.ASK: "then mcig says what else there is",
    OnStockout.NEXT_ZONE: "then mcig takes the next zone",
    OnStockout.STOP: "then the run stops here",
}


def lacks_machines(pool: Json) -> bool:
    """Whether the zone of a pool has no machines for it, as the pool itself says."""
    return any(one.get("code") == "GCE_STOCKOUT" for one in pool.get("conditions") or ())


def _command(spec: GatewaySpec, way: Alternative) -> str:
    return f"`mcig apply {spec.name} {' '.join(f'--set {shlex.quote(one)}' for one in way.settings)}`"


def said_of(pool: Json) -> str:
    """What Google says of a pool in its own words; empty when it says nothing."""
    told = [pool.get("statusMessage"), *(one.get("message") for one in pool.get("conditions") or ())]
    return next((str(one) for one in told if one), "")


def explained(spec: GatewaySpec, cluster: str, out: Collection[str], error: StockOut) -> StockOut:
    """The error with the ways on; ``out`` are all zones that were tried in vain."""
    mine = next(one for one in spec.clusters if one.name == cluster)
    machine, found = mine.serving_pool.machine_type, alternatives(spec, cluster, out=out)
    near = [other for other in found if other.kind is not Fallback.REGION]
    far = [other for other in found if other.kind is Fallback.REGION]
    ways = [_command(spec, near[0])] if near else []
    if far:
        region, *others = [other.words.partition(":")[0] for other in far]
        instead = f" (or {', '.join(others)})" if others else ""
        ways.append(f"move the cluster to {region}{instead}: {_command(spec, far[0])}")
    ways += ["try later: `mcig apply` again"]
    return StockOut(
        error.message,
        cause=f"Google has no {machine} to give in {' or '.join(sorted(out))} just now; quota does not help",
        fix="; or ".join(ways),
        reason=error.reason,
        zones=tuple(sorted(out)),
        machine_type=machine,
    )
