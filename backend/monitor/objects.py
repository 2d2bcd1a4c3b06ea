"""What Kubernetes says of Pods and of the gateway's objects, read into snapshots; pure functions.

Invariant: what is not said is unknown and never assumed good.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from backend.clients.kinds import GATEWAY, Kind
from backend.drill_mark import UNTIL, is_over, shown
from backend.monitor.snapshot import ConditionSnapshot, PodSnapshot

Object = Mapping[str, Any]


def pod_seen(pod: Object) -> PodSnapshot:
    """A Pod without its figures; what its container waits for says more than its phase."""
    status: Object = pod.get("status") or {}
    told = {one["type"]: one["status"] for one in status.get("conditions") or ()}
    containers: list[Object] = [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]
    waiting = next(
        (why for one in containers if (why := (one.get("state") or {}).get("waiting", {}).get("reason"))), None
    )
    ending = "deletionTimestamp" in pod["metadata"]
    return PodSnapshot(
        name=pod["metadata"]["name"],
        node=(pod.get("spec") or {}).get("nodeName"),
        ready=told.get("Ready") == "True" and not ending,
        phase="Terminating" if ending else waiting or str(status.get("reason") or status.get("phase", "Unknown")),
        restarts=sum(int(one.get("restartCount") or 0) for one in containers),
    )


def why(error: BaseException, limit_s: float) -> str:
    """Why something could not be read, without saying what: that stands where the reason is shown.

    >>> why(TimeoutError(), 4.0)
    'no answer within 4 s'
    """
    text = str(error)
    return text.partition(": ")[2] or text or f"no answer within {limit_s:g} s"


def over(pod: Object) -> bool:
    """Whether a Pod has ended for good; what stays of it is a record."""
    return (pod.get("status") or {}).get("phase") in {"Failed", "Succeeded"}


def lost(pod: Object) -> bool:
    """Whether a Pod ended, or ends, because its machine went away, as Spot machines do.

    Kubernetes says so in a condition (kubernetes.io/docs/concepts/workloads/pods/disruptions), older kubelets in a
    reason.
    """
    status: Object = pod.get("status") or {}
    told = {one.get("type"): one for one in status.get("conditions") or ()}
    if (told.get("DisruptionTarget") or {}).get("status") == "True":
        return True
    return over(pod) and status.get("reason") in {"Terminated", "NodeShutdown", "Preempted", "Shutdown"}


def policy_said(policy: Object, now: datetime) -> tuple[str | None, float | None, Mapping[str, str]]:
    """Of a GCPBackendPolicy its mode, its target 0..1 for the KV cache, and the regions without capacity."""
    default: Object = (policy.get("spec") or {}).get("default") or {}
    percents = [one.get("maxUtilizationPercent") for one in default.get("customMetrics") or () if not one.get("dryRun")]
    target = next((float(one) / 100 for one in percents if isinstance(one, int | float)), None)
    until = (policy["metadata"].get("annotations") or {}).get(UNTIL)
    drill = "" if not until else f", by a drill until {shown(until)}"
    if until and is_over(until, now):
        drill = f": a drill that meant to be over at {shown(until)} was killed"
    drained = {}
    for scope in default.get("scopes") or ():
        region = (scope.get("selector") or {}).get("gke.io/region")
        if region and scope.get("capacityScalerPercent") == 0:
            drained[str(region)] = f"{policy['metadata']['name']} gives it no capacity{drill}"
    if default.get("capacityScalerPercent") == 0:
        drained["*"] = f"{policy['metadata']['name']} gives no cluster capacity{drill}"
    return default.get("balancingMode"), target, drained


def conditions_of(kind: Kind, obj: Object) -> Iterator[ConditionSnapshot]:
    """What controllers say of an object, a route's parents included."""
    status: Object = obj.get("status") or {}
    parents: Iterable[Object] = status.get("parents") or ()
    told = [*(status.get("conditions") or ()), *(one for each in parents for one in each.get("conditions") or ())]
    for one in told:
        yield ConditionSnapshot(
            object=f"{kind.name}/{obj['metadata']['name']}",
            type=str(one.get("type", "")),
            status=str(one.get("status", "Unknown")),
            reason=str(one.get("reason") or ""),
            message=str(one.get("message") or ""),
        )


def gateway_healthy(conditions: Iterable[ConditionSnapshot], gateway: str) -> bool | None:
    """Whether the Gateway is programmed and has healthy backends; None while nobody says so."""
    states = {
        one.type.rpartition("/")[2]: one.status for one in conditions if one.object == f"{GATEWAY.name}/{gateway}"
    }
    known = [states[name] for name in ("Programmed", "GatewayHealthy") if states.get(name) in {"True", "False"}]
    return all(state == "True" for state in known) if known else None
