"""Networks, subnetworks and the parts of load balancers (Compute Engine).

Reads go by paths, changes through Google's package, which takes 100 MB and a second or more to load.
Invariants: bodies and answers are Google's own JSON; only the package's ``*_unary`` calls are used, because its
``insert(...).result()`` forgets the endpoint and would ask the real cloud about an emulated operation.
"""

from __future__ import annotations

from backend.clients.google import Google, Json, Service
from backend.clients.paging import scoped
from backend.errors import NotFound

API = "compute"
PAGE = {"maxResults": "500"}
SUBNETWORKS = Service("google.cloud.compute_v1", "SubnetworksClient", API)


class Compute:
    """The project's networks and load balancers."""

    def __init__(self, google: Google) -> None:
        self._google = google
        self._path = f"/compute/v1/projects/{google.project}"

    def network_url(self, network: str) -> str:
        """Full URL of a VPC network of the project, as Compute Engine wants it in bodies."""
        return f"https://www.googleapis.com{self._path}/global/networks/{network}"

    async def network(self, name: str) -> Json | None:
        """One VPC network; ``None`` when absent."""
        return await self._one(f"global/networks/{name}", doing=f"reading VPC network {name}")

    async def networks(self) -> list[Json]:
        """All VPC networks."""
        return await self._global("networks", "VPC networks")

    async def all_subnetworks(self) -> list[Json]:
        """The subnetworks of all networks and regions; those who ask at the same time share one request."""
        return await self._google.shared("compute.subnetworks", self._all_subnetworks)

    async def subnetworks(self, network: str) -> list[Json]:
        """All subnetworks of a VPC network in all regions."""
        suffix = f"/projects/{self._google.project}/global/networks/{network}"
        found = await self.all_subnetworks()
        return [subnetwork for subnetwork in found if subnetwork.get("network", "").endswith(suffix)]

    async def _all_subnetworks(self) -> list[Json]:
        return scoped(await self._pages("aggregated/subnetworks", doing="listing subnetworks"), "subnetworks")

    async def subnetwork(self, region: str, name: str) -> Json | None:
        """One subnetwork; ``None`` when absent."""
        return await self._one(f"regions/{region}/subnetworks/{name}", doing=f"reading subnetwork {name} in {region}")

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
        path = f"{self._path}/regions/{region}/operations/{name}"
        return await self._google.read(API, path, doing=f"asking for operation {name}")

    async def list_global_forwarding_rules(self) -> list[Json]:
        """All global forwarding rules; those of a cross-region load balancer have a subnetwork in each region.

        Those who ask at the same time share one request.
        """

        async def read() -> list[Json]:
            return await self._global("forwardingRules", "forwarding rules")

        return await self._google.shared("compute.globalForwardingRules", read)

    async def target_proxies(self) -> list[Json]:
        """All global HTTP proxies."""
        return await self._global("targetHttpProxies", "target proxies")

    async def url_maps(self) -> list[Json]:
        """All global URL maps."""
        return await self._global("urlMaps", "URL maps")

    async def backend_services(self) -> list[Json]:
        """All global backend services."""
        return await self._global("backendServices", "backend services")

    async def endpoint_groups(self) -> list[Json]:
        """The network endpoint groups of all zones."""
        found = await self._pages("aggregated/networkEndpointGroups", doing="listing network endpoint groups")
        return scoped(found, "networkEndpointGroups")

    async def _one(self, path: str, *, doing: str) -> Json | None:
        try:
            return await self._google.read(API, f"{self._path}/{path}", doing=doing)
        except NotFound:
            return None

    async def _global(self, collection: str, what: str) -> list[Json]:
        found = await self._pages(f"global/{collection}", doing=f"listing {what}")
        return [one for answer in found for one in answer.get("items") or ()]

    async def _pages(self, path: str, *, doing: str) -> list[Json]:
        return await self._google.read_pages(API, f"{self._path}/{path}", PAGE, doing=doing)
