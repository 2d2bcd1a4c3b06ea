"""What the caller may do, and what the organisation forbids (Resource Manager, Cloud Billing).

Called by paths. Invariant: everything here only reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from backend.clients.google import Google, Json

MANAGER, BILLING = "cloudresourcemanager", "cloudbilling"
AT_ONCE = 100
"""Permissions that one request may ask for."""


class Access:
    """The caller's permissions on the project, and what lies above it."""

    def __init__(self, google: Google) -> None:
        self._google = google
        self._project = google.project

    async def held(self, permissions: Sequence[str]) -> frozenset[str]:
        """Those of some permissions that the caller has; raises ``InvalidRequest`` for one that does not exist."""
        parts = [permissions[start : start + AT_ONCE] for start in range(0, len(permissions), AT_ONCE)]
        answers = await asyncio.gather(*(self._held(part) for part in parts))
        return frozenset().union(*answers)

    async def _held(self, permissions: Sequence[str]) -> frozenset[str]:
        path, body = f"/v3/projects/{self._project}:testIamPermissions", {"permissions": list(permissions)}
        answer = await self._google.rest(MANAGER, "POST", path, body, doing="asking what these credentials may do")
        return frozenset(answer.get("permissions", ()))

    async def billing(self) -> Json:
        """Which billing account pays, and whether one does: ``billingEnabled``."""
        path = f"/v1/projects/{self._project}/billingInfo"
        return await self._google.read(BILLING, path, doing="asking whether billing is on")

    async def policy(self, constraint: str) -> Json:
        """An organisation policy as it holds for the project: ``booleanPolicy`` or ``listPolicy``."""
        path, body = f"/v1/projects/{self._project}:getEffectiveOrgPolicy", {"constraint": f"constraints/{constraint}"}
        return await self._google.rest(MANAGER, "POST", path, body, doing=f"reading organisation policy {constraint}")
