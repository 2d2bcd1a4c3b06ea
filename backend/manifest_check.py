"""What a plan would send to clusters that are not there yet, checked before anything is changed.

A cluster that is there is asked itself: everything is dry-run just before it is applied. Invariant: no cloud is asked,
and nothing is loaded where every cluster is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from backend.engine.events import Action
from backend.engine.plan import Plan
from backend.engine.resource import Resource
from backend.errors import UsageError
from backend.rules import SpecNote

if TYPE_CHECKING:
    from backend.resources.objects import KubeObjects


async def refuse(resources: Sequence[Resource[Any]], plan: Plan) -> None:
    """Raise ``UsageError`` that names each manifest, field and reason when one could never be applied."""
    rows = _unseen(resources, plan)
    if not rows:
        return
    from backend.resources import shipped

    if found := await asyncio.to_thread(shipped.check, rows):
        raise UsageError(
            "\n".join(["manifests that no API server would take:", *(f"  {line}" for line in found)]),
            cause="values of the specification went into these fields",
            fix="mend them; `beyond_catalog: true` leaves the judgement to the API servers",
        )


def notes(resources: Sequence[Resource[Any]], plan: Plan) -> Iterator[SpecNote]:
    """Say that manifests were checked without the API servers that they are for, where that is so."""
    rows = _unseen(resources, plan)
    if rows:
        names = dict.fromkeys(row.cluster.name for row in rows)
        count = sum(len(row.manifests) for row in rows)
        there = "is" if len(names) == 1 else "are"
        yield SpecNote(
            "clusters",
            f"{' and '.join(names)} {there} not there yet, so the {count} manifests that go there were checked with "
            "the schemas that come with mcig; each API server checks its own again before it takes any",
        )


def _unseen(resources: Sequence[Resource[Any]], plan: Plan) -> list[KubeObjects]:
    """The sets of objects that a plan would create in clusters that are not there yet."""
    absent = {step.resource for step in plan.steps if not step.present}
    created = {step.resource for step in plan.steps if step.action is Action.CREATE}
    rows = [row for row in resources if row.id in created and row.within in absent]
    if not rows:
        return []
    from backend.resources.objects import KubeObjects

    return [row for row in rows if isinstance(row, KubeObjects)]
