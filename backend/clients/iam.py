"""Service accounts (IAM).

Called by paths: Google's package for this API speaks gRPC only. Invariant: an account is known by its email, which
derives from its id and the project.
"""

from __future__ import annotations

from backend.clients.google import Google, Json
from backend.errors import NotFound

API = "iam"


class Iam:
    """The project's service accounts."""

    def __init__(self, google: Google) -> None:
        self._google = google
        self._path = f"/v1/projects/{google.project}/serviceAccounts"

    async def account(self, email: str) -> Json | None:
        """One service account; ``None`` when absent."""
        try:
            return await self._google.rest(
                API, "GET", f"{self._path}/{email}", doing=f"reading service account {email}"
            )
        except NotFound:
            return None

    async def create_account(self, account_id: str, *, title: str, description: str) -> Json:
        """Make a service account; raises ``AlreadyExists``. Other APIs may not know it for a minute."""
        body = {"accountId": account_id, "serviceAccount": {"displayName": title, "description": description}}
        doing = f"creating service account {account_id}"
        return await self._google.rest(API, "POST", self._path, body, doing=doing, repeat=False)

    async def delete_account(self, email: str) -> bool:
        """Delete a service account; ``False`` when it was not there."""
        try:
            await self._google.rest(API, "DELETE", f"{self._path}/{email}", doing=f"deleting service account {email}")
        except NotFound:
            return False
        return True
