"""What a GCPBackendPolicy means for one endpoint: its balancing mode, its limits, and where its metrics are read.

Scopes are tried in order and the first that selects the endpoint counts; a field of `default` holds where the scope
says nothing. A custom metric is one that an AutoscalingMetric of the endpoint's own cluster exports from it; without
such an object there is no data for it. Invariant: made from the applied objects and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator

from backend.emulator import faults
from backend.emulator.google.geography import region_of
from backend.emulator.kube.controllers.loadbalancer import DEFAULT_CAPACITY_PERCENT, DEFAULT_UTILIZATION_PERCENT
from backend.emulator.kube.controllers.objects import deleting, name_of, namespace_of
from backend.emulator.kube.controllers.seams import Cluster, Object, World
from backend.emulator.kube.selectors import matches
from backend.emulator.serving.balance import Gauge, Terms

METRICS = "autoscaling.gke.io/autoscalingmetrics"
NAMED = "gke.named_metrics."
"""What a backend metric's name starts with when an AutoscalingMetric exports it."""
UNLIMITED_RATE = 100_000_000
DEFAULT_PATH = "/metrics"


def terms(world: World, cluster: Cluster, pod: Object, policy: Object) -> Terms:
    """What a policy's `spec.default` says of a Pod."""
    said = scoped(policy, labels(cluster, pod))
    mode = said.get("balancingMode", "RATE")
    gauges = tuple(
        gauge
        for metric in said.get("customMetrics", ())
        if mode == "CUSTOM_METRICS" and not metric.get("dryRun", False)
        for gauge in gauges_of(world, cluster, pod, metric)
    )
    rate = said.get("maxRatePerEndpoint", UNLIMITED_RATE)
    return Terms(
        mode=mode,
        gauges=gauges,
        max_in_flight=said.get("maxInFlightRequestsPerEndpoint"),
        max_rate=None if rate >= UNLIMITED_RATE else rate,
        scaler=said.get("capacityScalerPercent", DEFAULT_CAPACITY_PERCENT) / 100,
        preferred=said.get("backendPreference") == "PREFERRED",
    )


def scoped(policy: Object, where: dict[str, str]) -> Object:
    """The fields that hold for an endpoint with these labels."""
    for scope in policy.get("scopes", ()):
        if all(where.get(name) == value for name, value in scope.get("selector", {}).items()):
            return {**policy, **scope}
    return policy


def labels(cluster: Cluster, pod: Object) -> dict[str, str]:
    """What a scope's selector may ask of an endpoint."""
    location, _, name = cluster.key.partition("/")
    node = cluster.store.get("/nodes", None, pod["spec"].get("nodeName", "")) or {}
    zone = node.get("metadata", {}).get("labels", {}).get("topology.kubernetes.io/zone", "")
    return {"gke.io/cluster-name": name, "gke.io/region": region_of(location), "gke.io/zone": zone}


def gauges_of(world: World, cluster: Cluster, pod: Object, metric: Object) -> Iterator[Gauge]:
    """Where a policy's metric is read on a Pod; nothing when no AutoscalingMetric exports it from there."""
    target = metric.get("maxUtilizationPercent", DEFAULT_UTILIZATION_PERCENT) / 100
    hidden = faults.unreported(world, cluster.key.partition("/")[0])
    for port, path, series, exported in exports(cluster, pod):
        if metric["name"] == NAMED + exported and not series.startswith(hidden):
            address = world.kubelet.address(cluster.key, namespace_of(pod), name_of(pod), port)
            if address is not None:
                yield Gauge(address[1], path, series, target)


def exports(cluster: Cluster, pod: Object) -> Iterator[tuple[int, str, str, str]]:
    """(port, path, series, exported name) of every metric that is exported from a Pod, of either form of the kind."""
    own = pod["metadata"].get("labels", {})
    for found in cluster.store.list(METRICS, namespace_of(pod)):
        if deleting(found):
            continue
        spec = found["spec"]
        if matches(spec.get("selector", {}), own):
            for endpoint in spec.get("endpoints", ()):
                for each in endpoint["metrics"]:
                    yield endpoint["port"], _path(endpoint), each["name"], each.get("exportName", each["name"])
        for each in spec.get("metrics", ()):
            source = each.get("pod")
            if source is None or not matches(source["selector"], own):
                continue
            for container in source["containers"]:
                endpoint = container.get("endpoint", {})
                for one in container["metrics"]:
                    gauge = one["gauge"]
                    series = gauge.get("prometheusMetricName", gauge["name"])
                    yield endpoint.get("port", 0), _path(endpoint), series, gauge["name"]


def _path(endpoint: Object) -> str:
    path: str = endpoint.get("path", DEFAULT_PATH)
    return path
