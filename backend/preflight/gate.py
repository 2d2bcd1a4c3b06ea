"""The second look: once the APIs are on, what could not be known before is checked before anything is made.

In a new project most APIs are off, so quotas, networks and versions cannot be read until the first step has turned
them on. That step then ends with the checks, and fails where one of them does, so that all other steps are skipped.
Invariant: a gate delegates everything else to the row that it stands behind.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from backend.engine.resource import About, Note, Resource, Step
from backend.errors import PreflightRefused
from backend.preflight.findings import Finding, Verdict

Look = Callable[[], Awaitable[Sequence[Finding]]]
"""Gives the failures that are not to be ignored."""


class Gate(Resource[Any]):
    """A row, and a look at the world when it is done."""

    def __init__(self, row: Resource[Any], look: Look) -> None:
        self.id, self.depends_on = row.id, row.depends_on
        self.within, self.delete_after = row.within, row.delete_after
        self._row = row
        self._look = look

    @property
    def about(self) -> About:
        """What the row says of itself."""
        return self._row.about

    def resume(self, operation: str) -> None:
        """Hand on an operation that another process began."""
        self._row.resume(operation)

    async def observe(self) -> Any:
        """Read what the row reads."""
        return await self._row.observe()

    def diff(self, observed: Any) -> Step:
        """Say what the row says."""
        return self._row.diff(observed)

    def removal(self, observed: Any) -> Step:
        """Say what the row says."""
        return self._row.removal(observed)

    async def apply(self, step: Step, note: Note) -> None:
        """Ask for what the row asks for."""
        await self._row.apply(step, note)

    async def wait(self, note: Note) -> Any:
        """Wait for the row, then look; raises ``PreflightRefused`` when a check fails."""
        reached = await self._row.wait(note)
        note("checking quotas, machines, networks and versions, which can be read now")
        failed = await self._look()
        if failed:
            raise refused(failed)
        return reached

    async def delete(self, note: Note) -> None:
        """Take away what the row takes away."""
        await self._row.delete(note)

    def detail(self, observed: Any) -> Mapping[str, Any]:
        """Say what the row says."""
        return self._row.detail(observed)


def refused(failed: Sequence[Finding]) -> PreflightRefused:
    """The error for failures that stop a run; names each with its fix."""
    number = "a check" if len(failed) == 1 else f"{len(failed)} checks"
    told = "\n".join(f"{one.id}: {one.message}" for one in failed)
    fixes = list(dict.fromkeys(one.fix for one in failed if one.fix))
    ignore = " ".join(f"--ignore {one.id}" for one in failed)
    fix = "; ".join(fixes) if fixes else "mend what is named above"
    if any(one.startswith("mcig doctor ") and " --set " in one for one in fixes):
        then = "then `mcig apply` with the same settings"
    elif any(one.startswith("mcig apply ") for one in fixes):
        then = "which applies with what mends it"
    else:
        then = "then the same command again"
    return PreflightRefused(
        f"{number} failed, so nothing is made\n{told}",
        cause=failed[0].why,
        fix=f"{fix}; {then}; or the same command with {ignore} all the same",
    )


def waits(findings: Sequence[Finding]) -> bool:
    """Whether something can only be known once the APIs are on."""
    return any(one.once_enabled and one.status is Verdict.UNKNOWN for one in findings)
