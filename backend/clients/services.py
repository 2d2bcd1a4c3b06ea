"""Which of Google's APIs are enabled in the project (Service Usage).

Invariant: a project in which Service Usage itself is off raises ``ServiceDisabled``; nothing here enables it.
"""

from __future__ import annotations

from collections.abc import Iterable

from backend.clients.google import Google, Json, Service

SERVICE_USAGE = Service("google.cloud.service_usage_v1", "ServiceUsageClient", "serviceusage")


class Services:
    """The project's APIs."""

    def __init__(self, google: Google) -> None:
        self._google = google

    async def enabled(self) -> frozenset[str]:
        """Names of the enabled APIs, such as ``container.googleapis.com``."""
        found = await self._google.list(
            SERVICE_USAGE,
            "list_services",
            "ListServicesRequest",
            {"parent": f"projects/{self._google.project}", "filter": "state:ENABLED", "pageSize": 200},
            doing="listing the enabled APIs",
        )
        return frozenset(service["name"].rpartition("/")[2] for service in found)

    async def enable(self, names: Iterable[str]) -> Json:
        """Enable up to 20 APIs in one request and give the operation."""
        return await self._google.call(
            SERVICE_USAGE,
            "batch_enable_services",
            "BatchEnableServicesRequest",
            {"parent": f"projects/{self._google.project}", "serviceIds": sorted(names)},
            doing="enabling APIs",
        )

    async def disable(self, name: str) -> Json:
        """Disable an API and give the operation; raises ``InvalidRequest`` when it is used or others depend on it."""
        return await self._google.call(
            SERVICE_USAGE,
            "disable_service",
            "DisableServiceRequest",
            {
                "name": f"projects/{self._google.project}/services/{name}",
                "disableDependentServices": False,
                "checkIfServiceHasUsage": "CHECK",
            },
            doing=f"disabling {name}",
        )

    async def operation(self, name: str) -> Json:
        """State of an operation: ``name``, ``done`` and, when it failed, ``error``."""
        return await self._google.operation(SERVICE_USAGE, name, doing="asking how far enabling the APIs is")
