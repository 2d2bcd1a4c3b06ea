"""What else there is where a zone has no GPUs to give: another zone, another shape, another region.

Pure functions of the specification and the catalogue. Invariants: every alternative is a whole specification without
problems that differs from the given one in one cluster only and holds at least as many GPUs; what other clusters have
is kept; a cluster that moves gets a new name, so that the old one can serve until the new one does.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from backend import catalog
from backend.engine.apply import Result
from backend.errors import StockOut
from backend.rules import refusals
from backend.spec import ClusterSpec, GatewaySpec, GpuPool, OnStockout, problems

LONGEST_CLUSTER_NAME = 40
MOST_SHAPES, MOST_REGIONS = 4, 5
"""Alternatives of a kind that a person is shown."""


class Fallback(StrEnum):
    """How far an alternative goes."""

    ZONE = "zone"
    SHAPE = "shape"
    REGION = "region"


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way on."""

    kind: Fallback
    words: str
    """What it is, in a few words."""
    spec: GatewaySpec
    """The specification with this change."""
    settings: tuple[str, ...]
    """The change as ``--set`` takes it, in this order."""


def alternatives(spec: GatewaySpec, cluster: str, *, out: Collection[str] | None = None) -> list[Alternative]:
    """List the ways on when a cluster's pool cannot be had, the nearest first; ``out`` are zones that have none.

    Without ``out`` they are those that a run has tried, and the pool's own where that is none. Empty when the catalogue
    knows no other place.
    """
    mine = next(one for one in spec.clusters if one.name == cluster)
    lost = frozenset(tried(spec, cluster) if out is None else out) or frozenset(mine.serving_pool.zones)
    return [
        *_usable(_in_other_zones(spec, mine, lost)),
        *islice(_usable(_as_other_shapes(spec, mine)), MOST_SHAPES),
        *islice(_usable(_in_other_regions(spec, mine)), MOST_REGIONS),
    ]


def tried(spec: GatewaySpec, cluster: str) -> tuple[str, ...]:
    """Zones in which a run of the specification has looked for a cluster's machines beside the pool's own."""
    if spec.on_stockout is not OnStockout.NEXT_ZONE:
        return ()
    mine = next(one for one in spec.clusters if one.name == cluster)
    zones = catalog.zones(mine.serving_pool.accelerator) or ()
    return tuple(zone for zone in zones if zone.startswith(f"{mine.region}-"))


def without_machines(result: Result) -> tuple[str, ...]:
    """Names of the clusters whose node pools a run could not have, because zones had no machines."""
    return tuple(
        step.resource.split("/")[1]
        for step in result.failures
        if step.error is not None and step.error.kind == StockOut.__name__ and step.resource.startswith("node-pool/")
    )


def next_pool(pool: GpuPool, region: str, out: Collection[str]) -> GpuPool | None:
    """The same pool with a zone that is out replaced by one of the region that may have machines; ``None`` without."""
    return next(_pools_elsewhere(pool, region, frozenset(out)), None)


def _pools_elsewhere(pool: GpuPool, region: str, out: frozenset[str]) -> Iterator[GpuPool]:
    kept = tuple(zone for zone in pool.zones if zone not in out)
    for zone in catalog.zones(pool.accelerator) or ():
        if zone.startswith(f"{region}-") and zone not in out and zone not in kept:
            yield _spread(pool, (*kept, zone))


def _spread(pool: GpuPool, zones: tuple[str, ...]) -> GpuPool:
    """The pool over other zones, with at least as many machines in all."""
    return pool.model_copy(update={"zones": zones, "nodes": -(-pool.nodes * len(pool.zones) // len(zones))})


def _usable(found: Iterator[Alternative]) -> Iterator[Alternative]:
    return (one for one in found if not problems(one.spec) and not refusals(one.spec))


def _in_other_zones(spec: GatewaySpec, cluster: ClusterSpec, out: frozenset[str]) -> Iterator[Alternative]:
    for pool in _pools_elsewhere(cluster.serving_pool, cluster.region, out):
        yield Alternative(
            Fallback.ZONE,
            f"{pool.nodes * len(pool.zones)} x {pool.machine_type} in {' and '.join(pool.zones)}",
            _with_pool(spec, cluster, pool),
            _settings(cluster, pool, "zones", "nodes"),
        )


def _as_other_shapes(spec: GatewaySpec, cluster: ClusterSpec) -> Iterator[Alternative]:
    pool = cluster.serving_pool

    def rank(shape: catalog.Shape) -> tuple[bool, int, float, str]:
        price = catalog.price(shape.machine_type, cluster.region, pool.provisioning)
        idle = _nodes(pool, shape) * len(pool.zones) * shape.accelerators - pool.gpus
        other = shape.accelerator != pool.accelerator
        return other, idle, float("inf") if price is None else price * _nodes(pool, shape), shape.machine_type

    for shape in sorted(catalog.shapes().values(), key=rank):
        if shape.machine_type == pool.machine_type or pool.provisioning not in shape.buy_as:
            continue
        if not set(pool.zones) <= set(catalog.zones(shape.accelerator) or ()):
            continue
        update = {
            "machine_type": shape.machine_type,
            "accelerator": shape.accelerator,
            "accelerators_per_node": shape.accelerators,
            "nodes": _nodes(pool, shape),
        }
        other = pool.model_copy(update=update)
        count = other.nodes * len(other.zones)
        yield Alternative(
            Fallback.SHAPE,
            f"{count} x {shape.machine_type} ({shape.accelerators} x {shape.accelerator}) in "
            f"{' and '.join(pool.zones)}",
            _with_pool(spec, cluster, other),
            _settings(cluster, other, *update),
        )


def _nodes(pool: GpuPool, shape: catalog.Shape) -> int:
    """Machines of a shape in each zone that hold as many GPUs as the pool."""
    return -(-pool.gpus // (len(pool.zones) * shape.accelerators))


def _in_other_regions(spec: GatewaySpec, cluster: ClusterSpec) -> Iterator[Alternative]:
    pool = cluster.serving_pool
    offered: dict[str, list[str]] = {}
    for zone in catalog.zones(pool.accelerator) or ():
        offered.setdefault(zone.rpartition("-")[0], []).append(zone)
    free = set(offered) - set(spec.regions)
    known = set(catalog.regions())
    if cluster.region not in known:
        return
    for region in catalog.nearest(cluster.region, free & known):
        there = _spread(pool, tuple(offered[region][: len(pool.zones)]))
        moved = cluster.model_copy(
            update={
                "name": _renamed(spec, cluster, region),
                "region": region,
                "proxy_subnet": "auto",
                "gpu_pool": there,
            }
        )
        stays = " (the gateway stays where it is)" if cluster.name == spec.config_cluster else ""
        changed = _with_cluster(spec, cluster, moved)
        yield Alternative(
            Fallback.REGION,
            f"{region}: {there.nodes * len(there.zones)} x {there.machine_type} in {' and '.join(there.zones)}, "
            f"as cluster {moved.name}{stays}",
            changed,
            _all_clusters(changed) if stays else _move(cluster, moved),
        )


def _renamed(spec: GatewaySpec, cluster: ClusterSpec, region: str) -> str:
    stem = cluster.name.removesuffix(cluster.region).rstrip("-") or "gke"
    stem = stem[: LONGEST_CLUSTER_NAME - len(region) - 3].rstrip("-")
    taken = {one.name for one in spec.clusters}
    name, number = f"{stem}-{region}", 2
    while name in taken:
        name, number = f"{stem}-{region}-{number}", number + 1
    return name


def _with_pool(spec: GatewaySpec, cluster: ClusterSpec, pool: GpuPool) -> GatewaySpec:
    changed = cluster.model_copy(update={"gpu_pool": pool})
    return spec.model_copy(
        update={"clusters": tuple(changed if one.name == cluster.name else one for one in spec.clusters)}
    )


def _with_cluster(spec: GatewaySpec, cluster: ClusterSpec, moved: ClusterSpec) -> GatewaySpec:
    """The spec with a cluster moved; the config cluster stays behind without GPUs, because the gateway lives there."""
    clusters: list[ClusterSpec] = []
    for one in spec.clusters:
        clusters.append(moved if one.name == cluster.name else one)
        if one.name == cluster.name == spec.config_cluster:
            clusters.append(one.model_copy(update={"gpu_pool": None}))
    return spec.model_copy(update={"clusters": tuple(clusters)})


def _settings(cluster: ClusterSpec, pool: GpuPool, *fields: str) -> tuple[str, ...]:
    before = cluster.serving_pool
    return tuple(
        f"clusters.{cluster.name}.gpu_pool.{field}={_spelled(getattr(pool, field))}"
        for field in fields
        if getattr(pool, field) != getattr(before, field)
    )


def _move(cluster: ClusterSpec, moved: ClusterSpec) -> tuple[str, ...]:
    """Settings that move a cluster; its name comes last, because the others find it by the old one."""
    at = f"clusters.{cluster.name}"
    free = () if cluster.proxy_subnet == "auto" else (f"{at}.proxy_subnet=auto",)
    pool = _settings(cluster, moved.serving_pool, "zones", "nodes")
    return (f"{at}.region={moved.region}", *free, *pool, f"{at}.name={moved.name}")


def _all_clusters(spec: GatewaySpec) -> tuple[str, ...]:
    """The one setting that gives a specification its clusters, where their number changes."""
    clusters = [cluster.model_dump(mode="json", by_alias=True, exclude_defaults=True) for cluster in spec.clusters]
    return (f"clusters={json.dumps(clusters, separators=(',', ':'))}",)


def _spelled(value: object) -> str:
    return f"[{','.join(value)}]" if isinstance(value, tuple) else str(value)
