"""Regions side by side: where the GPU is, what the quota leaves, what it costs, what is likely to be had."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from backend import catalog
from backend.catalog import Price
from backend.clients.machines import Advice, SpotPrice
from backend.clients.quotas import Quota, limit_of, quota_id
from backend.preflight import demand
from backend.preflight.machines import capacity_words, nearest
from backend.preflight.offers import RegionOffer
from backend.preflight.readings import Gap, Readings
from backend.spec import GatewaySpec, GpuPool, Provisioning

ASIDE = 3
"""Neighbours that an offer names."""


async def offers(spec: GatewaySpec, readings: Readings, regions: Sequence[str] = ()) -> tuple[RegionOffer, ...]:
    """What every region with the GPU offers for the first pool of a specification, and what ``regions`` offer.

    A region that a cluster of the specification is in is judged by that cluster's own pool, and what stands of it is
    part of the quota's own use.
    """
    first = spec.targets[0].serving_pool
    pools = {cluster.region: cluster.serving_pool for cluster in spec.targets}
    known = catalog.regions_with(first.accelerator) or ()
    live, clusters = await asyncio.gather(readings.zones_with(first.machine_type), readings.clusters())
    there = {} if isinstance(clusters, Gap) else {(one.get("location"), one.get("name")): one for one in clusters}
    nodes = {one.region: demand.missing(one, there.get((one.region, one.name))) for one in spec.targets}
    zones = catalog.zones(first.accelerator) or () if isinstance(live, Gap) else live
    wanted = list(dict.fromkeys([*known, *(zone.rpartition("-")[0] for zone in zones), *pools, *regions]))
    asked = (_offer(region, pools.get(region, first), zones, readings, nodes.get(region)) for region in wanted)
    return tuple(await asyncio.gather(*asked))


async def _offer(
    region: str, pool: GpuPool, all_zones: Sequence[str], readings: Readings, missing: int | None
) -> RegionOffer:
    """``missing`` is how many nodes of a cluster of the specification's are not there yet; None without one."""
    zones = tuple(zone for zone in all_zones if zone.startswith(f"{region}-"))
    metric = demand.gpu_metric(pool.accelerator, pool.provisioning)
    family = demand.family_of(pool.accelerator) if metric == demand.FAMILY else None
    dimensions = {"region": region} | ({} if family is None else {"gpu_family": family})
    wanted_zones = tuple(zone for zone in pool.zones if zone in zones) or zones
    spot = pool.provisioning is Provisioning.SPOT and bool(zones) and missing is not None
    quotas, info, advice, live = await asyncio.gather(
        readings.region_quotas(region),
        _nothing() if metric is None else readings.quota_info(quota_id(metric, regional=True)),
        readings.advice(region, pool.machine_type, pool.nodes, wanted_zones) if spot else _nothing(),
        readings.spot_price(region, pool.machine_type) if spot else _nothing(),
    )
    quota = None if isinstance(quotas, Gap) or metric is None else quotas.get(metric)
    cloud = None if info is None or isinstance(info, Gap) else limit_of(info, dimensions)
    limits = [limit for limit in (quota.limit if isinstance(quota, Quota) else None, cloud) if limit is not None]
    limit = min(limits) if limits else None
    used = quota.used if isinstance(quota, Quota) else None
    nodes = pool.nodes * max(1, len(pool.zones)) if missing is None else missing
    needed = float(nodes * pool.accelerators_per_node)
    quoted = catalog.quote(pool.machine_type, region, pool.provisioning)
    known = quoted if quoted is not None and quoted.region == region else None
    price: Price | SpotPrice | None = live if isinstance(live, SpotPrice) else known
    told = advice if isinstance(advice, Advice) else None
    return RegionOffer(
        region=region,
        zones=zones,
        limit=limit,
        used=used,
        needed=needed,
        usd_per_hour=None if price is None else price.usd_per_hour * pool.nodes * max(1, len(pool.zones)),
        price_date=None if price is None else price.dated,
        capacity=None if told is None else capacity_words(told.obtainability),
        fits=_fits(zones, limit, used, needed, metric),
        instead=tuple(nearest(region, all_zones)[:ASIDE]),
    )


def _fits(
    zones: Sequence[str], limit: float | None, used: float | None, needed: float, metric: str | None
) -> bool | None:
    if not zones:
        return False
    if metric is None:
        return True
    return None if limit is None else limit - (used or 0) >= needed


async def _nothing() -> None:
    return None
