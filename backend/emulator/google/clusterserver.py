"""From a cluster row to its running Kubernetes API server."""

from __future__ import annotations

import base64
from functools import partial
from typing import TYPE_CHECKING, Any

from backend.emulator import faults
from backend.emulator.google import access
from backend.emulator.world import World

if TYPE_CHECKING:
    from backend.emulator.kube.managed import ClusterFeatures

Json = dict[str, Any]


def features(row: Json) -> ClusterFeatures:
    """Which of GKE's own kinds a cluster has."""
    from backend.emulator.kube.managed import ClusterFeatures

    return ClusterFeatures(
        gateway_api=row["networkConfig"]["gatewayApiConfig"].get("channel") == "CHANNEL_STANDARD",
        managed_prometheus=bool(row["monitoringConfig"].get("managedPrometheusConfig", {}).get("enabled")),
        hpa_performance=row["podAutoscaling"].get("hpaProfile") == "PERFORMANCE",
    )


async def open_cluster(world: World, row: Json, *, port: int = 0, state: Json | None = None) -> None:
    """Start the Kubernetes API server of a cluster, on its old port when that is free, and say so in the row."""
    from backend.emulator.kube.cluster import KubeCluster

    key = f"{row['location']}/{row['name']}"
    cluster = KubeCluster(
        world,
        key=key,
        version=row["currentMasterVersion"],
        features=features(row),
        ca=world.authority,
        allows=partial(access.allowed, world),
        unreported=partial(faults.unreported, world, row["location"]),
        down=partial(faults.down, world, row["location"]),
    )
    if state is not None:
        cluster.load(state)
    try:
        await cluster.start(port)
    except OSError:
        if not port:
            raise
        await cluster.start(0)
    world.kube[key] = cluster
    row["endpoint"] = cluster.endpoint
    row["masterAuth"]["clusterCaCertificate"] = base64.b64encode(cluster.ca_pem).decode()
    row["controlPlaneEndpointsConfig"]["ipEndpointsConfig"]["publicEndpoint"] = cluster.endpoint
