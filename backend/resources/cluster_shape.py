"""What a cluster is asked to be, and where an existing one falls short.

Invariants: pure; a new cluster's body is what gcloud sends for the same wish, with the departures that the row lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from backend import catalog
from backend.clients.google import Json
from backend.engine.resource import Change
from backend.resources import marks, versions
from backend.resources.gke import POOL_DEFAULTS, dig, node_config
from backend.spec import ClusterSpec, GatewaySpec, Provisioning

GATEWAY_API = "networkConfig.gatewayApiConfig.channel"
HPA_PROFILE = "podAutoscaling.hpaProfile"
MONITORING = "monitoringConfig.componentConfig.enableComponents"
PROMETHEUS = "monitoringConfig.managedPrometheusConfig.enabled"
WORKLOAD_POOL = "workloadIdentityConfig.workloadPool"
VERSION = "currentMasterVersion"
NETWORK = "network"
COMPONENTS = ("SYSTEM_COMPONENTS", "DCGM")


def body(spec: GatewaySpec, cluster: ClusterSpec, *, project: str, version: str) -> Json:
    """The cluster as Kubernetes Engine is asked for it."""
    pool = cluster.default_pool
    wanted: Json = {
        "name": cluster.name,
        "initialClusterVersion": version,
        "releaseChannel": {"channel": spec.versions.channel.upper()},
        "networkConfig": {"gatewayApiConfig": {"channel": "CHANNEL_STANDARD"}},
        "podAutoscaling": {"hpaProfile": "PERFORMANCE"},
        "monitoringConfig": {
            "componentConfig": {"enableComponents": list(COMPONENTS)},
            "managedPrometheusConfig": {"enabled": True},
        },
        "workloadIdentityConfig": {"workloadPool": f"{project}.svc.id.goog"},
        "resourceLabels": marks.labels(spec),
        "nodePools": [
            {
                "name": marks.DEFAULT_POOL,
                "initialNodeCount": pool.nodes_per_zone,
                **POOL_DEFAULTS,
                "config": {
                    "machineType": pool.machine_type,
                    "diskType": pool.disk_type,
                    "resourceLabels": marks.labels(spec),
                    **node_config(spec, project),
                },
            }
        ],
    }
    if spec.network.vpc != "default" or spec.network.subnetwork is not None:
        wanted["network"] = spec.network.vpc
    if spec.network.subnetwork is not None:
        wanted["subnetwork"] = spec.network.subnetwork
    return wanted


def differences(spec: GatewaySpec, cluster: Json, *, project: str) -> Iterator[Change]:
    """What an existing cluster lacks, in the order in which it is changed."""
    if cluster.get("network", "default") != spec.network.vpc:
        yield Change(NETWORK, cluster.get("network"), spec.network.vpc)
    version = cluster.get(VERSION, "")
    if version and not versions.satisfies(version, spec.versions.gke):
        yield Change(VERSION, version, spec.versions.gke)
    wanted = {
        WORKLOAD_POOL: f"{project}.svc.id.goog",
        GATEWAY_API: "CHANNEL_STANDARD",
        HPA_PROFILE: "PERFORMANCE",
        PROMETHEUS: True,
    }
    for path, value in wanted.items():
        if dig(cluster, path) != value:
            yield Change(path, dig(cluster, path), value)
    components = dig(cluster, MONITORING) or []
    if not set(COMPONENTS) <= set(components):
        yield Change(MONITORING, components, [*components, *(one for one in COMPONENTS if one not in components)])


def update(change: Change, cluster: Json) -> Json:
    """The ``ClusterUpdate`` that makes one change; ``KeyError`` for what cannot be changed in place.

    Monitoring goes in as a whole, as the cluster has it but for the change: what is left out may be turned off.
    """
    if change.field in {PROMETHEUS, MONITORING}:
        seen = dig(cluster, "monitoringConfig") or {}
        parts = {name: seen[name] for name in ("componentConfig", "managedPrometheusConfig") if name in seen}
        _, part, field = change.field.split(".")
        return {"desiredMonitoringConfig": parts | {part: parts.get(part, {}) | {field: change.after}}}
    others: Mapping[str, Json] = {
        WORKLOAD_POOL: {"desiredWorkloadIdentityConfig": {"workloadPool": change.after}},
        GATEWAY_API: {"desiredGatewayApiConfig": {"channel": change.after}},
        HPA_PROFILE: {"desiredPodAutoscaling": {"hpaProfile": change.after}},
    }
    return others[change.field]


def usd_per_hour(cluster: Json) -> float:
    """Estimated running cost of a cluster as it is: Google's fee and the machines that its pools were made with."""
    region = "-".join(str(cluster.get("location", "")).split("-")[:2])
    total = catalog.cluster_fee()
    for pool in cluster.get("nodePools", ()):
        kind = Provisioning.SPOT if dig(pool, "config.spot") else Provisioning.ON_DEMAND
        machine = catalog.price(dig(pool, "config.machineType") or "", region, kind) or 0.0
        total += machine * int(pool.get("initialNodeCount", 0)) * len(pool.get("locations", ()))
    return total
