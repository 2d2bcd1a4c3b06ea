"""Reading Pods and conditions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backend.clients.kinds import GATEWAY, HTTP_ROUTE
from backend.monitor.objects import conditions_of, gateway_healthy, lost, over, pod_seen, policy_said


def pod(status: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p", **metadata}, "spec": {"nodeName": "n"}, "status": status}


READY = {"type": "Ready", "status": "True"}


@pytest.mark.parametrize(
    ("seen", "phase", "ready", "restarts"),
    [
        (pod({"phase": "Running", "conditions": [READY]}), "Running", True, 0),
        (pod({"phase": "Running", "conditions": [READY]}, deletionTimestamp="t"), "Terminating", False, 0),
        (pod({"phase": "Failed", "reason": "Preempted"}), "Preempted", False, 0),
        (
            pod(
                {
                    "phase": "Running",
                    "containerStatuses": [
                        {"restartCount": 3, "state": {"running": {}}},
                        {"restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}}},
                    ],
                }
            ),
            "CrashLoopBackOff",
            False,
            5,
        ),
        (pod({}), "Unknown", False, 0),
    ],
)
def test_a_pod_says_how_it_is(seen: dict[str, Any], phase: str, ready: bool, restarts: int) -> None:
    found = pod_seen(seen)
    assert (found.phase, found.ready, found.restarts, found.kv_cache) == (phase, ready, restarts, None)


def condition(kind: str, status: str) -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": "R", "message": "m"}


def test_a_gateway_is_healthy_when_programmed_and_its_backends_are() -> None:
    def healthy(*told: dict[str, Any]) -> bool | None:
        return gateway_healthy(conditions_of(GATEWAY, {"metadata": {"name": "g"}, "status": {"conditions": told}}), "g")

    programmed = condition("Programmed", "True")
    assert healthy() is None
    assert healthy(condition("Programmed", "Unknown")) is None
    assert healthy(programmed, condition("networking.gke.io/GatewayHealthy", "True")) is True
    assert healthy(programmed, condition("networking.gke.io/GatewayHealthy", "False")) is False


def test_a_routes_conditions_are_those_of_its_parents() -> None:
    route = {"metadata": {"name": "r"}, "status": {"parents": [{"conditions": [condition("Accepted", "False")]}]}}
    (found,) = conditions_of(HTTP_ROUTE, route)
    assert (found.object, found.type, found.status, found.reason) == ("HTTPRoute/r", "Accepted", "False", "R")


def test_a_pod_that_lost_its_machine_is_told_from_one_that_failed() -> None:
    disrupted = {"type": "DisruptionTarget", "status": "True"}
    assert lost(pod({"phase": "Running", "conditions": [disrupted]}))
    assert lost(pod({"phase": "Failed", "reason": "Terminated"}))
    assert not lost(pod({"phase": "Failed", "reason": "Evicted"}))
    assert over(pod({"phase": "Failed"}))
    assert not over(pod({"phase": "Running"}))


def test_a_live_policy_says_its_target_and_what_it_drains() -> None:
    policy: dict[str, Any] = {
        "metadata": {"name": "b", "annotations": {"mcig-drill-until": "2026-11-22T12:00:00+00:00"}},
        "spec": {
            "default": {
                "balancingMode": "CUSTOM_METRICS",
                "customMetrics": [{"dryRun": True, "maxUtilizationPercent": 10}, {"maxUtilizationPercent": 30}],
                "scopes": [
                    {"selector": {"gke.io/region": "us-east4"}, "capacityScalerPercent": 0},
                    {"selector": {"gke.io/region": "europe-west3"}, "capacityScalerPercent": 50},
                ],
            }
        },
    }
    end = datetime(2026, 11, 22, 12, tzinfo=UTC)
    here = f"{end.astimezone():%H:%M:%S}"
    mode, target, drained = policy_said(policy, end - timedelta(seconds=1))
    assert (mode, target) == ("CUSTOM_METRICS", 0.3)
    assert drained == {"us-east4": f"b gives it no capacity, by a drill until {here}"}
    _, _, drained = policy_said(policy, end + timedelta(seconds=1))
    assert drained == {"us-east4": f"b gives it no capacity: a drill that meant to be over at {here} was killed"}
    assert policy_said({"metadata": {"name": "b"}, "spec": None}, end) == (None, None, {})
