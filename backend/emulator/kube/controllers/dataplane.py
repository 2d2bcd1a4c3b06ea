"""The picture that the gateway's proxy is given: every programmed address with the Pods that can answer there.

Made from the applied objects and nothing else. Invariant: a Pod is a backend only while it is ready, its pool is
exported, and the pool's endpoint picker is there (or its failureMode is FailOpen).
"""

from __future__ import annotations

from dataclasses import replace

from backend.emulator.google.geography import region_of
from backend.emulator.kube.controllers import compute
from backend.emulator.kube.controllers.exports import endpoints, exporters, ports
from backend.emulator.kube.controllers.loadbalancer import DEFAULT_TIMEOUT_S
from backend.emulator.kube.controllers.matching import shares
from backend.emulator.kube.controllers.objects import deleting, is_true, name_of, namespace_of, path_of
from backend.emulator.kube.controllers.policies import BACKEND, HEALTH, in_force
from backend.emulator.kube.controllers.routes import GATEWAYS, attached, imports
from backend.emulator.kube.controllers.seams import Cluster, Object, Store, World
from backend.emulator.kube.controllers.terms import terms
from backend.emulator.kube.controllers.turn import Turn
from backend.emulator.kube.selectors import matches
from backend.emulator.serving.envoy_routes import Share
from backend.emulator.serving.frontends import Backend, Check, Frontend

NOBODY = Frontend("", "", "", 80, float(DEFAULT_TIMEOUT_S), None, (), shares=())
"""What is behind an address without routes."""
DEFAULT_CHECK_S, DEFAULT_THRESHOLD = 5, 2
"""Seconds between two health checks, also their timeout, and answers in a row that count, without a policy's word."""
OBJECTIVES = "inference.networking.x-k8s.io/inferenceobjectives"


def picked(store: Store, pool: Object) -> bool:
    """Whether requests get past the pool's endpoint picker: a Pod of its Service is ready, or it fails open."""
    reference = pool["spec"]["endpointPickerRef"]
    if reference.get("failureMode", "FailClose") == "FailOpen":
        return True
    service = store.get("/services", namespace_of(pool), reference["name"])
    selector = (service or {}).get("spec", {}).get("selector")
    return bool(selector) and any(
        is_true(pod, "Ready") and matches({"matchLabels": selector}, pod["metadata"].get("labels", {}))
        for pod in store.list("/pods", namespace_of(pool))
    )


def backends(world: World, config: Cluster, imported: Object, check_port: int | None) -> list[Backend]:
    """The ready endpoints behind an import, cluster by cluster, that listen on `check_port` too if one is given."""
    found = []
    policy = in_force(config.store, BACKEND, namespace_of(imported), name_of(imported)) or {}
    for key, (cluster, pool) in sorted(exporters(world, namespace_of(imported), name_of(imported)).items()):
        if not picked(cluster.store, pool):
            continue
        for pod in endpoints(cluster.store, pool):
            for port in ports(pool):
                address = world.kubelet.address(key, namespace_of(pod), name_of(pod), port)
                checked = world.kubelet.address(key, namespace_of(pod), name_of(pod), check_port or port)
                if address is not None and checked is not None:
                    host, loopback = address
                    region = region_of(key.partition("/")[0])
                    found.append(Backend(key, region, host, loopback, name_of(pod), terms(world, cluster, pod, policy)))
    return found


def objectives(world: World, imported: Object) -> list[tuple[str, str, int]]:
    """(cluster, name, priority) of the InferenceObjectives that refer to the pools behind an import."""
    namespace, name = namespace_of(imported), name_of(imported)
    return [
        (key, name_of(objective), objective["spec"].get("priority", 0))
        for key, (cluster, _) in sorted(exporters(world, namespace, name).items())
        for objective in cluster.store.list(OBJECTIVES, namespace)
        if objective["spec"]["poolRef"]["name"] == name and not deleting(objective)
    ]


def regional_addresses(world: World, config: Cluster, gateway: Object) -> dict[str, str]:
    """Region -> address of a programmed Gateway, as its forwarding rules say."""
    owner = compute.description(world, config.key, "gateways", gateway)
    rules = [each for each in world.tables.get("forwardingRules", {}).values() if each["description"] == owner]
    return {each["subnetwork"].partition("/regions/")[2].partition("/")[0]: each["IPAddress"] for each in rules}


def check(policy: Object) -> Check:
    """How a HealthCheckPolicy, or its absence, lets endpoints be checked (cloud.google.com's defaults)."""
    return Check(
        interval_s=float(policy.get("checkIntervalSec", DEFAULT_CHECK_S)),
        timeout_s=float(policy.get("timeoutSec", DEFAULT_CHECK_S)),
        healthy=int(policy.get("healthyThreshold", DEFAULT_THRESHOLD)),
        unhealthy=int(policy.get("unhealthyThreshold", DEFAULT_THRESHOLD)),
    )


def timeout_s(store: Store, imported: Object) -> float:
    """The backend timeout that applies to an import, in seconds."""
    policy = in_force(store, BACKEND, namespace_of(imported), name_of(imported)) or {}
    return float(policy.get("timeoutSec", DEFAULT_TIMEOUT_S))


def frontends(world: World, config: Cluster, gateway: Object) -> list[Frontend]:
    """The Gateway's addresses and ports and what answers there: a frontend for each import that a route sends to."""
    store = config.store
    addresses = sorted(regional_addresses(world, config, gateway).items())
    found = []
    for listener in gateway["spec"]["listeners"]:
        routes = attached(store, gateway, listener["name"])
        targets = {path_of(each): each for route in routes for each in imports(store, route)}
        wanted = shares(routes, listener)
        services = [serving(world, config, each, tuple(wanted[path])) for path, each in sorted(targets.items())]
        found += [
            replace(
                service,
                gateway=name_of(gateway),
                namespace=namespace_of(gateway),
                region=region,
                vip=vip,
                port=listener["port"],
            )
            for region, vip in addresses
            for service in services or [NOBODY]
        ]
    return found


def serving(world: World, config: Cluster, imported: Object, taken: tuple[Share, ...]) -> Frontend:
    """The backend service of an import, and the requests that it takes; without a place yet."""
    policy = in_force(config.store, HEALTH, namespace_of(imported), name_of(imported)) or {}
    http = policy.get("config", {}).get("httpHealthCheck", {})
    return replace(
        NOBODY,
        timeout_s=timeout_s(config.store, imported),
        health_path=http.get("requestPath"),
        backends=tuple(backends(world, config, imported, http.get("port"))),
        objectives=tuple(sorted(objectives(world, imported))),
        check=check(policy),
        service=path_of(imported),
        shares=taken,
    )


async def reconcile(turn: Turn) -> None:
    """Give the proxy the picture of every programmed Gateway."""
    world = turn.world
    picture = [
        frontend
        for _, config in sorted(world.kube.items())
        for gateway in config.store.list(GATEWAYS)
        if is_true(gateway, "Programmed") and not deleting(gateway)
        for frontend in frontends(world, config, gateway)
    ]
    await world.gateway.apply(picture)
