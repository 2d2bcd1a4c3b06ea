"""Which findings only follow from another one, so that one fault is one failure.

A project that is mistyped, or a region that does not exist, makes everything in it unknown or missing. Invariant: what
is well stays well, and the failure that has to be mended first is never changed itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from backend.errors import InvalidRequest, NotFound, Unauthenticated
from backend.preflight.check import Question
from backend.preflight.findings import Finding, Topic, Verdict
from backend.preflight.readings import Gap

ROOTS = frozenset({"credentials", "project"})


async def traced(found: Sequence[Finding], question: Question) -> Sequence[Finding]:
    """The findings of a check; those that follow from a failure elsewhere are unknown and name it."""
    if all(one.status is Verdict.OK or one.topic is Topic.LOCAL or one.id in ROOTS for one in found):
        return found
    regions = question.spec.regions
    project, *read = await asyncio.gather(
        question.readings.project_itself(), *(question.readings.region_quotas(region) for region in regions)
    )
    root = _project_fails(project)
    gone = {region for region, one in zip(regions, read, strict=True) if _absent(one)}
    return [_traced(one, root, gone) for one in found]


def _traced(finding: Finding, root: str | None, gone: set[str]) -> Finding:
    if finding.status is Verdict.OK or finding.once_enabled or finding.id in ROOTS:
        return finding
    if root is not None and finding.status is Verdict.UNKNOWN and finding.topic is not Topic.MODEL:
        return replace(finding, fix=None, follows=root)
    region = next((region for region in gone if _is_in(finding.id, region)), None)
    if region is None or finding.id == f"region/{region}":
        return finding
    return replace(finding, status=Verdict.UNKNOWN, fix=None, follows=f"region/{region}")


def _project_fails(read: object) -> str | None:
    if isinstance(read, Gap) and isinstance(read.error, Unauthenticated):
        return "credentials"
    return "project" if isinstance(read, Gap) and read.forbidden else None


def _absent(read: object) -> bool:
    return isinstance(read, Gap) and isinstance(read.error, (NotFound, InvalidRequest))


def _is_in(identity: str, region: str) -> bool:
    """Whether an id names a region or one of its zones."""
    return any(part == region or part.startswith(f"{region}-") for part in identity.split("/"))
