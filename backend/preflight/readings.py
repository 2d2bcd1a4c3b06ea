"""What was read of the world for a preflight, each thing once.

Checks that look at the same thing share one request. Invariants: a reading never raises for what the world does: what
cannot be read is a ``Gap`` that says why, and that is what a finding then tells; a reading has its own time limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import SecretStr

from backend.clients import Clients
from backend.clients.google import Json
from backend.clients.huggingface import Account, Knock
from backend.clients.machines import Advice, SpotPrice
from backend.clients.quotas import Quota
from backend.errors import CloudError, McigError, PermissionDenied, ServiceDisabled

LIMIT_S = 8.0
"""Longest wait for one reading."""

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that could not be read."""

    why: str
    """Why, in a sentence."""
    fix: str
    """What would let it be read; may be empty."""
    error: McigError | None = None
    """What the API said; ``None`` when it did not answer in time."""

    @property
    def off(self) -> bool:
        """Whether only an API that is not enabled is in the way."""
        return isinstance(self.error, ServiceDisabled)

    @property
    def forbidden(self) -> bool:
        """Whether a permission is missing."""
        return isinstance(self.error, PermissionDenied) and not self.off


class Readings:
    """Answers of one cloud, kept until they are forgotten."""

    def __init__(self, clients: Clients) -> None:
        self.clients = clients
        self._brief = clients.brief
        self.project = clients.project
        self._tasks: dict[Hashable, asyncio.Task[Any]] = {}

    def forget(self) -> None:
        """Read everything anew from now on."""
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    async def close(self) -> None:
        """Stop readings under way."""
        tasks = list(self._tasks.values())
        self.forget()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def services(self) -> frozenset[str] | Gap:
        """Names of the enabled APIs."""
        return await self._once(("services",), self._brief.services.enabled)

    async def project_itself(self) -> Json | Gap:
        """The project."""
        return await self._once(("project",), self._brief.projects.get)

    async def billing(self) -> Json | Gap:
        """The project's billing."""
        return await self._once(("billing",), self._brief.access.billing)

    async def held(self, permissions: tuple[str, ...]) -> frozenset[str] | Gap:
        """Those of some permissions that the caller has."""
        return await self._once(("held", permissions), lambda: self._brief.access.held(permissions))

    async def policy(self, constraint: str) -> Json | Gap:
        """An organisation policy as it holds for the project."""
        return await self._once(("policy", constraint), lambda: self._brief.access.policy(constraint))

    async def region_quotas(self, region: str) -> Mapping[str, Quota] | Gap:
        """Compute Engine's quotas of a region."""
        return await self._once(("quotas", region), lambda: self._brief.quotas.of_region(region))

    async def project_quotas(self) -> Mapping[str, Quota] | Gap:
        """Compute Engine's quotas of all regions together."""
        return await self._once(("quotas",), self._brief.quotas.of_project)

    async def quota_info(self, identity: str) -> Json | Gap:
        """What Cloud Quotas says of a quota."""
        return await self._once(("quota", identity), lambda: self._brief.quotas.info(identity))

    async def zones_with(self, machine_type: str) -> tuple[str, ...] | Gap:
        """Zones that have a machine type."""
        return await self._once(("machine", machine_type), lambda: self._brief.machines.zones_with(machine_type))

    async def advice(self, region: str, machine_type: str, count: int, zones: tuple[str, ...]) -> Advice | Gap | None:
        """How likely Spot machines are to be had."""
        return await self._once(
            ("advice", region, machine_type, count, zones),
            lambda: self._brief.machines.advice(region, machine_type, count=count, zones=zones),
        )

    async def spot_price(self, region: str, machine_type: str) -> SpotPrice | Gap | None:
        """What a Spot machine costs now."""
        return await self._once(
            ("price", region, machine_type), lambda: self._brief.machines.spot_price(region, machine_type)
        )

    async def versions(self, region: str) -> Json | Gap:
        """GKE versions of a region."""
        return await self._once(("versions", region), lambda: self._brief.container.server_config(region))

    async def clusters(self) -> list[Json] | Gap:
        """Clusters of all locations that gave an answer."""
        listed = await self._once(("clusters",), self._brief.container.clusters)
        return listed if isinstance(listed, Gap) else list(listed.found.values())

    async def clusters_unread(self, regions: Iterable[str]) -> Mapping[str, Gap]:
        """Those of some regions whose clusters nobody knows, each with why."""
        listed = await self._once(("clusters",), self._brief.container.clusters)
        if isinstance(listed, Gap):
            return dict.fromkeys(regions, listed)
        return {
            region: Gap(f"Kubernetes Engine has no answer from {region}", "ask again in a minute")
            for region in regions
            if any(location.startswith(region) for location in listed.unknown)
        }

    async def networks(self) -> list[Json] | Gap:
        """VPC networks."""
        return await self._once(("networks",), self._brief.compute.networks)

    async def subnetworks(self) -> list[Json] | Gap:
        """Subnetworks of all networks."""
        return await self._once(("subnetworks",), self._brief.compute.all_subnetworks)

    async def memberships(self) -> list[Json] | Gap:
        """Fleet memberships."""
        return await self._once(("memberships",), self._brief.fleet.memberships)

    async def features(self) -> list[Json] | Gap:
        """Fleet features."""
        return await self._once(("features",), self._brief.fleet.features)

    async def token_owner(self, token: SecretStr) -> Account | Gap:
        """Whose a Hugging Face token is."""
        return await self._once(("owner", token), lambda: self.clients.huggingface.owner(token))

    async def knock(self, repository: str, file: str, token: SecretStr | None) -> Knock | Gap:
        """Whether a file of a repository could be fetched."""
        return await self._once(
            ("knock", repository, file, token), lambda: self.clients.huggingface.knock(repository, file, token)
        )

    async def _once(self, key: Hashable, read: Callable[[], Awaitable[Read]]) -> Read | Gap:
        """Read something, or join the reading that is under way or done.

        A gap is not kept, so that the next question asks again.
        """
        task = self._tasks.get(key)
        if task is None:
            task = asyncio.ensure_future(_within_limit(read))
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._keep(key, done))
        found: Read | Gap = await asyncio.shield(task)
        return found

    def _keep(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        failed = task.cancelled() or task.exception() is not None or isinstance(task.result(), Gap)
        if failed and self._tasks.get(key) is task:
            del self._tasks[key]


async def _within_limit(read: Callable[[], Awaitable[Read]]) -> Read | Gap:
    try:
        async with asyncio.timeout(LIMIT_S):
            return await read()
    except TimeoutError:
        return Gap(f"no answer within {LIMIT_S:g} s", "ask again in a minute")
    except McigError as error:
        why = error.message if not isinstance(error, CloudError) or error.status else f"{error.message}: {error.cause}"
        return Gap(why, error.fix, error)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return Gap(f"the answer could not be understood ({type(error).__name__}: {error})", "ask again")
