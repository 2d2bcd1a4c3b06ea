"""What a project has, read by paths: APIs, clusters, networks, fleet.

A preflight asks for it before Google's packages are loaded, which takes seconds. Invariants: everything here only
reads; answers are Google's own JSON.
"""

from __future__ import annotations

from backend.clients.google import Google, Json
from backend.clients.paging import pages, scoped


class Inventory:
    """Lists of the project's things."""

    def __init__(self, google: Google) -> None:
        self._google = google
        self._project = google.project

    async def services(self) -> frozenset[str]:
        """Names of the enabled APIs, such as ``container.googleapis.com``."""
        path = f"/v1/projects/{self._project}/services"
        query = {"filter": "state:ENABLED", "pageSize": "200"}
        answers = await self._pages("serviceusage", path, query, doing="listing the enabled APIs")
        return frozenset(one["name"].rpartition("/")[2] for answer in answers for one in answer.get("services", ()))

    async def clusters(self) -> list[Json]:
        """The clusters of all locations, with their node pools."""
        path = f"/v1/projects/{self._project}/locations/-/clusters"
        answer = await self._google.look("container", "GET", path, doing="listing clusters")
        return list(answer.get("clusters", ()))

    async def versions(self, region: str) -> Json:
        """The GKE versions that a region offers, by release channel."""
        path = f"/v1/projects/{self._project}/locations/{region}/serverConfig"
        return await self._google.look("container", "GET", path, doing=f"reading the GKE versions of {region}")

    async def networks(self) -> list[Json]:
        """All VPC networks."""
        path = f"/compute/v1/projects/{self._project}/global/networks"
        answers = await self._pages("compute", path, {"maxResults": "500"}, doing="listing VPC networks")
        return [one for answer in answers for one in answer.get("items", ())]

    async def subnetworks(self) -> list[Json]:
        """All subnetworks of all networks and regions."""
        path = f"/compute/v1/projects/{self._project}/aggregated/subnetworks"
        answers = await self._pages("compute", path, {"maxResults": "500"}, doing="listing subnetworks")
        return scoped(answers, "subnetworks")

    async def memberships(self) -> list[Json]:
        """Fleet memberships of all locations."""
        path = f"/v1/projects/{self._project}/locations/-/memberships"
        answers = await self._pages("gkehub", path, {}, doing="listing fleet memberships")
        return [one for answer in answers for one in answer.get("resources", ())]

    async def features(self) -> list[Json]:
        """Features of the fleet."""
        path = f"/v1/projects/{self._project}/locations/global/features"
        answers = await self._pages("gkehub", path, {}, doing="listing fleet features")
        return [one for answer in answers for one in answer.get("resources", ())]

    async def _pages(self, api: str, path: str, query: dict[str, str], *, doing: str) -> list[Json]:
        async def read(whole: str) -> Json:
            return await self._google.look(api, "GET", whole, doing=doing)

        return await pages(read, path, query)
