"""Which of Google's APIs are enabled in the project (Service Usage).

Invariant: a project in which Service Usage itself is off raises ``ServiceDisabled``; nothing here enables it.
"""

from __future__ import annotations

from collections.abc import Iterable

from backend.clients.google import Google, Json

API = "serviceusage"


class Services:
    """The project's APIs."""

    def __init__(self, google: Google) -> None:
        self._google = google
        self._path = f"/v1/projects/{google.project}/services"

    async def enabled(self) -> frozenset[str]:
        """Names of the enabled APIs, such as ``container.googleapis.com``."""
        query = {"filter": "state:ENABLED", "pageSize": "200"}
        answers = await self._google.read_pages(API, self._path, query, doing="listing the enabled APIs")
        return frozenset(one["name"].rpartition("/")[2] for answer in answers for one in answer.get("services", ()))

    async def enable(self, names: Iterable[str]) -> Json:
        """Enable up to 20 APIs in one request and give the operation."""
        body = {"serviceIds": sorted(names)}
        return await self._google.rest(API, "POST", f"{self._path}:batchEnable", body, doing="enabling APIs")

    async def disable(self, name: str) -> Json:
        """Disable an API and give the operation; raises ``InvalidRequest`` when it is used or others depend on it."""
        body = {"disableDependentServices": False, "checkIfServiceHasUsage": "CHECK"}
        return await self._google.rest(API, "POST", f"{self._path}/{name}:disable", body, doing=f"disabling {name}")

    async def operation(self, name: str) -> Json:
        """State of an operation: ``name``, ``done`` and, when it failed, ``error``."""
        return await self._google.read(API, f"/v1/{name}", doing="asking how far enabling the APIs is")
