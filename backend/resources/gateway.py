"""The rows ``gateway``, ``health-policy`` and ``backend-policy``: the load balancer, steered from the config cluster.

Invariants: which address belongs to which region is looked up in the load balancer's forwarding rules and never taken
from an order; a gateway counts as deleted once the parts of its load balancer are gone, because subnets, networks and
endpoint groups stay in use until then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from backend import catalog
from backend.clients.kinds import GATEWAY, HEALTH_CHECK_POLICY, HTTP_ROUTE
from backend.engine.resource import About, Departure, Note
from backend.errors import PermissionDenied
from backend.resources import leftovers, manifests
from backend.resources.conditions import generation, lacking
from backend.resources.drained import BackendPolicyRow, policy_key
from backend.resources.keys import Key, kubectl
from backend.resources.manifests import Object
from backend.resources.objects import KubeObjects, Seen
from backend.spec import BalancingMode, GatewaySpec

if TYPE_CHECKING:
    from backend.clients import Clients
    from backend.clients.compute import Compute

GATEWAY_TIMEOUT_S = 1800.0
PARTS_TIMEOUT_S = 1800.0
PARTS: Mapping[str, tuple[str, Callable[[Compute], Awaitable[list[Object]]]]] = {
    "networking.gke.io/forwarding-rules": ("forwarding rules", lambda compute: compute.list_global_forwarding_rules()),
    "networking.gke.io/target-http-proxies": ("target proxies", lambda compute: compute.target_proxies()),
    "networking.gke.io/url-maps": ("URL maps", lambda compute: compute.url_maps()),
    "networking.gke.io/backend-services": ("backend services", lambda compute: compute.backend_services()),
}
"""Annotations in which GKE notes the parts of a Gateway's load balancer, what they are, and how to list them."""
GATEWAY_CONDITIONS = ("Accepted", "Programmed", "networking.gke.io/GatewayHealthy")
ROUTE_CONDITIONS = ("Accepted", "ResolvedRefs", "Reconciled")


def addresses_of(gateway: Mapping[str, Any]) -> list[str]:
    """The addresses that a Gateway has been given."""
    status = gateway.get("status") or {}
    return [address["value"] for address in status.get("addresses") or () if address.get("value")]


def parts_of(gateway: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """Names of the load balancer's parts that GKE notes on a Gateway, by annotation."""
    annotations = gateway["metadata"].get("annotations") or {}
    noted = {annotation: str(annotations.get(annotation) or "") for annotation in PARTS}
    return {
        annotation: frozenset(url.strip().rpartition("/")[2] for url in urls.split(",") if url.strip())
        for annotation, urls in noted.items()
    }


def regions_of(rules: Iterable[Mapping[str, Any]], addresses: list[str]) -> dict[str, str]:
    """Region of each address, by the subnetwork of the forwarding rule that has it."""
    found = {}
    for rule in rules:
        parts = str(rule.get("subnetwork", "")).split("/")
        if rule.get("IPAddress") in addresses and "regions" in parts:
            found[str(rule["IPAddress"])] = parts[parts.index("regions") + 1]
    return found


class GatewayRow(KubeObjects):
    """The Gateway with its HTTPRoute; facts are the region of each address."""

    outside: str = "its load balancer"

    async def observe(self) -> Seen | None:
        """Read both objects, and look up the region of each address; none where rules may not be listed."""
        seen = await super().observe()
        if seen is None or (gateway := seen.objects.get(gateway_key(self.spec))) is None:
            return seen
        addresses = addresses_of(gateway)
        if not addresses:
            return seen
        try:
            rules = await self.clients.compute.list_global_forwarding_rules()
        except PermissionDenied:
            return seen
        return Seen(seen.objects, regions_of(rules, addresses))

    def detail(self, observed: Seen) -> Mapping[str, Any]:
        """The address of each region, in the order of the clusters."""
        by_region = {region: address for address, region in observed.facts.items()}
        return {
            "addresses": [
                {"region": region, "address": by_region[region]} for region in self.spec.regions if region in by_region
            ]
        }

    async def delete(self, note: Note) -> None:
        """Delete route and Gateway; return once their parts of the load balancer are gone too."""
        seen = await super().observe()
        gateway = None if seen is None else seen.objects.get(gateway_key(self.spec))
        parts = {} if gateway is None else parts_of(gateway)
        await super().delete(note)
        watch = self.watch(note, "taking down the load balancer", PARTS_TIMEOUT_S)
        for annotation, (what, listed) in PARTS.items():
            names = parts.get(annotation)
            if names:
                await leftovers.until_gone(watch, what, partial(self._left, names, listed))

    async def _left(
        self, names: frozenset[str], listed: Callable[[Compute], Awaitable[list[Object]]]
    ) -> frozenset[str]:
        return names & {part["name"] for part in await listed(self.clients.compute)}


def gateway_key(spec: GatewaySpec) -> Key:
    """Where the Gateway stands."""
    return Key(GATEWAY, spec.pool.namespace, spec.gateway.name)


def gateway(spec: GatewaySpec, clients: Clients) -> GatewayRow:
    """The row ``gateway``."""
    needs = [f"export@{cluster.name}" for cluster in spec.targets]
    needs += [*(f"subnet/{region}" for region in spec.regions), "iam/mci-agent"]
    return GatewayRow(
        "gateway",
        spec,
        spec.config,
        clients,
        manager="mcig-gateway",
        wanted=[manifests.gateway(spec), manifests.route(spec)],
        about=About(
            title=f"Create the gateway {spec.gateway.name} with an address in each of {len(spec.regions)} regions",
            command=_apply(spec, clients, "mcig-gateway", "gateway.yaml"),
            permissions=(
                "container.thirdPartyObjects.create",
                "container.thirdPartyObjects.update",
                "compute.globalForwardingRules.list",
            ),
            departures=(
                Departure(
                    document="names no namespace for the route and the policies",
                    mcig=f"puts everything into {spec.pool.namespace}, the pool's namespace",
                    because="a policy counts only in the namespace of the import that it is for",
                ),
                Departure(
                    document="takes the first of the gateway's addresses",
                    mcig="looks up which address belongs to which region, and uses all of them",
                    because="a cross-region gateway has an address in every region, in no promised order",
                ),
            ),
            estimate_s=catalog.duration("gateway"),
        ),
        depends_on=needs,
        timeout_s=GATEWAY_TIMEOUT_S,
        lacks=lambda seen: _gateway_lacks(spec, seen),
    )


def health_policy(spec: GatewaySpec, clients: Clients) -> KubeObjects:
    """The row ``health-policy``."""
    key = Key(HEALTH_CHECK_POLICY, spec.pool.namespace, manifests.HEALTH_CHECK_POLICY_NAME)
    return KubeObjects(
        "health-policy",
        spec,
        spec.config,
        clients,
        manager="mcig-health-policy",
        wanted=[manifests.health_policy(spec)],
        about=About(
            title=f"Check the model servers' health on {spec.health_check.path}",
            command=_apply(spec, clients, "mcig-health-policy", "health-policy.yaml"),
            permissions=("container.thirdPartyObjects.create", "container.thirdPartyObjects.update"),
            estimate_s=catalog.duration("health-policy"),
        ),
        depends_on=[f"export@{cluster.name}" for cluster in spec.targets],
        lacks=lambda seen: _attached(seen.objects[key]),
    )


def backend_policy(spec: GatewaySpec, clients: Clients) -> BackendPolicyRow:
    """The row ``backend-policy``."""
    key = policy_key(spec)
    return BackendPolicyRow(
        "backend-policy",
        spec,
        spec.config,
        clients,
        manager="mcig-backend-policy",
        wanted=[manifests.backend_policy(spec)],
        about=About(
            title=f"Balance by {spec.balancing.mode} with a timeout of {spec.timeout_s} s",
            command=_apply(spec, clients, "mcig-backend-policy", "backend-policy.yaml"),
            permissions=("container.thirdPartyObjects.create", "container.thirdPartyObjects.update"),
            departures=tuple(_policy_departures(spec)),
            estimate_s=catalog.duration("backend-policy"),
        ),
        depends_on=[f"export@{cluster.name}" for cluster in spec.targets],
        lacks=lambda seen: _attached(seen.objects[key]),
    )


def _gateway_lacks(spec: GatewaySpec, seen: Seen) -> str | None:
    found = seen.objects[gateway_key(spec)]
    lack = lacking((found.get("status") or {}).get("conditions"), GATEWAY_CONDITIONS, generation(found))
    if lack is not None:
        return f"Gateway: {lack}"
    missing = [region for region in spec.regions if region not in seen.facts.values()]
    if missing:
        return f"Gateway: no forwarding rule with an address in {', '.join(missing)} yet"
    return _route_lacks(spec, seen.objects[Key(HTTP_ROUTE, spec.pool.namespace, f"{spec.pool.name}-default")])


def _route_lacks(spec: GatewaySpec, route: Object) -> str | None:
    parents = (route.get("status") or {}).get("parents") or ()
    mine = [parent for parent in parents if (parent.get("parentRef") or {}).get("name") == spec.gateway.name]
    if not mine:
        return "HTTPRoute: the gateway has not taken it up yet"
    lack = lacking(mine[0].get("conditions"), ROUTE_CONDITIONS, generation(route))
    return None if lack is None else f"HTTPRoute: {lack}"


def _attached(policy: Object) -> str | None:
    lack = lacking((policy.get("status") or {}).get("conditions"), ("Attached",), generation(policy))
    return None if lack is None else f"{policy['kind']}: {lack}"


def _policy_departures(spec: GatewaySpec) -> Iterator[Departure]:
    yield Departure(
        document="writes timeout and balancing mode into two policies of the same name",
        mcig="writes both into one",
        because="the second would reset the timeout to 30 s",
    )
    if spec.balancing.mode is BalancingMode.IN_FLIGHT:
        yield Departure(
            document="sets dryRun beside balancingMode",
            mcig="leaves it out",
            because="it is a field of customMetrics only, and a strict API server refuses it there",
        )
        return
    yield Departure(
        document="sets maxUtilization: 60",
        mcig=f"sets maxUtilizationPercent: {spec.balancing.max_utilization_percent}",
        because="there is no field maxUtilization",
    )
    if spec.model.kv_cache_export != "kv-cache":
        yield Departure(
            document="balances by gke.named_metrics.kv-cache",
            mcig=f"balances by gke.named_metrics.{spec.model.kv_cache_export}",
            because=f"{spec.model.image} reports {spec.model.kv_cache_metric}, which is exported under that name",
        )


def _apply(spec: GatewaySpec, clients: Clients, manager: str, file: str) -> str:
    return f"{kubectl(clients.project, spec.config)} apply --server-side --field-manager={manager} -f {file}"
