"""What stands beside the monitor's table: drift, objectives, what was lost."""

from __future__ import annotations

from dataclasses import replace

from backend.monitor import DriftedSnapshot, DriftSnapshot, Snapshot
from tests.backend.monitor.snapshots import cluster, pod, snapshot
from tui.history import History
from tui.monitor_details import details
from tui.monitor_text import drifted, drilled, monitor_lines
from tui.style import Style

CHANGES = (
    {"field": "GCPBackendPolicy/p: spec.default.timeoutSec", "before": 55, "after": 100},
    {"field": "GCPBackendPolicy/p: spec.default.scopes", "before": "x" * 50, "after": None},
)
SOME = DriftSnapshot(
    (DriftedSnapshot("backend-policy", "drifted", CHANGES), DriftedSnapshot("pool@gke-east", "absent"))
)


def seen(drift: DriftSnapshot | None) -> Snapshot:
    looked = snapshot(0, cluster("gke-west", "europe-west3", pod("x"), lost=2), gateway={"objectives": {"food": 10}})
    return replace(looked, drift=drift)


def told(drift: DriftSnapshot | None, *selected: str) -> list[str]:
    return details(seen(drift), (selected[0], None) if selected else None)[1].plain.splitlines()


def test_drift_is_told_field_by_field_with_the_objects_name_once() -> None:
    lines = told(SOME)
    assert lines[0] == (
        "~ backend-policy is not as specified: GCPBackendPolicy/p: spec.default.timeoutSec is 55 and should be 100, "
        f"spec.default.scopes is {'x' * 39}… and should be not set"
    )
    assert lines[1] == "~ pool@gke-east is not there"


def test_much_drift_is_told_in_part_with_how_much_more_there_is() -> None:
    much = DriftSnapshot(tuple(DriftedSnapshot(f"pool@gke-{number}", "absent") for number in range(40)))
    lines = [line for line in told(much) if line.startswith("~")]
    assert lines[11:] == ["~ pool@gke-11 is not there", f"~ and 28 more; `mcig status {seen(much).stack}` tells all"]


def test_a_drill_is_no_drift_and_tells_the_way_out_of_a_killed_one() -> None:
    drill = DriftSnapshot((DriftedSnapshot("backend-policy", "drained", words="us-east4 is drained by a drill"),))
    told_so = f"us-east4 is drained by a drill; where no drill runs any more, `mcig apply {seen(drill).stack} --only "
    assert told(drill)[0].startswith(f"… {told_so}")
    assert (drifted(drill), drilled(drill), drilled(SOME)) == ("", "us-east4 is drained by a drill", "")
    assert told_so in "\n".join(monitor_lines(seen(drill), Style(width=200)))


def test_no_drift_is_told_only_where_it_was_looked_for() -> None:
    assert told(DriftSnapshot())[0] == "✓ as specified"
    assert not [line for line in told(None) if "specified" in line]
    assert told(DriftSnapshot(reason="gke-east: no answer"))[0] == "? drift unknown: gke-east: no answer"


def test_a_cluster_tells_what_it_lost_and_the_gateway_its_objectives() -> None:
    lines = told(None, "gke-west")
    assert any("1/1 ready, 2 lost to spot" in line for line in lines)
    assert any("food with priority 10" in line for line in lines)


def test_plain_text_and_header_tell_drift() -> None:
    assert [drifted(drift) for drift in (None, DriftSnapshot(), SOME)] == ["", "", "2 resources not as specified"]
    text = "\n".join(monitor_lines(seen(SOME), Style(width=200)))
    assert "pool@gke-east is not there" in text
    late = "\n".join(monitor_lines(seen(DriftSnapshot(reason="gke-east: no answer")), Style(width=200)))
    assert "… drift unknown: gke-east: no answer" in late


def test_pods_of_a_cluster_that_cannot_be_seen_have_a_gap() -> None:
    history, one = History(), pod("x", kv_cache=0.5)
    for reason in (None, "no answer", None):
        history.take(snapshot(0, cluster("a", "r", *(() if reason else (one,)), reason=reason)))
    assert history.of_pod("a", one).latest(3) == [0.5, None, 0.5]
