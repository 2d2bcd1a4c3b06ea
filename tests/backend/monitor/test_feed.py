"""What is told of the time between two looks."""

from __future__ import annotations

from dataclasses import replace

from backend.monitor.feed import Feed, Tone
from backend.monitor.snapshot import ConditionSnapshot, DriftedSnapshot, DriftSnapshot
from tests.backend.monitor.snapshots import GOOD, cluster, pod, snapshot, spill


def texts(feed: Feed, *taken: object) -> list[str]:
    return [f"{one.where} {one.text}" for each in taken for one in feed.take(each)]  # type: ignore[arg-type]


def test_a_spill_over_is_told_once() -> None:
    told = texts(Feed(), *map(spill, range(0, 90, 2)))
    assert [text for text in told if "is full" in text] == ["gke-west is full: KV cache at 60%, the target is 60%"]
    assert next(text for text in told if "takes traffic" in text) == "gke-west takes traffic: 100%"
    assert any(text.startswith("gke-east takes traffic: ") for text in told)
    assert "gke-east Pod vllm-llama3-8b-instruct-2ldbs9pkjp-cmc2h is not ready: CrashLoopBackOff" in told


def test_a_figure_that_trembles_around_the_target_is_told_once() -> None:
    feed = Feed()
    looks = [snapshot(at, cluster("a", "r", kv_cache=0.59 + at % 2 * 0.02)) for at in range(20)]
    assert len(texts(feed, *looks)) == 1
    assert texts(feed, snapshot(30, cluster("a", "r", kv_cache=0.3))) == ["a has room again: KV cache at 30%"]


def test_a_region_that_fails_and_recovers() -> None:
    fine = cluster("a", "r", pod("x"))
    gone = cluster("a", "r", reason="no answer within 4 s")
    feed = Feed()
    assert texts(feed, snapshot(0, fine), snapshot(2, gone), snapshot(4, gone), snapshot(6, fine)) == [
        "a cannot be seen: no answer within 4 s",
        "a can be seen again",
    ]


def test_pods_restart_leave_and_come() -> None:
    feed = Feed()
    told = texts(
        feed,
        snapshot(0, cluster("a", "r", pod("x"))),
        snapshot(2, cluster("a", "r", pod("x", restarts=1, ready=False, phase="CrashLoopBackOff"))),
        snapshot(4, cluster("a", "r", pod("y", ready=False, phase="Pending"))),
    )
    x, y = (f"a Pod vllm-llama3-8b-instruct-2ldbs9pkjp-{name}" for name in "xy")
    assert told == [
        f"{x} restarted, 1 times by now",
        f"{x}: Running became CrashLoopBackOff",
        f"{x} is not ready any more",
        f"{y} is new: Pending",
        f"{x} is gone",
    ]


def test_conditions_drains_and_health_of_the_gateway() -> None:
    broken = ConditionSnapshot("HTTPRoute/default", "ResolvedRefs", "False", "BackendNotFound", "GWCER104")
    feed = Feed()
    feed.take(snapshot(0))
    happened = feed.take(
        snapshot(2, gateway={"healthy": False, "conditions": (GOOD[0], broken), "drained": {"r": "a drill"}})
    )
    assert [one.text for one in happened] == [
        "is not healthy",
        "HTTPRoute/default: ResolvedRefs is False, BackendNotFound: GWCER104",
        "r is drained: a drill",
    ]
    assert {one.tone for one in happened} == {Tone.BAD}
    assert texts(feed, snapshot(4)) == [
        "gateway is healthy",
        "gateway HTTPRoute/default: ResolvedRefs is True, ResolvedRefs",
        "gateway r has capacity again",
    ]


def test_machines_that_are_lost_are_counted() -> None:
    looks = (snapshot(at, cluster("a", "r", lost=lost)) for at, lost in enumerate((0, 2, 2, 3)))
    assert texts(Feed(), *looks) == [
        "a lost Pods with their machines, 2 by now",
        "a lost Pods with their machines, 3 by now",
    ]


def test_drift_comes_and_goes_and_what_cannot_be_read_is_no_end_of_it() -> None:
    change = {"field": "Policy/p: spec.a", "before": 1, "after": 2}
    some = DriftSnapshot((DriftedSnapshot("backend-policy", "drifted", (change,)), DriftedSnapshot("pool@a", "absent")))
    drill = DriftSnapshot((DriftedSnapshot("backend-policy", "drained", words="us-east4 is drained by a drill"),))
    drifts = (None, drill, DriftSnapshot(), some, some, DriftSnapshot(reason="no answer"), some, DriftSnapshot())
    told = texts(Feed(), *(replace(snapshot(at), drift=drift) for at, drift in enumerate(drifts)))
    assert told == [
        "stack backend-policy is not as specified: Policy/p: spec.a is 1 and should be 2",
        "stack pool@a is not there",
        "stack backend-policy is as specified again",
        "stack pool@a is as specified again",
    ]
