"""What a specification still draws on of the project's quotas.

Invariants: pure; what exists already is part of the quota's own use and not counted again; only metrics that are known
to count are named, so that nothing is refused by a guess.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from backend import catalog
from backend.clients.google import Json
from backend.spec import ClusterSpec, GatewaySpec, GpuPool, Provisioning

BOOT_DISK_GB = 100
"""Boot disk that GKE gives a node."""
FAMILY = "GPUS_PER_GPU_FAMILY"
"""The quota of newer GPUs bought for as long as wanted; it has one limit for each region and GPU family."""
LOCAL_SSD = "LOCAL_SSD_TOTAL_GB_PER_VM_FAMILY"
"""The quota of local SSDs of machines bought for as long as wanted; it has one limit for each region and machine
family, such as ``A3``, and Cloud Quotas alone shows it."""
_FAMILIES = {
    "nvidia-h100-80gb": "NVIDIA_H100",
    "nvidia-h100-mega-80gb": "NVIDIA_H100_MEGA",
    "nvidia-h200-141gb": "NVIDIA_H200",
    "nvidia-b200": "NVIDIA_B200",
}
"""GPU families as Cloud Quotas names them."""
_METRICS = {
    **{gpu: f"{family}_GPUS" for gpu, family in _FAMILIES.items()},
    "nvidia-tesla-a100": "NVIDIA_A100_GPUS",
    "nvidia-a100-80gb": "NVIDIA_A100_80GB_GPUS",
    "nvidia-l4": "NVIDIA_L4_GPUS",
    "nvidia-tesla-t4": "NVIDIA_T4_GPUS",
}
_OWN_CPUS = ("c2", "c2d", "c3", "n2", "n2d", "n4", "m1", "m2", "t2d")
"""Machine series with a CPU quota of their own; the others draw on ``CPUS``."""
_DISKS = {"pd-standard": "DISKS_TOTAL_GB", "pd-balanced": "SSD_TOTAL_GB", "pd-ssd": "SSD_TOTAL_GB"}
_GONE = frozenset({"ERROR", "STOPPING"})


@dataclass(slots=True)
class Demand:
    """What is still to be had, by metric."""

    regional: dict[str, Counter[str]] = field(default_factory=dict)
    """By region."""
    everywhere: Counter[str] = field(default_factory=Counter)
    families: dict[tuple[str, str], int] = field(default_factory=dict)
    """GPUs under ``GPUS_PER_GPU_FAMILY``, by region and family."""
    local_ssd: Counter[tuple[str, str]] = field(default_factory=Counter)
    """GB under ``LOCAL_SSD_TOTAL_GB_PER_VM_FAMILY``, by region and machine family."""


def gpu_metric(accelerator: str, provisioning: Provisioning) -> str | None:
    """The quota that a GPU draws on, such as ``PREEMPTIBLE_NVIDIA_H100_GPUS``.

    ``None`` for an unknown GPU, and for a reservation, whose machines the quota has counted already.
    """
    if accelerator not in _METRICS or provisioning is Provisioning.RESERVATION:
        return None
    if provisioning is Provisioning.ON_DEMAND:
        return FAMILY if accelerator in _FAMILIES else _METRICS[accelerator]
    return f"PREEMPTIBLE_{_METRICS[accelerator]}"


def family_of(accelerator: str) -> str | None:
    """GPU family of a GPU as Cloud Quotas names it; ``None`` for one that has a quota of its own."""
    return _FAMILIES.get(accelerator)


def of_spec(spec: GatewaySpec, clusters: Iterable[Json]) -> Demand:
    """What the specification still needs beside the clusters that exist."""
    there = {(one.get("location"), one.get("name")): one for one in clusters}
    demand = Demand()
    for cluster in spec.clusters:
        counts = demand.regional.setdefault(cluster.region, Counter())
        seen = there.get((cluster.region, cluster.name))
        if seen is None:
            _add_default_pool(cluster, counts, demand.everywhere)
        if cluster.gpu_pool is not None:
            _add_gpu_pool(cluster.region, cluster.gpu_pool, missing(cluster, seen), demand)
    return demand


def missing(cluster: ClusterSpec, seen: Mapping[str, object] | None) -> int:
    """Nodes of the GPU pool that do not exist yet."""
    pool = cluster.serving_pool
    wanted = pool.nodes * len(pool.zones)
    pools: Iterable[Json] = () if seen is None else seen.get("nodePools") or ()  # type: ignore[assignment]
    for one in pools:
        if one.get("name") == pool.name and one.get("status") not in _GONE:
            return max(0, wanted - int(one.get("initialNodeCount", 0)) * len(one.get("locations", ())))
    return wanted


def _add_default_pool(cluster: ClusterSpec, counts: Counter[str], everywhere: Counter[str]) -> None:
    pool = cluster.default_pool
    nodes = pool.nodes_per_zone * catalog.ZONES_PER_REGION
    if cpus := vcpus(pool.machine_type):
        series = pool.machine_type.partition("-")[0]
        counts[f"{series.upper()}_CPUS" if series in _OWN_CPUS else "CPUS"] += nodes * cpus
        everywhere["CPUS_ALL_REGIONS"] += nodes * cpus
    if disk := _DISKS.get(pool.disk_type):
        counts[disk] += nodes * BOOT_DISK_GB
    _add_nodes(nodes, catalog.ZONES_PER_REGION, counts)


def _add_gpu_pool(region: str, pool: GpuPool, nodes: int, demand: Demand) -> None:
    counts = demand.regional[region]
    metric = gpu_metric(pool.accelerator, pool.provisioning)
    gpus = nodes * pool.accelerators_per_node
    family = family_of(pool.accelerator)
    if metric == FAMILY and family is not None:
        demand.families[region, family] = demand.families.get((region, family), 0) + gpus
    elif metric is not None:
        counts[metric] += gpus
    if nodes == 0 or pool.provisioning is Provisioning.RESERVATION:
        return
    demand.everywhere["GPUS_ALL_REGIONS"] += gpus
    shape = catalog.shapes().get(pool.machine_type)
    if shape is not None:
        demand.everywhere["CPUS_ALL_REGIONS"] += nodes * shape.vcpus
        if shape.local_ssd_gb and pool.provisioning is Provisioning.ON_DEMAND:
            machines = pool.machine_type.partition("-")[0].upper()
            demand.local_ssd[region, machines] += nodes * shape.local_ssd_gb
        elif shape.local_ssd_gb:
            counts["PREEMPTIBLE_LOCAL_SSD_GB"] += nodes * shape.local_ssd_gb
    counts["SSD_TOTAL_GB"] += nodes * BOOT_DISK_GB
    _add_nodes(nodes, len(pool.zones), counts)


def _add_nodes(nodes: int, zones: int, counts: Counter[str]) -> None:
    counts["INSTANCES"] += nodes
    counts["IN_USE_ADDRESSES"] += nodes
    counts["INSTANCE_GROUP_MANAGERS"] += zones


def vcpus(machine_type: str) -> int | None:
    """Virtual CPUs of a machine type, which its name ends with; ``None`` where it does not."""
    found = re.fullmatch(r"[a-z]\w*-(?:standard|highmem|highcpu)-(\d+)(?:-\w+)?", machine_type)
    return None if found is None else int(found[1])
