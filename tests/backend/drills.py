"""A toy that a drill has changed."""

from __future__ import annotations

from backend.drill_mark import UNTIL
from backend.engine.resource import Change, Step
from tests.backend.engine.toys import Toy

SCOPE = {"selector": {"gke.io/region": "us-east4"}, "capacityScalerPercent": 0}


class Drilled(Toy):
    """A policy that a drill has changed, and perhaps somebody else."""

    others: tuple[Change, ...] = ()

    def diff(self, observed: str | None) -> Step:
        return self.update(
            Change(f"GCPBackendPolicy/p: metadata.annotations.{UNTIL}", "2026-11-22T12:00:00+00:00", "absent"),
            Change("GCPBackendPolicy/p: spec.default.scopes", [SCOPE], "absent"),
            *self.others,
        )
