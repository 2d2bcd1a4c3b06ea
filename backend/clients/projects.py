"""The project itself (Resource Manager)."""

from __future__ import annotations

from backend.clients.google import Google, Json, Service

PROJECTS = Service("google.cloud.resourcemanager_v3", "ProjectsClient", "cloudresourcemanager")


class Projects:
    """The project of the connection."""

    def __init__(self, google: Google) -> None:
        self._google = google

    async def get(self) -> Json:
        """The project; raises ``PermissionDenied`` also for one that does not exist: Google does not tell."""
        return await self._google.call(
            PROJECTS,
            "get_project",
            "GetProjectRequest",
            {"name": f"projects/{self._google.project}"},
            doing=f"reading project {self._google.project}",
        )

    async def number(self) -> str:
        """The project's number, which the names of Google's service agents are made of."""
        return str((await self.get())["name"]).rpartition("/")[2]
