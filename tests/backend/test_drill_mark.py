"""What a drill leaves on a policy, read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from backend.drill_mark import UNTIL, Drilled, drilled, is_over, shown

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MARK = {"field": f"P/p: metadata.annotations.{UNTIL}", "before": NOON.isoformat(), "after": "absent"}


def scopes(before: object) -> dict[str, object]:
    return {"field": "P/p: spec.default.scopes", "before": before, "after": "absent"}


def test_a_scope_counts_as_a_drills_only_beside_its_mark() -> None:
    change = scopes([{"selector": {"gke.io/region": "us-east4"}, "capacityScalerPercent": 0}])
    assert drilled([change]) == (None, (change,))
    assert drilled([MARK, change]) == (Drilled("us-east4", NOON.isoformat()), ())
    assert drilled([]) == (None, ())


@pytest.mark.parametrize("before", [None, "absent", [], [7], [{"selector": None}]])
def test_what_somebody_garbled_still_reads_as_a_drill(before: object) -> None:
    found, rest = drilled([MARK, scopes(before)])
    assert rest == ()
    assert found is not None
    assert found.said.startswith("a region is drained by a drill until ")


@pytest.mark.parametrize(
    ("until", "over"), [("2026-11-22T11:59:59", True), ("2026-11-22T12:00:01Z", False), ("x", False)]
)
def test_a_drill_is_over_when_its_time_is_and_garbage_never_is(until: str, over: bool) -> None:
    assert is_over(until, NOON) is over
    assert shown("soon") == "soon"
