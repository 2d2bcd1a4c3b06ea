"""Memberships and features of the project's fleet (GKE Hub).

Reads go by paths, changes through Google's package. Invariant: memberships are looked for in all locations, because
gcloud puts them into the cluster's own by default.
"""

from __future__ import annotations

from backend.clients.google import Google, Json, Service
from backend.errors import NotFound

GKE_HUB = Service("google.cloud.gkehub_v1", "GkeHubClient", "gkehub")


class Fleet:
    """The project's fleet."""

    def __init__(self, google: Google) -> None:
        self._google = google

    def _global(self) -> str:
        return f"projects/{self._google.project}/locations/global"

    def membership_name(self, membership: str) -> str:
        """Full resource name of a membership in location ``global``."""
        return f"{self._global()}/memberships/{membership}"

    async def memberships(self) -> list[Json]:
        """Memberships of all locations; those who ask at the same time share one request."""
        return await self._google.shared("gkehub.memberships", self._memberships)

    async def _memberships(self) -> list[Json]:
        path = f"/v1/projects/{self._google.project}/locations/-/memberships"
        answers = await self._google.read_pages(GKE_HUB.api, path, doing="listing fleet memberships")
        return [one for answer in answers for one in answer.get("resources", ())]

    async def membership(self, name: str) -> Json | None:
        """One membership by its full resource name; ``None`` when absent."""
        try:
            return await self._read(name, doing=f"reading membership {name}")
        except NotFound:
            return None

    async def create_membership(self, membership: str, body: Json) -> Json:
        """Ask for a membership in location ``global`` and give the operation; raises ``AlreadyExists``."""
        return await self._call(
            "create_membership",
            "CreateMembershipRequest",
            {"parent": self._global(), "membershipId": membership, "resource": body},
            doing=f"registering {membership} with the fleet",
            repeat=False,
        )

    async def delete_membership(self, name: str) -> Json:
        """Ask for a membership's deletion by full resource name and give the operation; raises ``NotFound``."""
        return await self._call(
            "delete_membership", "DeleteMembershipRequest", {"name": name}, doing=f"deleting membership {name}"
        )

    async def feature(self, feature: str) -> Json | None:
        """One feature of the fleet, such as ``multiclusteringress``; ``None`` when it is off."""
        try:
            return await self._read(f"{self._global()}/features/{feature}", doing=f"reading fleet feature {feature}")
        except NotFound:
            return None

    async def features(self) -> list[Json]:
        """All features of the fleet."""
        answers = await self._google.read_pages(
            GKE_HUB.api, f"/v1/{self._global()}/features", doing="listing fleet features"
        )
        return [one for answer in answers for one in answer.get("resources", ())]

    async def create_feature(self, feature: str, body: Json) -> Json:
        """Ask for a feature and give the operation; raises ``AlreadyExists``."""
        return await self._call(
            "create_feature",
            "CreateFeatureRequest",
            {"parent": self._global(), "featureId": feature, "resource": body},
            doing=f"enabling fleet feature {feature}",
            repeat=False,
        )

    async def delete_feature(self, feature: str) -> Json:
        """Ask for a feature's removal and give the operation; raises ``NotFound``."""
        return await self._call(
            "delete_feature",
            "DeleteFeatureRequest",
            {"name": f"{self._global()}/features/{feature}"},
            doing=f"disabling fleet feature {feature}",
        )

    async def operation(self, name: str) -> Json:
        """State of an operation: ``name``, ``done`` and, when it failed, ``error``."""
        return await self._read(name, doing=f"asking for operation {name.rpartition('/')[2]}")

    async def _read(self, path: str, *, doing: str) -> Json:
        return await self._google.read(GKE_HUB.api, f"/v1/{path}", doing=doing)

    async def _call(self, method: str, request: str, body: Json, *, doing: str, repeat: bool = True) -> Json:
        return await self._google.call(GKE_HUB, method, request, body, doing=doing, repeat=repeat)
