"""Quotas: what the specification needs against what the project may have, in both places that say so."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from backend.clients.google import Json
from backend.clients.quotas import Quota, limit_of, quota_id
from backend.preflight import demand
from backend.preflight.check import Again, Check, Question
from backend.preflight.findings import Finding, Topic, Verdict
from backend.preflight.readings import Gap

GLOBAL = "global"
GPU_WHY = "without it the node pool is refused, or fails half an hour after the clusters were paid for"
NODE_WHY = "without it the cluster or its nodes are refused"


@dataclass(frozen=True, slots=True)
class Need:
    """One quota that the specification draws on."""

    scope: str
    """A region, or ``global``."""
    metric: str
    amount: float
    family: str = ""
    """GPU or machine family, where the quota has a limit for each."""
    unread: Gap | None = None
    """Why nobody knows whether the stack's own clusters there use it already; ``None`` when that is known."""

    @property
    def id(self) -> str:
        """Id of its finding."""
        return f"quota/{self.scope}/{self.metric}" + (f"/{self.family}" if self.family else "")

    @property
    def identity(self) -> str:
        """Id in Cloud Quotas."""
        return quota_id(self.metric, regional=self.scope != GLOBAL)

    @property
    def dimensions(self) -> dict[str, str]:
        """Dimensions in Cloud Quotas."""
        place = {} if self.scope == GLOBAL else {"region": self.scope}
        return place | ({"gpu_family" if self.gpu else "vm_family": self.family} if self.family else {})

    @property
    def gpu(self) -> bool:
        """Whether it is about GPUs."""
        return "GPUS" in self.metric


async def needs(question: Question) -> list[Need]:
    """The quotas that the specification still draws on."""
    readings = question.readings
    clusters = await readings.clusters()
    unread = await readings.clusters_unread(cluster.region for cluster in question.spec.clusters)
    gaps = {region: gap for region, gap in unread.items() if not gap.off}
    wanted = demand.of_spec(question.spec, () if isinstance(clusters, Gap) else clusters)
    found = [
        (region, metric, amount, "")
        for region, counts in wanted.regional.items()
        for metric, amount in sorted(counts.items())
    ]
    found += [(region, demand.FAMILY, amount, family) for (region, family), amount in wanted.families.items()]
    found += [(region, demand.LOCAL_SSD, amount, family) for (region, family), amount in wanted.local_ssd.items()]
    somewhere = next(iter(gaps.values()), None)
    return [
        *(Need(region, metric, amount, family, gaps.get(region)) for region, metric, amount, family in found),
        *(Need(GLOBAL, metric, amount, unread=somewhere) for metric, amount in sorted(wanted.everywhere.items())),
    ]


async def _gpus(question: Question) -> Sequence[Finding]:
    return await _judged([need for need in await needs(question) if need.gpu], question)


async def _nodes(question: Question) -> Sequence[Finding]:
    return await _judged([need for need in await needs(question) if not need.gpu], question)


async def _judged(wanted: Sequence[Need], question: Question) -> list[Finding]:
    return list(await asyncio.gather(*(_one(need, question) for need in wanted)))


async def _one(need: Need, question: Question) -> Finding:
    compute, cloud = await read(need, question)
    return judge(need, compute, cloud, question.again)


async def read(need: Need, question: Question) -> tuple[Quota | Gap | None, Json | Gap | None]:
    """What Compute Engine and Cloud Quotas say; the second is asked for GPUs, and where the first says nothing."""
    readings = question.readings
    asked_of = readings.project_quotas() if need.scope == GLOBAL else readings.region_quotas(need.scope)
    info: Json | Gap | None = None
    if need.gpu:
        quotas, info = await asyncio.gather(asked_of, readings.quota_info(need.identity))
    else:
        quotas = await asked_of
    compute = quotas if isinstance(quotas, Gap) else quotas.get(need.metric)
    if compute is None and info is None:
        info = await readings.quota_info(need.identity)
    return compute, info


def judge(need: Need, compute: Quota | Gap | None, cloud: Json | Gap | None, again: Again) -> Finding:
    """Whether a quota covers what is needed; two limits that differ count as the lower one."""
    topic = Topic.GPU if need.gpu else Topic.REGIONS
    why = GPU_WHY if need.gpu else NODE_WHY
    family = f" for {need.family}" if need.family else ""
    where = "in all regions together" if need.scope == GLOBAL else f"in {need.scope}"
    name = f"{need.metric}{family} {where}"
    quota = compute if isinstance(compute, Quota) else None
    elsewhere = limit_of(cloud, need.dimensions) if cloud is not None and not isinstance(cloud, Gap) else None
    limits = [limit for limit in (None if quota is None else quota.limit, elsewhere) if limit is not None]
    if not limits:
        gaps = [gap for gap in (compute, cloud) if isinstance(gap, Gap)]
        reasons = list(dict.fromkeys(gap.why for gap in gaps))
        told = "; ".join(reasons) or "neither Compute Engine nor Cloud Quotas shows it"
        fix = next((gap.fix for gap in gaps if gap.fix), None)
        waits = any(gap.off for gap in gaps)
        text = f"needs {need.amount:g} of {name}; its limit is unknown: {told}"
        return Finding(need.id, Verdict.UNKNOWN, text, why, fix, topic, waits, told)
    limit, used = min(limits), None if quota is None else quota.used
    short = need.amount + (used or 0) - limit
    figures = f"limit {limit:g}, in use {'unknown' if used is None else format(used, 'g')}, needed {need.amount:g}"
    if need.amount > 0 and short > 0:
        text = f"{name}: {figures}, short by {short:g}"
        if gap := need.unread:
            text += f", unless this stack uses it already: {gap.why}"
            return Finding(need.id, Verdict.UNKNOWN, text, why, gap.fix or None, topic, cause=gap.why)
        return Finding(need.id, Verdict.FAIL, text, why, again("--request", need.id), topic)
    if used is None and need.amount > 0:
        text = f"{name}: {figures}; whether so much is free cannot be told"
        return Finding(need.id, Verdict.WARN, text, why, None, topic)
    return Finding(need.id, Verdict.OK, f"{name}: {figures}", why, None, topic)


CHECKS = (
    Check(
        "quota/REGION/METRIC",
        Topic.GPU,
        "GPU quotas in Compute Engine and in Cloud Quotas",
        "GPUs that are refused after half an hour; H100 quota that the usual API does not show",
        _gpus,
    ),
    Check(
        "quota/REGION/METRIC",
        Topic.REGIONS,
        "CPU, disk, local SSD, address and instance quotas",
        "a cluster that stops because its small nodes find no quota",
        _nodes,
    ),
)
