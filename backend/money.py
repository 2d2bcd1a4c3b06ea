"""What a stack costs: by the hour, by the day, so far, and against the limits that its specification sets.

Invariants: pure; every figure is an estimate with dated list or spot prices; what has no known price is named, never
counted as free, and so is what counts at another region's price. Money so far is counted from the clusters' creation
times, as node pools carry none, so it is rather too high than too low; of a cluster that was not made for the stack
only what was made in it counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any

from backend import catalog
from backend.spec import ClusterSpec, GatewaySpec, Guard, Provisioning

HOURS_PER_DAY = 24


@dataclass(frozen=True, slots=True)
class Borrowed:
    """A price that counts where a machine type's own is unknown."""

    machine_type: str
    regions: tuple[str, ...]
    """Where it counts."""
    of: str
    """The region whose price it is."""

    def __str__(self) -> str:
        return f"{self.machine_type} in {' and '.join(self.regions)} ({self.of}'s)"


@dataclass(frozen=True, slots=True)
class Costs:
    """What a specification costs while it stands, in US dollars an hour."""

    gpus: float
    """Machines with GPUs, as they are bought."""
    gpus_at_list: float | None
    """The same at list price; ``None`` where that is unknown for one of them."""
    nodes: float
    """Default pools."""
    fees: float
    """GKE's fee for clusters."""
    idle: float
    """The part of ``gpus`` for GPUs that no model server takes."""
    idle_gpus: int
    """How many those are."""
    unpriced: tuple[str, ...]
    """Machine types and ways to buy whose price is unknown."""
    borrowed: tuple[Borrowed, ...]
    """Prices that are another region's."""
    dated: tuple[date, date]
    """Dates of the oldest and the newest price."""

    @property
    def usd_per_hour(self) -> float:
        """All together."""
        return self.gpus + self.nodes + self.fees

    @property
    def usd_per_day(self) -> float:
        """All together in a day."""
        return self.usd_per_hour * HOURS_PER_DAY

    def to_json(self) -> dict[str, Any]:
        """The costs as ``mcig plan --json`` prints them."""
        at_list = None if self.gpus_at_list is None else round(self.gpus_at_list + self.nodes + self.fees, 4)
        return {
            "estimate": True,
            "usd_per_hour": round(self.usd_per_hour, 4),
            "usd_per_day": round(self.usd_per_day, 2),
            "list_usd_per_hour": at_list,
            "gpus_usd_per_hour": round(self.gpus, 4),
            "nodes_usd_per_hour": round(self.nodes, 4),
            "fees_usd_per_hour": round(self.fees, 4),
            "idle_usd_per_hour": round(self.idle, 4),
            "unpriced": list(self.unpriced),
            "borrowed_prices": [asdict(one) for one in self.borrowed],
            "prices_dated": [day.isoformat() for day in self.dated],
        }


@dataclass(frozen=True, slots=True)
class Standing:
    """A cluster of a stack that is there."""

    cluster: str
    since: datetime | None
    """When it was made, or what was made in it for the stack; ``None`` where nobody knows."""
    made: bool
    """Whether it was made for the stack; another one's nodes and fee are not the stack's."""
    gpus: bool
    """Whether its GPU pool is there, and the stack's."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a stack has cost since the first of it was made, at most."""

    usd: float
    since: datetime | None
    """When the first of its clusters was made; ``None`` while there is none."""
    at: datetime
    """When it was counted."""
    uncounted: tuple[str, ...] = ()
    """Clusters that were not made for the stack, so that at most their GPU pools count."""

    @property
    def hours(self) -> float:
        """Age of the stack."""
        return 0.0 if self.since is None else (self.at - self.since).total_seconds() / 3600

    def to_json(self) -> dict[str, Any]:
        """The sum as ``mcig status --json`` prints it."""
        since = None if self.since is None else self.since.isoformat()
        spent = {"spent_usd": round(self.usd, 4), "since": since, "hours": round(self.hours, 4)}
        return {**spent, "uncounted": list(self.uncounted)}


def costs(spec: GatewaySpec) -> Costs:
    """What a specification costs while it stands."""
    gpus = nodes = idle = at_list = 0.0
    idle_gpus = 0
    unpriced: dict[str, None] = {}
    elsewhere: dict[tuple[str, str], dict[str, None]] = {}
    listed = True

    def price_of(machine_type: str, region: str, provisioning: Provisioning) -> float | None:
        found = catalog.quote(machine_type, region, provisioning)
        if found is not None and found.region != region:
            elsewhere.setdefault((machine_type, found.region), {})[region] = None
        return None if found is None else found.usd_per_hour

    for cluster in spec.clusters:
        per_node = price_of(cluster.default_pool.machine_type, cluster.region, Provisioning.ON_DEMAND)
        if per_node is None:
            unpriced[cluster.default_pool.machine_type] = None
        nodes += (per_node or 0.0) * cluster.default_pool.nodes_per_zone * catalog.ZONES_PER_REGION
        if cluster.gpu_pool is None:
            continue
        pool = cluster.gpu_pool
        machines = pool.nodes * len(pool.zones)
        unused = max(0, pool.gpus - spec.replicas(cluster))
        idle_gpus += unused
        price = price_of(pool.machine_type, cluster.region, pool.provisioning)
        full = catalog.price(pool.machine_type, cluster.region, Provisioning.ON_DEMAND)
        if price is None:
            unpriced[f"{pool.machine_type} as {pool.provisioning}"] = None
        else:
            gpus += price * machines
            idle += price * unused / pool.accelerators_per_node
        listed = listed and full is not None
        at_list += (full or 0.0) * machines
    fees = catalog.cluster_fee() * len(spec.clusters)
    full_price = at_list if listed else None
    borrowed = tuple(Borrowed(machine, tuple(places), of) for (machine, of), places in elsewhere.items())
    return Costs(gpus, full_price, nodes, fees, idle, idle_gpus, tuple(unpriced), borrowed, catalog.prices_dated())


def spent(spec: GatewaySpec, standing: Iterable[Standing], now: datetime | None = None) -> Spent:
    """What those clusters of a specification that stand have cost, each with its pools since it was made."""
    at = now or datetime.now(UTC)
    wanted = {cluster.name: cluster for cluster in spec.clusters}
    usd, first = 0.0, None
    uncounted = []
    for one in standing:
        if not one.made:
            uncounted.append(one.cluster)
        if one.since is None or not (one.made or one.gpus):
            continue
        first = one.since if first is None else min(first, one.since)
        usd += _rate(spec, wanted[one.cluster], one) * max(0.0, (at - one.since).total_seconds()) / 3600
    return Spent(usd, first, at, tuple(uncounted))


def over(guard: Guard | None, so_far: Spent, *, rehearsed: bool = False) -> str:
    """Which limits of a guard are passed, in words; empty when none is. A rehearsal's money is not real."""
    if guard is None or so_far.since is None:
        return ""
    passed = []
    if guard.usd is not None and so_far.usd >= guard.usd:
        verb = "would have been spent for real" if rehearsed else "were spent"
        passed.append(f"about ${so_far.usd:,.2f} {verb}, and the guard is ${guard.usd:,.2f}")
    if guard.hours is not None and so_far.hours >= guard.hours:
        passed.append(f"it has stood for {so_far.hours:.1f} h, and the guard is {guard.hours:g} h")
    return "; ".join(passed)


def reached_in_s(guard: Guard | None, so_far: Spent, usd_per_hour: float) -> float | None:
    """Seconds until a guard's first limit is passed, 0 when one is; ``None`` when none ever is."""
    if guard is None:
        return None
    waits = []
    if guard.hours is not None:
        waits.append(guard.hours - so_far.hours)
    if guard.usd is not None and usd_per_hour > 0:
        waits.append((guard.usd - so_far.usd) / usd_per_hour)
    return max(0.0, min(waits) * 3600) if waits else None


def _rate(spec: GatewaySpec, cluster: ClusterSpec, standing: Standing) -> float:
    """Dollars an hour of one cluster as it is: its GPU pool only where it has one."""
    counted = costs(spec.model_copy(update={"clusters": (cluster,)}))
    return (counted.fees + counted.nodes if standing.made else 0.0) + (counted.gpus if standing.gpus else 0.0)
