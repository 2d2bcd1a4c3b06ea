"""What contradicts itself between the fields of a specification, each at its field; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv4Network

from backend.errors import Problem
from backend.spec.clusters import Provisioning
from backend.spec.gateway_spec import GatewaySpec, Target
from backend.spec.traffic import BalancingMode


def problems(spec: GatewaySpec) -> list[Problem]:
    """List what is wrong between the fields of a spec; empty when it can be carried out."""
    return [*_cluster_problems(spec), *_pool_problems(spec), *_traffic_problems(spec)]


def _cluster_problems(spec: GatewaySpec) -> Iterator[Problem]:
    if len(spec.targets) < 2:
        kind = "clusters" if len(spec.targets) == len(spec.clusters) else "clusters with a gpu_pool"
        yield Problem("clusters", f"a multi-cluster gateway needs two or more {kind}, got {len(spec.targets)}")
    for index, cluster in enumerate(spec.clusters):
        earlier = spec.clusters[:index]
        if cluster.name in {other.name for other in earlier}:
            yield Problem(f"clusters[{index}].name", f"{cluster.name} is taken by another cluster; names must differ")
        if cluster.is_target and cluster.region in {other.region for other in earlier if other.is_target}:
            yield Problem(
                f"clusters[{index}].region",
                f"{cluster.region} is taken by another cluster; each cluster needs a region of its own",
            )
        if not cluster.is_target and cluster.name != spec.config_cluster:
            yield Problem(
                f"clusters[{index}].gpu_pool", "only the config cluster may be without: the others serve the model"
            )
    names = [cluster.name for cluster in spec.clusters]
    if names and spec.config_cluster not in names:
        yield Problem("config_cluster", f"{spec.config_cluster} is none of the clusters: {', '.join(names)}")
    ranges = [
        (index, cluster.proxy_subnet)
        for index, cluster in enumerate(spec.clusters)
        if isinstance(cluster.proxy_subnet, IPv4Network)
    ]
    for position, (index, network) in enumerate(ranges):
        for other, taken in ranges[:position]:
            if network.overlaps(taken):
                yield Problem(f"clusters[{index}].proxy_subnet", f"{network} overlaps {taken} of clusters[{other}]")


def _pool_problems(spec: GatewaySpec) -> Iterator[Problem]:
    for index, cluster in enumerate(spec.clusters):
        pool, place = cluster.gpu_pool, f"clusters[{index}].gpu_pool"
        if pool is None:
            continue
        for position, zone in enumerate(pool.zones):
            if not zone.startswith(f"{cluster.region}-"):
                yield Problem(
                    f"{place}.zones[{position}]",
                    f"{zone} is not a zone of {cluster.region}, such as {cluster.region}-a",
                )
        if len(set(pool.zones)) != len(pool.zones):
            yield Problem(f"{place}.zones", "a zone is named twice")
        if (pool.provisioning is Provisioning.RESERVATION) != (pool.reservation is not None):
            yield Problem(
                f"{place}.reservation", "name the reservation with `provisioning: reservation`, and only then"
            )
        if pool.name == "default-pool":
            yield Problem(f"{place}.name", "default-pool is the cluster's own pool; take another name")
        if spec.model.replicas != "auto" and spec.model.replicas > pool.gpus:
            yield Problem(
                "model.replicas",
                f"{spec.model.replicas} model servers need as many GPUs, but {cluster.name} has {pool.gpus}",
            )


def _traffic_problems(spec: GatewaySpec) -> Iterator[Problem]:
    mode, balancing = spec.balancing.mode, spec.balancing
    foreign = {
        BalancingMode.CUSTOM_METRICS: "max_in_flight_requests_per_endpoint",
        BalancingMode.IN_FLIGHT: "max_utilization_percent",
    }[mode]
    if getattr(balancing, foreign) is not None:
        yield Problem(
            f"balancing.{foreign}",
            f"does not go with mode {mode}: the two balancing modes exclude each other; remove it",
        )
    if spec.pool.port != spec.health_check.port:
        yield Problem("health_check.port", f"model servers listen on pool.port {spec.pool.port}; make both the same")
    adapters = Counter(adapter.name for adapter in spec.model.adapters)
    for name, count in adapters.items():
        if count > 1:
            yield Problem("model.adapters", f"the adapter name {name} is used {count} times")
    if spec.target is Target.GKE and spec.rehearsal.faults:
        yield Problem("rehearsal.faults", "faults can only be played on the emulator; set target: emulator")
