"""Quotas of the emulated project: the limits, and what the clusters use of them.

Limits are generous enough for the recipe's own example; the table `quotas` holds departures as `REGION/METRIC` or
`METRIC`, null for one that Compute Engine does not show. H100 and newer GPUs on demand are counted by family, as
`GPUS_PER_GPU_FAMILY/FAMILY`, and so are local SSDs on demand, `LOCAL_SSD_TOTAL_GB_PER_VM_FAMILY/FAMILY`: only the Cloud
Quotas API shows these.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from backend.emulator import faults
from backend.emulator.google import geography
from backend.emulator.google.errors import ApiError
from backend.emulator.world import World

Json = dict[str, Any]
_REGIONAL: dict[str, float] = {
    "CPUS": 1000, "C2_CPUS": 300, "C3_CPUS": 300, "N2_CPUS": 500, "N2D_CPUS": 500, "A2_CPUS": 96,
    "DISKS_TOTAL_GB": 81920, "SSD_TOTAL_GB": 40960, "IN_USE_ADDRESSES": 200, "STATIC_ADDRESSES": 70,
    "INSTANCES": 2000, "INSTANCE_GROUP_MANAGERS": 500, "PREEMPTIBLE_CPUS": 2000, "NVIDIA_A100_GPUS": 16,
    "NVIDIA_A100_80GB_GPUS": 16, "NVIDIA_L4_GPUS": 32, "PREEMPTIBLE_NVIDIA_A100_GPUS": 16,
    "PREEMPTIBLE_NVIDIA_A100_80GB_GPUS": 16, "PREEMPTIBLE_NVIDIA_H100_GPUS": 32,
    "PREEMPTIBLE_NVIDIA_H100_MEGA_GPUS": 32, "PREEMPTIBLE_NVIDIA_H200_GPUS": 16, "PREEMPTIBLE_NVIDIA_L4_GPUS": 32,
    "LOCAL_SSD_TOTAL_GB": 40960, "PREEMPTIBLE_LOCAL_SSD_GB": 40960,
}  # fmt: skip
FAMILY = "GPUS_PER_GPU_FAMILY"
"""The quota that counts GPUs of one family in a region."""
FAMILIES: dict[str, float] = {"NVIDIA_H100": 16, "NVIDIA_H100_MEGA": 16, "NVIDIA_H200": 16, "NVIDIA_B200": 0}
"""Usual limits of that quota by family."""
LOCAL_SSD = "LOCAL_SSD_TOTAL_GB_PER_VM_FAMILY"
"""The quota that counts GB of local SSD in machines of one family in a region."""
BY_FAMILY: dict[str, tuple[str, dict[str, float]]] = {
    FAMILY: ("gpu_family", FAMILIES),
    LOCAL_SSD: ("vm_family", {"A2": 12000, "A3": 40960}),
}
"""Quotas with a limit for each family: how Cloud Quotas calls the dimension, and the usual limits."""
_GLOBAL: dict[str, float] = {
    "NETWORKS": 15, "SUBNETWORKS": 275, "FIREWALLS": 200, "FORWARDING_RULES": 45, "BACKEND_SERVICES": 75,
    "HEALTH_CHECKS": 75, "TARGET_HTTP_PROXIES": 30, "URL_MAPS": 30, "CPUS_ALL_REGIONS": 4000,
    "GPUS_ALL_REGIONS": 128,
}  # fmt: skip
_GPU = {
    "nvidia-tesla-a100": "NVIDIA_A100_GPUS", "nvidia-a100-80gb": "NVIDIA_A100_80GB_GPUS",
    "nvidia-l4": "NVIDIA_L4_GPUS", "nvidia-h100-80gb": "NVIDIA_H100_GPUS",
    "nvidia-h100-mega-80gb": "NVIDIA_H100_MEGA_GPUS", "nvidia-h200-141gb": "NVIDIA_H200_GPUS",
}  # fmt: skip
_LOCAL_SSD = {"a3-highgpu": 750, "a3-megagpu": 750, "a3-ultragpu": 1500, "a2-ultragpu": 375}
"""Local SSD that comes with a machine, in GB per GPU."""


def _own(world: World) -> Json:
    """Departures from the usual limits: those of this world, and over them those that a fault lowers."""
    return world.tables["quotas"] | faults.quotas(world)


def limit(world: World, metric: str, region: str | None = None) -> float | None:
    """The limit of a metric, in a region or for the project; None for one that is not shown there."""
    key, own = f"{region}/{metric}" if region else metric, _own(world)
    if key in own:
        return None if own[key] is None else float(own[key])
    name, _, family = metric.partition("/")
    if region and name in BY_FAMILY:
        return BY_FAMILY[name][1].get(family)
    return usual_limits(regional=bool(region)).get(metric)


def usual_limits(*, regional: bool) -> dict[str, float]:
    """Limits of a world in which nothing was set, of each region or of the project."""
    return _REGIONAL if regional else _GLOBAL


def departures(world: World) -> Json:
    """Limits that are not the usual ones, by `REGION/METRIC` or `METRIC`."""
    return _own(world)


def need(pool: Json, nodes: int) -> Counter[str]:
    """What `nodes` nodes of a pool draw on, by metric."""
    config = pool["config"]
    machine = geography.MACHINES.get(config.get("machineType", "e2-medium"))
    counts: Counter[str] = Counter({"INSTANCES": nodes, "IN_USE_ADDRESSES": nodes})
    disk = "DISKS_TOTAL_GB" if config.get("diskType") == "pd-standard" else "SSD_TOTAL_GB"
    counts[disk] += nodes * int(config.get("diskSizeGb", 100))
    if machine is None:
        return counts
    short_lived = bool(config.get("spot") or config.get("preemptible") or config.get("flexStart"))
    own = f"{machine.family.upper()}_CPUS"
    counts["CPUS_ALL_REGIONS"] += nodes * machine.cpus
    if machine.accelerator is None or machine.family == "a2":
        counts["PREEMPTIBLE_CPUS" if short_lived else own if own in _REGIONAL else "CPUS"] += nodes * machine.cpus
    if machine.accelerator:
        metric, family = _GPU[machine.accelerator], _GPU[machine.accelerator].removesuffix("_GPUS")
        on_demand = f"{FAMILY}/{family}" if family in FAMILIES else metric
        counts[f"PREEMPTIBLE_{metric}" if short_lived else on_demand] += nodes * machine.accelerators
        ssd_gb = _LOCAL_SSD.get(machine.name.rpartition("-")[0], 0) * machine.accelerators
        if ssd_gb:
            on_demand = f"{LOCAL_SSD}/{machine.family.upper()}"
            counts["PREEMPTIBLE_LOCAL_SSD_GB" if short_lived else on_demand] += nodes * ssd_gb
        counts["GPUS_ALL_REGIONS"] += nodes * machine.accelerators
    return counts


def pool_nodes(pool: Json) -> int:
    """Nodes of a pool: its count is per zone."""
    return int(pool.get("initialNodeCount", 0)) * len(pool["locations"])


def usage(world: World, region: str | None = None) -> Counter[str]:
    """What the clusters use, in a region or everywhere."""
    used: Counter[str] = Counter()
    for cluster in world.tables["clusters"].values():
        if region in {None, geography.region_of(cluster["location"])}:
            for pool in cluster["nodePools"]:
                used += need(pool, pool_nodes(pool))
    return used


def _view(limits: Json, used: Counter[str]) -> list[Json]:
    shown = sorted(metric for metric in limits if limits[metric] is not None and "/" not in metric)
    return [{"metric": metric, "limit": float(limits[metric]), "usage": float(used[metric])} for metric in shown]


def of_region(world: World, region: str) -> list[Json]:
    """The quotas of a region as Compute Engine shows them."""
    prefix = f"{region}/"
    own = {key.removeprefix(prefix): value for key, value in _own(world).items() if key.startswith(prefix)}
    return _view(_REGIONAL | own, usage(world, region))


def of_project(world: World) -> list[Json]:
    """The quotas of the project as Compute Engine shows them."""
    own = {key: value for key, value in _own(world).items() if key.partition("/")[0] not in geography.REGIONS}
    used = usage(world)
    used["NETWORKS"] = 1
    used["SUBNETWORKS"] = len(geography.AUTO_SUBNETS) + len(world.tables["subnetworks"])
    return _view(_GLOBAL | own, used)


def check(world: World, region: str, wanted: Counter[str]) -> None:
    """Refuse what goes beyond a limit, as GKE does at the request; without a limit here it is left to the operation."""
    used, everywhere = usage(world, region), usage(world)
    for metric, count in sorted(wanted.items()):
        for scope, have, taken in (
            ("regional", limit(world, metric, region), used[metric]),
            ("project", limit(world, metric), everywhere[metric]),
        ):
            if have is None or taken + count <= have:
                continue
            available, resource = max(0.0, have - taken), metric.partition("/")[0]
            console = f"https://console.cloud.google.com/iam-admin/quotas?usage=USED&project={world.project}"
            message = (
                f'Insufficient {scope} quota to satisfy request: resource "{resource}": request requires '
                f"'{float(count)}' and is short '{float(count - available)}'. project has a quota of '{have}' with "
                f"'{available}' available. View and manage quotas at {console}"
            )
            raise ApiError(403, message)
