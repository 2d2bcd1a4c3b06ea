"""Asking a cloud what stands in a specification's way, before anything is made.

Invariants: nothing is changed but by ``request_quota``; all checks run side by side, each with its own time limit; what
goes wrong in the world becomes a finding and never an exception.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any

from pydantic import SecretStr

from backend.clients import Clients
from backend.clients.connect import connect
from backend.clients.google import Json
from backend.errors import Unauthenticated, UsageError
from backend.places import Places
from backend.preflight import (
    access,
    consequences,
    local,
    machines,
    model,
    names,
    network,
    prices,
    quota,
    regions,
    versions,
)
from backend.preflight.check import Again, Check, Question, again_by_name
from backend.preflight.findings import Finding, Topic, Verdict, in_order
from backend.preflight.offers import NetworkOffer, RegionOffer, SubnetOffer, TokenOwner
from backend.preflight.readings import Gap, Readings
from backend.resources import declare, subnets
from backend.resources.services import WANTED
from backend.spec import GatewaySpec, Rehearsal, Target
from backend.surroundings import gcloud_account

CHECK_LIMIT_S = 20.0
"""Longest time for one check; its readings have shorter limits of their own."""
CHECKS: tuple[Check, ...] = (
    *access.CHECKS,
    *machines.CHECKS,
    *prices.CHECKS,
    *quota.CHECKS,
    *versions.CHECKS,
    *network.CHECKS,
    *names.CHECKS,
    *model.CHECKS,
    *local.CHECKS,
)
"""All checks, in the order in which a person would read them."""


class Survey:
    """Looks at one cloud for as many specifications as are asked about; what was read is kept until ``refresh``."""

    def __init__(self, clients: Clients, *, places: Places, environ: Mapping[str, str]) -> None:
        self._clients = clients
        self._places = places
        self._environ = environ
        self._readings = Readings(clients)

    @property
    def project(self) -> str:
        """Id of the project that is looked at."""
        return self._clients.project

    @property
    def description(self) -> str:
        """The cloud in words, such as ``Google Cloud project my-project``."""
        return self._clients.connection.description

    def refresh(self) -> None:
        """Ask the cloud anew from now on."""
        self._readings.forget()

    async def examine(
        self,
        spec: GatewaySpec,
        *,
        token: SecretStr | None = None,
        topics: Collection[Topic] | None = None,
        again: Again | None = None,
    ) -> AsyncIterator[Finding]:
        """Give findings as they come in, of all topics or some.

        ``token`` is the Hugging Face token; ``again`` writes the command that looks again with other options.
        """
        question = self._question(spec, token, again)
        chosen = [check for check in CHECKS if topics is None or _about(check, topics)]
        tasks = [asyncio.ensure_future(_findings(check, question)) for check in chosen]
        seen: set[str] = set()
        try:
            for done in asyncio.as_completed(tasks):
                for finding in await done:
                    if finding.id not in seen and (topics is None or finding.topic in topics):
                        seen.add(finding.id)
                        yield finding
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def findings(
        self,
        spec: GatewaySpec,
        *,
        token: SecretStr | None = None,
        topics: Collection[Topic] | None = None,
        again: Again | None = None,
    ) -> tuple[Finding, ...]:
        """All findings at once, by topic and id, the same in every run over the same world."""
        found = [one async for one in self.examine(spec, token=token, topics=topics, again=again)]
        return in_order(found)

    async def regions(self, spec: GatewaySpec, also: Sequence[str] = ()) -> tuple[RegionOffer, ...]:
        """Every region with the GPU of the specification's first pool, and ``also`` others: zones, quota, price."""
        return await regions.offers(spec, self._readings, also)

    async def networks(self) -> tuple[NetworkOffer, ...]:
        """VPC networks of the project with their subnetworks; empty when they cannot be read."""
        networks, subnetworks = await asyncio.gather(self._readings.networks(), self._readings.subnetworks())
        if isinstance(networks, Gap):
            return ()
        held = [] if isinstance(subnetworks, Gap) else subnetworks
        return tuple(
            NetworkOffer(
                str(one["name"]),
                bool(one.get("autoCreateSubnetworks")),
                tuple(_subnet(item) for item in network.of_network(held, str(one["name"]))),
            )
            for one in networks
        )

    async def propose_ranges(self, spec: GatewaySpec) -> Mapping[str, str]:
        """The range that a run takes for each proxy-only subnet it may choose one for; none where there is no room."""
        subnetworks, clusters = await asyncio.gather(self._readings.subnetworks(), self._readings.clusters())
        here = [] if isinstance(subnetworks, Gap) else network.of_network(subnetworks, spec.network.vpc)
        chosen = {cluster.region for cluster in spec.targets if cluster.proxy_subnet == "auto"}
        found = subnets.ranges(spec, here, () if isinstance(clusters, Gap) else clusters)
        return {region: str(block) for region, block in found.items() if region in chosen}

    async def token_owner(self, token: SecretStr) -> TokenOwner:
        """Whose a Hugging Face token is."""
        found = await self._readings.token_owner(token)
        if isinstance(found, Gap):
            known = False if isinstance(found.error, Unauthenticated) else None
            return TokenOwner(None, None, known, found.why)
        return TokenOwner(found.name or None, found.scope or None, True, "")

    async def request_quota(self, spec: GatewaySpec, identity: str, *, email: str | None = None) -> str:
        """Ask Google for as much quota as a finding ``quota/REGION/METRIC`` lacks, and say what was answered.

        The one thing here that changes something. ``email`` is whom Google may ask back: the account of the
        credentials, else gcloud's, unless named. Raises ``UsageError`` when there is no such quota, it suffices, or no
        address is known, and ``CloudError``.
        """
        question = self._question(spec, None, None)
        needs = {need.id: need for need in await quota.needs(question)}
        need = needs.get(identity)
        if need is None:
            raise UsageError(
                f"{identity} is no quota that {spec.name} draws on",
                cause=f"it draws on {', '.join(needs)}",
                fix="mcig doctor shows which are short",
            )
        compute, cloud = await quota.read(need, question)
        finding = quota.judge(need, compute, cloud, question.again)
        if finding.status is not Verdict.FAIL:
            raise UsageError(f"nothing is asked for: {finding.message}")
        used = 0.0 if compute is None or isinstance(compute, Gap) else compute.used
        value = need.amount + used
        name = f"mcig-{need.scope}-{need.metric}-{need.family}".lower().replace("_", "-").rstrip("-")[:63]
        answer = await self._clients.quotas.request(
            need.identity, need.dimensions, value, name=name, email=email or self._account(question, identity)
        )
        self.refresh()
        return _answered(answer, value, identity)

    async def close(self) -> None:
        """Stop what is under way; the clients stay open."""
        await self._readings.close()

    def _account(self, question: Question, identity: str) -> str:
        known = self._clients.connection.account or gcloud_account(self._environ)
        if not known:
            raise UsageError(
                "no email address is known with which quota could be asked for",
                cause="Google takes no request for more without the address of an account that may change quotas",
                fix=question.again("--request", identity, "--email", "ADDRESS"),
            )
        return known

    def _question(self, spec: GatewaySpec, token: SecretStr | None, again: Again | None) -> Question:
        spec = spec.model_copy(update={"project": self.project})
        self._clients.know(spec)
        needed: dict[str, str] = {}
        for row in declare(spec, self._clients):
            for permission in row.about.permissions:
                needed.setdefault(permission, str(row.id))
        return Question(
            spec=spec,
            readings=self._readings,
            token=token,
            places=self._places,
            environ=self._environ,
            permissions=needed,
            wanted_apis=WANTED,
            again=again or again_by_name(spec),
        )


@dataclass(frozen=True, slots=True)
class _Destination:
    """A target alone, as ``connect`` takes it."""

    target: Target
    rehearsal: Rehearsal = field(default_factory=Rehearsal)


@asynccontextmanager
async def open_survey(
    target: Target,
    project: str,
    *,
    places: Places,
    environ: Mapping[str, str],
    note: Callable[[str], None] = lambda _: None,
    speed: float | None = None,
    rehearsal: Rehearsal | None = None,
) -> AsyncIterator[Survey]:
    """Connect to a cloud; an emulated one is started where none runs. Nothing is read yet.

    ``note`` gets what people should know of how it was found. Raises ``CredentialsError`` and ``RehearsalError``.
    """
    wanted = _Destination(target, rehearsal or Rehearsal())
    connection = await connect(wanted, project=project, home=places.emulator, speed=speed)
    for line in connection.notes:
        note(line)
    clients = Clients(connection)
    survey = Survey(clients, places=places, environ=environ)
    try:
        yield survey
    finally:
        await survey.close()
        await clients.close()


async def _findings(check: Check, question: Question) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(CHECK_LIMIT_S):
            return await consequences.traced(await check.run(question), question)
    except TimeoutError:
        return [check.unknown(f"no end within {CHECK_LIMIT_S:g} s", "ask again in a minute")]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return [check.unknown(f"an answer could not be understood ({type(error).__name__}: {error})")]


def _about(check: Check, topics: Collection[Topic]) -> bool:
    mixed = {Topic.GPU: {Topic.GPU, Topic.REGIONS}}
    return bool(mixed.get(check.topic, {check.topic}) & set(topics))


def _subnet(one: Json) -> SubnetOffer:
    block = one.get("ipCidrRange")
    return SubnetOffer(
        name=str(one["name"]),
        region=str(one.get("region", "")).rpartition("/")[2],
        range=IPv4Network(block) if block else None,
        purpose=str(one.get("purpose", "PRIVATE")),
        role=one.get("role"),
    )


def _answered(answer: Mapping[str, Any], value: float, identity: str) -> str:
    config = answer.get("quotaConfig") or {}
    granted = config.get("grantedValue")
    if granted is not None and float(granted) >= value:
        return f"{identity}: granted, the limit is {float(granted):g} now"
    detail = config.get("stateDetail") or "Google decides at once or within days"
    return f"{identity}: {value:g} were asked for; {detail}"
