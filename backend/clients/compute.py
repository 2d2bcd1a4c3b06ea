"""Networks, subnetworks and the parts of load balancers (Compute Engine).

Invariant: only the ``*_unary`` calls are used and operations are read by a client of our own, because the SDK's
``insert(...).result()`` forgets the endpoint and would ask the real cloud about an emulated operation.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from backend.clients.google import Google, Json, Service
from backend.errors import NotFound

_MODULE = "google.cloud.compute_v1"
SUBNETWORKS = Service(_MODULE, "SubnetworksClient", "compute")
REGION_OPERATIONS = Service(_MODULE, "RegionOperationsClient", "compute")
GLOBAL_FORWARDING_RULES = Service(_MODULE, "GlobalForwardingRulesClient", "compute")
NETWORKS = Service(_MODULE, "NetworksClient", "compute")
BACKEND_SERVICES = Service(_MODULE, "BackendServicesClient", "compute")
TARGET_PROXIES = Service(_MODULE, "TargetHttpProxiesClient", "compute")
URL_MAPS = Service(_MODULE, "UrlMapsClient", "compute")
ENDPOINT_GROUPS = Service(_MODULE, "NetworkEndpointGroupsClient", "compute")


class Compute:
    """The project's networks and load balancers."""

    def __init__(self, google: Google) -> None:
        self._google = google

    def network_url(self, network: str) -> str:
        """Full URL of a VPC network of the project, as Compute Engine wants it in bodies."""
        return f"https://www.googleapis.com/compute/v1/projects/{self._google.project}/global/networks/{network}"

    async def network(self, name: str) -> Json | None:
        """One VPC network; ``None`` when absent."""
        try:
            return await self._google.call(
                NETWORKS,
                "get",
                "GetNetworkRequest",
                {"project": self._google.project, "network": name},
                doing=f"reading VPC network {name}",
            )
        except NotFound:
            return None

    async def subnetworks(self, network: str) -> list[Json]:
        """All subnetworks of a VPC network in all regions; those who ask at the same time share one request."""
        suffix = f"/projects/{self._google.project}/global/networks/{network}"
        found = await self._google.shared("compute.subnetworks", self._all_subnetworks)
        return [subnetwork for subnetwork in found if subnetwork.get("network", "").endswith(suffix)]

    async def _all_subnetworks(self) -> list[Json]:
        def of_a_region(scope: Any) -> Iterable[Any]:
            _, scoped = scope
            return list(scoped.subnetworks)

        return await self._google.list(
            SUBNETWORKS,
            "aggregated_list",
            "AggregatedListSubnetworksRequest",
            {"project": self._google.project, "maxResults": 500},
            doing="listing subnetworks",
            pick=of_a_region,
        )

    async def subnetwork(self, region: str, name: str) -> Json | None:
        """One subnetwork; ``None`` when absent."""
        try:
            return await self._google.call(
                SUBNETWORKS,
                "get",
                "GetSubnetworkRequest",
                {"project": self._google.project, "region": region, "subnetwork": name},
                doing=f"reading subnetwork {name} in {region}",
            )
        except NotFound:
            return None

    async def create_subnetwork(self, region: str, body: Json) -> Json:
        """Ask for a subnetwork and give the operation; raises ``AlreadyExists``."""
        return await self._google.call(
            SUBNETWORKS,
            "insert_unary",
            "InsertSubnetworkRequest",
            {"project": self._google.project, "region": region, "subnetworkResource": body},
            doing=f"creating subnetwork {body['name']} in {region}",
            repeat=False,
        )

    async def delete_subnetwork(self, region: str, name: str) -> Json:
        """Ask for a subnetwork's deletion and give the operation; raises ``NotFound``, or ``Busy`` while it is used."""
        return await self._google.call(
            SUBNETWORKS,
            "delete_unary",
            "DeleteSubnetworkRequest",
            {"project": self._google.project, "region": region, "subnetwork": name},
            doing=f"deleting subnetwork {name} in {region}",
        )

    async def operation(self, region: str, name: str) -> Json:
        """State of a regional operation: ``status`` and, when it failed, ``error.errors``."""
        return await self._google.call(
            REGION_OPERATIONS,
            "get",
            "GetRegionOperationRequest",
            {"project": self._google.project, "region": region, "operation": name},
            doing=f"asking for operation {name}",
        )

    async def list_global_forwarding_rules(self) -> list[Json]:
        """All global forwarding rules; those of a cross-region load balancer have a subnetwork in each region.

        Those who ask at the same time share one request.
        """

        async def read() -> list[Json]:
            return await self._global(GLOBAL_FORWARDING_RULES, "ListGlobalForwardingRulesRequest", "forwarding rules")

        return await self._google.shared("compute.globalForwardingRules", read)

    async def target_proxies(self) -> list[Json]:
        """All global HTTP proxies."""
        return await self._global(TARGET_PROXIES, "ListTargetHttpProxiesRequest", "target proxies")

    async def url_maps(self) -> list[Json]:
        """All global URL maps."""
        return await self._global(URL_MAPS, "ListUrlMapsRequest", "URL maps")

    async def backend_services(self) -> list[Json]:
        """All global backend services."""
        return await self._global(BACKEND_SERVICES, "ListBackendServicesRequest", "backend services")

    async def endpoint_groups(self) -> list[Json]:
        """The network endpoint groups of all zones."""

        def of_a_zone(scope: Any) -> Iterable[Any]:
            return list(scope[1].network_endpoint_groups)

        return await self._google.list(
            ENDPOINT_GROUPS,
            "aggregated_list",
            "AggregatedListNetworkEndpointGroupsRequest",
            {"project": self._google.project, "maxResults": 500},
            doing="listing network endpoint groups",
            pick=of_a_zone,
        )

    async def _global(self, service: Service, request: str, what: str) -> list[Json]:
        body = {"project": self._google.project, "maxResults": 500}
        return await self._google.list(service, "list", request, body, doing=f"listing {what}")
