"""The Compute resources behind a cross-region internal Gateway.

One global forwarding rule for each region and port, whose `subnetwork` names the region (cross-region internal
Application Load Balancers use global rules), one address for each region, and one proxy, URL map, backend service and
health check set. Invariant: the rows depend on the objects of the cluster and on nothing else, so a second look
writes nothing.
"""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

from backend.emulator.google.geography import AUTO_SUBNETS, region_of
from backend.emulator.kube.controllers import compute
from backend.emulator.kube.controllers.exports import exporters, neg_keys
from backend.emulator.kube.controllers.matching import shares
from backend.emulator.kube.controllers.objects import digest, name_of, namespace_of, path_of
from backend.emulator.kube.controllers.policies import BACKEND, HEALTH, in_force
from backend.emulator.kube.controllers.routes import attached, imports
from backend.emulator.kube.controllers.seams import Cluster, Object, World
from backend.emulator.kube.controllers.urlmaps import url_map
from backend.emulator.serving.envoy_routes import Share

EPHEMERAL = "networking.gke.io/ephemeral-ipv4-address/"
"""Start of an address type; the region follows."""
DEFAULT_TIMEOUT_S = 30
"""A backend service's timeout without a GCPBackendPolicy."""
DEFAULT_CAPACITY_PERCENT, DEFAULT_UTILIZATION_PERCENT = 100, 80
FALLBACK_RANGE = "10.128.0.0/20"
"""Where addresses come from in a region that the emulated cloud does not know."""

Rows = dict[str, dict[str, dict[str, Any]]]


class Unsupported(ValueError):
    """The Gateway cannot be programmed as it is; says why in the controller's words."""


def regions(gateway: Object, cluster: str) -> list[str]:
    """The regions in which the Gateway wants an address, the config cluster's own without any; raises Unsupported."""
    found = []
    for address in gateway["spec"].get("addresses", ()):
        kind = address.get("type", "IPAddress")
        if not kind.startswith(EPHEMERAL):
            raise Unsupported(
                f'Error GWCER106: Gateway "{path_of(gateway)}" is invalid, err: unsupported address type "{kind}", '
                f'only "{EPHEMERAL}REGION" is supported.'
            )
        found.append(kind.removeprefix(EPHEMERAL))
    return list(dict.fromkeys(found)) or [region_of(cluster.partition("/")[0])]


def check_proxies(world: World, cluster: str, gateway: Object, wanted: list[str]) -> None:
    """Raise Unsupported unless every region has an active proxy-only subnetwork for cross-region load balancers."""
    network = compute.network_url(world, cluster)
    fitting = {"purpose": "GLOBAL_MANAGED_PROXY", "role": "ACTIVE", "state": "READY"}
    ready = {
        key.partition("/")[0]
        for key, row in world.tables.get("subnetworks", {}).items()
        if fitting.items() <= {name: row.get(name) for name in fitting}.items()
        and row.get("network", network) == network
    }
    for region in wanted:
        if region not in ready:
            proxy = compute.path(world, "targetHttpProxies", proxy_key(gateway)).removeprefix("/")
            raise Unsupported(
                "error cause: gceSync: generic::failed_precondition: Insert: Invalid value for field "
                f"'resource.target': '{proxy}'. An active proxy-only subnetwork is required in the same region and VPC "
                f"as the forwarding rule. (region {region}, purpose GLOBAL_MANAGED_PROXY)"
            )


def ordinary_subnetwork(world: World, cluster: str, region: str) -> tuple[str, str]:
    """(URL, range) of the subnetwork of a region that addresses come from."""
    network = compute.network_url(world, cluster).rpartition("/")[2]
    for key, row in sorted(world.tables.get("subnetworks", {}).items()):
        where, _, name = key.partition("/")
        same = row.get("network", network).rpartition("/")[2] == network
        if where == region and same and row.get("purpose", "PRIVATE") == "PRIVATE" and "ipCidrRange" in row:
            return compute.url(world, "subnetworks", f"{region}/{name}"), row["ipCidrRange"]
    return compute.url(world, "subnetworks", f"{region}/default"), AUTO_SUBNETS.get(region, FALLBACK_RANGE)


def rule_key(gateway: Object, region: str, port: int) -> str:
    """Key of the forwarding rule of one region and port."""
    return "global/" + compute.generated(front(gateway), path_of(gateway), region, port)


def proxy_key(gateway: Object) -> str:
    """Key of the Gateway's HTTP proxy and of its URL map."""
    return "global/" + compute.generated(front(gateway), path_of(gateway))


def front(gateway: Object) -> str:
    """The readable part of names on the Gateway's side."""
    return f"gkemcg1-{namespace_of(gateway)}-{name_of(gateway)}"


def addresses(world: World, cluster: str, gateway: Object, wanted: list[str]) -> dict[str, str]:
    """Region -> the Gateway's address there: the one it has, else one of the region's range that nobody has."""
    table = world.tables.get("addresses", {})
    found: dict[str, str] = {}
    for region in wanted:
        key = address_key(gateway, region)
        if key in table and table[key]["description"] == compute.description(world, cluster, "gateways", gateway):
            found[region] = table[key]["address"]
            continue
        _, cidr = ordinary_subnetwork(world, cluster, region)
        network = IPv4Network(cidr)
        taken = {row["address"] for row in table.values()} | set(found.values())
        first = digest(path_of(gateway), region)
        size = network.num_addresses - 4
        hosts = (str(network.network_address + 2 + (first + step) % size) for step in range(size))
        found[region] = next(host for host in hosts if host not in taken)
    return found


def address_key(gateway: Object, region: str) -> str:
    """Key of the Gateway's address in a region."""
    return f"{region}/" + compute.generated(front(gateway), path_of(gateway), region)


def backend_service(world: World, config: Cluster, imported: Object, name: str) -> dict[str, Any]:
    """The backend service of an import: one backend for each endpoint group of each exporting cluster."""
    namespace, pool_name = namespace_of(imported), name_of(imported)
    policy = in_force(config.store, BACKEND, namespace, pool_name) or {}
    mode = policy.get("balancingMode", "RATE")
    backend: dict[str, Any] = {
        "balancingMode": mode,
        "capacityScaler": policy.get("capacityScalerPercent", DEFAULT_CAPACITY_PERCENT) / 100,
    }
    if mode == "RATE":
        backend["maxRatePerEndpoint"] = policy.get("maxRatePerEndpoint", 100_000_000)
    if mode == "IN_FLIGHT" and "maxInFlightRequestsPerEndpoint" in policy:
        backend["maxInFlightRequestsPerEndpoint"] = policy["maxInFlightRequestsPerEndpoint"]
    if "trafficDuration" in policy:
        backend["trafficDuration"] = policy["trafficDuration"]
    if policy.get("customMetrics"):
        backend["customMetrics"] = [
            {
                "name": each["name"],
                "dryRun": each.get("dryRun", False),
                "maxUtilization": each.get("maxUtilizationPercent", DEFAULT_UTILIZATION_PERCENT) / 100,
            }
            for each in policy["customMetrics"]
        ]
    behind = exporters(world, namespace, pool_name).values()
    groups = [key for cluster, pool in behind for key in neg_keys(cluster, pool)]
    return {
        "backends": [{"group": compute.url(world, "networkEndpointGroups", key), **backend} for key in groups],
        "healthChecks": [compute.url(world, "healthChecks", name)],
        "loadBalancingScheme": "INTERNAL_MANAGED",
        "port": 80,
        "protocol": "HTTP",
        "sessionAffinity": "NONE",
        "timeoutSec": policy.get("timeoutSec", DEFAULT_TIMEOUT_S),
    }


def health_check(config: Cluster, imported: Object) -> dict[str, Any]:
    """The health check of an import: its HealthCheckPolicy's, else HTTP "/" on the serving port."""
    policy = in_force(config.store, HEALTH, namespace_of(imported), name_of(imported)) or {}
    http = policy.get("config", {}).get("httpHealthCheck", {})
    check = {"requestPath": http.get("requestPath", "/"), "portSpecification": "USE_SERVING_PORT"}
    if "port" in http:
        check |= {"port": http["port"], "portSpecification": "USE_FIXED_PORT"}
    return {
        "type": "HTTP",
        "httpHealthCheck": check,
        "checkIntervalSec": policy.get("checkIntervalSec", 5),
        "timeoutSec": policy.get("timeoutSec", 5),
        "healthyThreshold": policy.get("healthyThreshold", 2),
        "unhealthyThreshold": policy.get("unhealthyThreshold", 2),
    }


def rows(world: World, config: Cluster, gateway: Object, vips: dict[str, str]) -> Rows:
    """Everything that the Gateway needs in Compute."""
    store, path = config.store, path_of(gateway)
    proxy = proxy_key(gateway)
    network = compute.network_url(world, config.key)
    not_found = "global/" + compute.generated(f"gkemcg1-{namespace_of(gateway)}-gw-serve404-80", path)
    bare = {"type": "HTTP", "httpHealthCheck": {"requestPath": "/", "portSpecification": "USE_SERVING_PORT"}}
    services: dict[str, dict[str, Any]] = {
        not_found: {
            "backends": [],
            "healthChecks": [compute.url(world, "healthChecks", not_found)],
            "loadBalancingScheme": "INTERNAL_MANAGED",
            "protocol": "HTTP",
            "timeoutSec": DEFAULT_TIMEOUT_S,
        }
    }
    checks: dict[str, dict[str, Any]] = {not_found: bare}
    ports = sorted({listener["port"] for listener in gateway["spec"]["listeners"]})
    wanted: dict[str, list[Share]] = {}
    urls: dict[str, str] = {}
    for listener in gateway["spec"]["listeners"]:
        routes = attached(store, gateway, listener["name"])
        asked = shares(routes, listener)
        for imported in (each for route in routes for each in imports(store, route)):
            name = path_of(imported)
            key = "global/" + compute.generated(f"gkemcg1-{namespace_of(imported)}-{name_of(imported)}", path, name)
            services[key] = backend_service(world, config, imported, key)
            checks[key] = health_check(config, imported)
            urls[name] = compute.url(world, "backendServices", key)
            wanted.setdefault(name, []).extend(asked[name])
    default = compute.url(world, "backendServices", not_found)
    return {
        "addresses": {
            address_key(gateway, region): {
                "address": vip,
                "addressType": "INTERNAL",
                "ipVersion": "IPV4",
                "networkTier": "PREMIUM",
                "purpose": "SHARED_LOADBALANCER_VIP",
                "status": "IN_USE",
                "subnetwork": ordinary_subnetwork(world, config.key, region)[0],
            }
            for region, vip in vips.items()
        },
        "backendServices": services,
        "healthChecks": checks,
        "urlMaps": {proxy: url_map(wanted, urls, default)},
        "targetHttpProxies": {proxy: {"urlMap": compute.url(world, "urlMaps", proxy), "proxyBind": False}},
        "forwardingRules": {
            rule_key(gateway, region, port): {
                "IPAddress": vip,
                "IPProtocol": "TCP",
                "portRange": f"{port}-{port}",
                "target": compute.url(world, "targetHttpProxies", proxy),
                "loadBalancingScheme": "INTERNAL_MANAGED",
                "network": network,
                "networkTier": "PREMIUM",
                "subnetwork": ordinary_subnetwork(world, config.key, region)[0],
            }
            for region, vip in vips.items()
            for port in ports
        },
    }


ANNOTATED = {
    "addresses": "addresses",
    "backend-services": "backendServices",
    "firewalls": "firewalls",
    "forwarding-rules": "forwardingRules",
    "health-checks": "healthChecks",
    "ssl-certificates": "",
    "target-http-proxies": "targetHttpProxies",
    "target-https-proxies": "",
    "url-maps": "urlMaps",
}
"""Annotation after "networking.gke.io/" -> the collection it lists; those without one stay empty for HTTP listeners."""


def notes(world: World, wanted: Rows) -> dict[str, str]:
    """What GKE writes on the Gateway about its Compute resources: comma-separated paths with the project's number."""
    return {
        f"networking.gke.io/{name}": ", ".join(
            compute.path(world, collection, key) for key in sorted(wanted.get(collection, ()))
        )
        for name, collection in ANNOTATED.items()
    }
