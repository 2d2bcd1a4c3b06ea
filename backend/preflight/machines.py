"""Regions and machines: whether the zones have the machine types, and whether Spot ones are likely to be had."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches

from backend import catalog
from backend.clients.machines import Advice
from backend.errors import InvalidRequest, NotFound
from backend.preflight.check import Check, Question, unread
from backend.preflight.findings import Finding, Topic, Verdict
from backend.preflight.readings import Gap
from backend.spec import ClusterSpec, OnStockout, Provisioning

NEIGHBOURS = 3
"""Other regions that are asked when a region has nothing to give."""
LIKELY, HARDLY = 0.5, 0.2
"""Obtainability from which Spot machines count as likely, and below which as hardly to be had."""


def capacity_words(obtainability: float) -> str:
    """Obtainability from 0 to 1 as ``likely``, ``uncertain`` or ``unlikely``."""
    if obtainability >= LIKELY:
        return "likely"
    return "uncertain" if obtainability >= HARDLY else "unlikely"


# --- regions ----------------------------------------------------------------------------------------------------------


async def _regions(question: Question) -> Sequence[Finding]:
    clusters = question.spec.clusters
    read = await asyncio.gather(*(question.readings.region_quotas(cluster.region) for cluster in clusters))
    return [_region(cluster, one, question) for cluster, one in zip(clusters, read, strict=True)]


def _region(cluster: ClusterSpec, read: object, question: Question) -> Finding:
    identity, why = f"region/{cluster.region}", f"cluster {cluster.name} is made there"
    if not isinstance(read, Gap):
        return Finding(identity, Verdict.OK, f"{cluster.region} is there", why, None, Topic.REGIONS)
    if not isinstance(read.error, (NotFound, InvalidRequest)):
        return unread(identity, read, what=f"Region {cluster.region}", why=why, topic=Topic.REGIONS)
    close = next(iter(get_close_matches(cluster.region, catalog.regions(), 1)), "us-central1")
    text = f"there is no region {cluster.region}; did you mean {close}?"
    changed = {f"clusters__{cluster.name}__region": close}
    if cluster.gpu_pool is not None:
        moved = [zone.replace(f"{cluster.region}-", f"{close}-", 1) for zone in cluster.gpu_pool.zones]
        changed[f"clusters__{cluster.name}__gpu_pool__zones"] = f"[{','.join(moved)}]"
    fix = question.setting(**changed)
    return Finding(identity, Verdict.FAIL, text, why, fix, Topic.REGIONS)


# --- machine types ----------------------------------------------------------------------------------------------------


async def _machine_types(question: Question) -> Sequence[Finding]:
    spec, readings = question.spec, question.readings
    wanted = list(dict.fromkeys(machine for cluster in spec.clusters for machine in _machines(cluster)))
    read = dict(zip(wanted, await asyncio.gather(*map(readings.zones_with, wanted)), strict=True))
    return list(judge_machine_types(read, question))


def _machines(cluster: ClusterSpec) -> tuple[str, ...]:
    own = cluster.default_pool.machine_type
    return (own,) if cluster.gpu_pool is None else (own, cluster.gpu_pool.machine_type)


def judge_machine_types(read: Mapping[str, tuple[str, ...] | Gap], question: Question) -> Iterator[Finding]:
    """Whether each zone of a GPU pool, and each region of a default pool, has the machine type."""
    for cluster in question.spec.clusters:
        machine = cluster.default_pool.machine_type
        have = read[machine]
        why = "a region without the machine type refuses the cluster"
        identity = f"machine-type/{cluster.region}/{machine}"
        if isinstance(have, Gap):
            yield unread(identity, have, what=f"Where {machine} is", why=why, topic=Topic.REGIONS)
        elif any(zone.startswith(f"{cluster.region}-") for zone in have):
            text = f"{cluster.region} has {machine}"
            yield Finding(identity, Verdict.OK, text, why, None, Topic.REGIONS)
        else:
            text = f"{cluster.region} has no {machine}"
            fix = question.setting(**{f"clusters__{cluster.name}__default_pool__machine_type": "e2-standard-4"})
            yield Finding(identity, Verdict.FAIL, text, why, fix, Topic.REGIONS)
        if cluster.gpu_pool is not None:
            yield from _gpu_zones(cluster, read[cluster.gpu_pool.machine_type], question)


def _gpu_zones(cluster: ClusterSpec, have: tuple[str, ...] | Gap, question: Question) -> Iterator[Finding]:
    pool = cluster.serving_pool
    why = "a zone without the machine type refuses the node pool"
    for zone in pool.zones:
        identity = f"machine-type/{zone}/{pool.machine_type}"
        if isinstance(have, Gap):
            yield unread(identity, have, what=f"Where {pool.machine_type} is", why=why, topic=Topic.GPU)
        elif zone in have:
            text = f"{zone} has {pool.machine_type}"
            yield Finding(identity, Verdict.OK, text, why, None, Topic.GPU)
        else:
            here = [one for one in have if one.startswith(f"{cluster.region}-")]
            near = ", ".join(nearest(cluster.region, have)[:3]) or "none"
            text = f"{zone} has no {pool.machine_type}; "
            text += (
                f"in {cluster.region} it is in {', '.join(here)}" if here else f"the nearest regions with it: {near}"
            )
            fix = question.setting(**{f"clusters__{cluster.name}__gpu_pool__zones": f"[{here[0]}]"}) if here else None
            yield Finding(identity, Verdict.FAIL, text, why, fix, Topic.GPU)


def nearest(region: str, zones: Sequence[str]) -> list[str]:
    """Regions of some zones by their distance to a region; as they come for a region that is not in the catalogue."""
    regions = dict.fromkeys(zone.rpartition("-")[0] for zone in zones)
    try:
        return catalog.nearest(region, [one for one in regions if one in catalog.regions()])
    except KeyError:
        return list(regions)


# --- capacity ---------------------------------------------------------------------------------------------------------


async def _capacity(question: Question) -> Sequence[Finding]:
    spot = [
        cluster
        for cluster in question.spec.targets
        if cluster.serving_pool.provisioning is Provisioning.SPOT and await missing_nodes(cluster, question)
    ]
    return list(await asyncio.gather(*(_capacity_of(cluster, question) for cluster in spot)))


async def missing_nodes(cluster: ClusterSpec, question: Question) -> int:
    """Nodes of a cluster's GPU pool that are still to be had."""
    from backend.preflight.demand import missing

    clusters = await question.readings.clusters()
    seen = [] if isinstance(clusters, Gap) else clusters
    own = (one for one in seen if (one.get("location"), one.get("name")) == (cluster.region, cluster.name))
    return missing(cluster, next(own, None))


async def _capacity_of(cluster: ClusterSpec, question: Question) -> Finding:
    pool, readings = cluster.serving_pool, question.readings
    advice = await readings.advice(cluster.region, pool.machine_type, pool.nodes, pool.zones)
    identity = f"capacity/{cluster.region}/{pool.machine_type}"
    why = "a zone without free machines keeps a node pool waiting for 35 minutes and then fails it"
    what = f"{pool.nodes} Spot {pool.machine_type} in {' and '.join(pool.zones)}"
    if isinstance(advice, Gap):
        return unread(identity, advice, what=f"How likely {what} are to be had", why=why, topic=Topic.GPU)
    if advice is None:
        return Finding(identity, Verdict.UNKNOWN, f"Google does not say how likely {what} are", why, None, Topic.GPU)
    words = capacity_words(advice.obtainability)
    text = f"{what}: {words} (obtainability {advice.obtainability:.2f}, asked at {advice.at:%Y-%m-%d %H:%M} UTC)"
    if advice.obtainability >= LIKELY:
        return Finding(identity, Verdict.OK, text, why, None, Topic.GPU)
    other = await _elsewhere(cluster, question)
    fix = None
    if other is not None:
        zone, better = other
        text += f"; {zone} {capacity_words(better.obtainability)} ({better.obtainability:.2f})"
        changed = {f"clusters__{cluster.name}__gpu_pool__zones": f"[{zone}]"}
        if not zone.startswith(f"{cluster.region}-"):
            changed[f"clusters__{cluster.name}__region"] = zone.rpartition("-")[0]
        fix = question.setting(**changed)
    hopeless = advice.obtainability < HARDLY and question.spec.on_stockout is not OnStockout.NEXT_ZONE
    return Finding(identity, Verdict.FAIL if hopeless else Verdict.WARN, text, why, fix, Topic.GPU)


async def _elsewhere(cluster: ClusterSpec, question: Question) -> tuple[str, Advice] | None:
    """The likeliest zone of the same region, else of its nearest neighbours, with what is said of it."""
    pool, spec = cluster.serving_pool, question.spec
    have = await question.readings.zones_with(pool.machine_type)
    if isinstance(have, Gap):
        return None
    others = [zone for zone in have if zone not in pool.zones]
    near = [region for region in nearest(cluster.region, others) if region not in spec.regions][:NEIGHBOURS]
    here = [zone for zone in others if zone.startswith(f"{cluster.region}-")]
    firsts = [next(zone for zone in others if zone.startswith(f"{region}-")) for region in near]
    return await _likeliest(here, cluster, question) or await _likeliest(firsts, cluster, question)


async def _likeliest(zones: Sequence[str], cluster: ClusterSpec, question: Question) -> tuple[str, Advice] | None:
    pool = cluster.serving_pool
    asked = (
        question.readings.advice(zone.rpartition("-")[0], pool.machine_type, pool.nodes, (zone,)) for zone in zones
    )
    said = zip(zones, await asyncio.gather(*asked), strict=True)
    good = [(zone, one) for zone, one in said if isinstance(one, Advice) and one.obtainability >= LIKELY]
    return max(good, key=lambda pair: pair[1].obtainability, default=None)


CHECKS = (
    Check("region/REGION", Topic.REGIONS, "the region in Compute Engine", "a region that does not exist", _regions),
    Check(
        "machine-type/ZONE/TYPE",
        Topic.GPU,
        "machine types of all zones",
        "a node pool in a zone that does not have its machines",
        _machine_types,
    ),
    Check(
        "capacity/REGION/TYPE",
        Topic.GPU,
        "Compute Engine's advice on Spot capacity, with the time of asking",
        "35 minutes of waiting for machines that a zone does not have",
        _capacity,
    ),
)
