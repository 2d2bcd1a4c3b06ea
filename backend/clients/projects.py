"""The project itself and its IAM policy (Resource Manager).

Called by paths, because the policy must come back as it was read, down to fields that this program does not know;
Google's message type would drop them. Invariant: a change of the policy touches one member's unconditional
bindings and nothing else; it is made on exactly the policy that was read, and made again on the newer one when somebody
else was quicker.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from backend.clients.google import Google, Json
from backend.errors import Busy, Conflict

API = "cloudresourcemanager"
POLICY_VERSION = 3
"""The version that shows conditions; whoever reads an older one and writes it back drops them."""
TRIES = 8
"""How often a change of the policy is made anew after somebody else's."""
Edit = Callable[[Sequence[Json]], list[Json]]
"""From the bindings as they are to the bindings as they are wanted; pure."""


class Projects:
    """The project of the connection."""

    def __init__(self, google: Google) -> None:
        self._google = google
        self._path = f"/v3/projects/{google.project}"
        self._number: str | None = None

    async def get(self) -> Json:
        """The project; raises ``PermissionDenied`` also for one that does not exist: Google does not tell."""
        return await self._google.read(API, self._path, doing=f"reading project {self._google.project}")

    async def number(self) -> str:
        """The project's number, which the names of Google's service agents are made of; asked for once."""
        if self._number is None:
            self._number = str((await self.get())["name"]).rpartition("/")[2]
        return self._number

    async def policy(self) -> Json:
        """The project's IAM policy; those who ask at the same time share one request."""
        return await self._google.shared("cloudresourcemanager.policy", self._policy)

    async def grant(self, member: str, roles: Collection[str]) -> bool:
        """Bind a member to roles; ``False`` when it was. Raises ``InvalidRequest`` for a member that is unknown."""
        return await self._change(lambda bindings: granted(bindings, member, roles), f"granting {member} its roles")

    async def revoke(self, member: str, roles: Collection[str]) -> bool:
        """Unbind a member from roles; ``False`` when it was not bound."""
        return await self._change(lambda bindings: revoked(bindings, member, roles), f"revoking the roles of {member}")

    async def _policy(self) -> Json:
        body = {"options": {"requestedPolicyVersion": POLICY_VERSION}}
        doing = f"reading the IAM policy of project {self._google.project}"
        return await self._google.rest(API, "POST", f"{self._path}:getIamPolicy", body, doing=doing)

    async def _change(self, edit: Edit, doing: str) -> bool:
        for left in reversed(range(TRIES)):
            policy = await self._policy()
            before: list[Json] = policy.get("bindings", [])
            after = edit(before)
            if after == before:
                return False
            wanted = policy | {"bindings": after, "version": POLICY_VERSION}
            try:
                await self._google.rest(API, "POST", f"{self._path}:setIamPolicy", {"policy": wanted}, doing=doing)
            except (Busy, Conflict):
                if not left:
                    raise
                await self._google.pause(TRIES - left)
            else:
                return True
        raise AssertionError("the last try returns or raises")


def bound(policy: Mapping[str, Any], member: str) -> frozenset[str]:
    """Roles that a policy binds a member to without a condition."""
    bindings: Sequence[Json] = policy.get("bindings", ())
    return frozenset(one["role"] for one in bindings if "condition" not in one and member in one.get("members", ()))


def granted(bindings: Sequence[Json], member: str, roles: Collection[str]) -> list[Json]:
    """Bindings with a member bound to roles; a binding with a condition is another one."""
    after, missing = [], set(roles) - bound({"bindings": bindings}, member)
    for binding in bindings:
        if "condition" not in binding and binding["role"] in missing:
            missing.remove(binding["role"])
            after.append(binding | {"members": [*binding.get("members", ()), member]})
        else:
            after.append(binding)
    return [*after, *({"role": role, "members": [member]} for role in sorted(missing))]


def revoked(bindings: Sequence[Json], member: str, roles: Collection[str]) -> list[Json]:
    """Bindings with a member no longer bound to roles; a binding that has no other member goes."""
    after = []
    for binding in bindings:
        members = binding.get("members", [])
        if "condition" in binding or binding["role"] not in roles or member not in members:
            after.append(binding)
        elif rest := [one for one in members if one != member]:
            after.append(binding | {"members": rest})
    return after
