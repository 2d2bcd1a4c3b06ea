"""The columns of built-in kinds in ``kubectl get``.

Source: k8s.io/kubernetes/pkg/printers/internalversion. A cell is a function of the object and the unix time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

Object = Mapping[str, Any]
Cell = Callable[[Object, float], Any]


def since(timestamp: str | None, now: float) -> str:
    """The age at ``now`` (unix seconds) of an RFC 3339 time, as kubectl prints it."""
    if not timestamp:
        return "<unknown>"
    return duration(max(0, int(now - datetime.fromisoformat(timestamp).timestamp())))


def duration(seconds: int) -> str:
    """Seconds as kubectl prints ages: 119s, 3m5s, 12m, 3h2m, 9h, 2d3h, 9d, 2y3d."""
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 730:
        return f"{days}d"
    return f"{days // 365}y{days % 365}d" if days < 2920 and days % 365 else f"{days // 365}y"


def age(obj: Object, now: float) -> str:
    """How long ago an object was created."""
    return since(obj["metadata"].get("creationTimestamp"), now)


def _at(*path: str, default: Any = None) -> Cell:
    def cell(obj: Object, _now: float) -> Any:
        value: Any = obj
        for step in path:
            value = value.get(step) if isinstance(value, Mapping) else None
        return default if value is None else value

    return cell


def _statuses(obj: Object) -> list[Mapping[str, Any]]:
    return list((obj.get("status") or {}).get("containerStatuses") or ())


def _sidecars(obj: Object) -> list[Mapping[str, Any]]:
    names = {one["name"] for one in obj["spec"].get("initContainers") or () if one.get("restartPolicy") == "Always"}
    found = (obj.get("status") or {}).get("initContainerStatuses") or ()
    return [one for one in found if one.get("name") in names]


def _pod_ready(obj: Object, _now: float) -> str:
    sidecars = [one for one in obj["spec"].get("initContainers") or () if one.get("restartPolicy") == "Always"]
    total = len(obj["spec"]["containers"]) + len(sidecars)
    return f"{sum(bool(one.get('ready')) for one in (*_statuses(obj), *_sidecars(obj)))}/{total}"


def _pod_status(obj: Object, _now: float) -> str:
    status = obj.get("status") or {}
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for one in status.get("initContainerStatuses") or ():
        state = one.get("state") or {}
        reason = (state.get("waiting") or state.get("terminated") or {}).get("reason")
        if reason and reason not in ("Completed", "PodInitializing"):
            return f"Init:{reason}"
    reason = status.get("reason") or status.get("phase") or "Unknown"
    for one in status.get("containerStatuses") or ():
        state = one.get("state") or {}
        inner = state.get("waiting") or state.get("terminated")
        if inner and inner.get("reason"):
            reason = inner["reason"]
    return str(reason)


def _restarts(obj: Object, _now: float) -> str:
    return str(sum(int(one.get("restartCount") or 0) for one in (*_statuses(obj), *_sidecars(obj))))


def _fraction(top: str, bottom: tuple[str, str]) -> Cell:
    def cell(obj: Object, _now: float) -> str:
        wanted = (obj.get(bottom[0]) or {}).get(bottom[1]) or 0
        return f"{(obj.get('status') or {}).get(top) or 0}/{wanted}"

    return cell


def _containers(part: str, *path: str) -> Cell:
    def cell(obj: Object, _now: float) -> str:
        spec: Any = obj
        for step in path:
            spec = spec.get(step) or {}
        return ",".join(str(one.get(part)) for one in spec.get("containers") or ())

    return cell


def _selector(*path: str) -> Cell:
    value = _at(*path)

    def cell(obj: Object, now: float) -> str:
        labels = value(obj, now) or {}
        return ",".join(f"{key}={text}" for key, text in labels.items()) or "<none>"

    return cell


def _ports(obj: Object, _now: float) -> str:
    ports = obj["spec"].get("ports") or ()
    return ",".join(f"{one['port']}/{one.get('protocol', 'TCP')}" for one in ports) or "<none>"


def _external(obj: Object, _now: float) -> str:
    spec = obj["spec"]
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName"))
    ingress = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return ",".join(str(one.get("ip") or one.get("hostname")) for one in ingress) or "<none>"


def _size(*fields: str) -> Cell:
    return lambda obj, _now: str(sum(len(obj.get(field) or ()) for field in fields))


def _node_status(obj: Object, _now: float) -> str:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    ready = next((one["status"] for one in conditions if one["type"] == "Ready"), "Unknown")
    text = {"True": "Ready", "False": "NotReady"}.get(ready, "Unknown")
    return f"{text},SchedulingDisabled" if obj["spec"].get("unschedulable") else text


def _node_address(wanted: str) -> Cell:
    def cell(obj: Object, _now: float) -> str:
        found = (obj.get("status") or {}).get("addresses") or ()
        return next((one["address"] for one in found if one["type"] == wanted), "<none>")

    return cell


def _job_status(obj: Object, _now: float) -> str:
    for one in (obj.get("status") or {}).get("conditions") or ():
        if one["status"] == "True" and one["type"] in ("Complete", "Failed", "Suspended"):
            return str(one["type"])
    return "Running"


def _job_duration(obj: Object, now: float) -> str:
    status = obj.get("status") or {}
    if not status.get("startTime"):
        return ""
    end = status.get("completionTime")
    until = datetime.fromisoformat(end).timestamp() if end else now
    return since(status["startTime"], until)


def _event_object(obj: Object, _now: float) -> str:
    about = obj.get("involvedObject") or {}
    return f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}"


def _event_source(obj: Object, _now: float) -> str:
    source = obj.get("source") or {}
    named = (source.get("component") or obj.get("reportingComponent"), source.get("host"))
    return ", ".join(str(one) for one in named if one)


def _first_seen(obj: Object, now: float) -> str:
    return since(obj.get("firstTimestamp") or obj.get("eventTime"), now)


def _last_seen(obj: Object, now: float) -> str:
    last = since(obj.get("lastTimestamp") or obj.get("eventTime") or obj.get("firstTimestamp"), now)
    count = obj.get("count") or 1
    return f"{last} (x{count} over {_first_seen(obj, now)})" if count > 1 else last


def _created(obj: Object, _now: float) -> str:
    moment = obj["metadata"].get("creationTimestamp")
    return datetime.fromisoformat(moment).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""


def _role(obj: Object, _now: float) -> str:
    reference = obj.get("roleRef") or {}
    return f"{reference.get('kind')}/{reference.get('name')}"


_AGE = ("Age", 0, age)
_NOTHING: Cell = lambda _obj, _now: "<none>"  # noqa: E731
_TEMPLATE = ("spec", "template", "spec")

COLUMNS: dict[str, tuple[tuple[str, int, Cell], ...]] = {
    "/pods": (
        ("Ready", 0, _pod_ready),
        ("Status", 0, _pod_status),
        ("Restarts", 0, _restarts),
        _AGE,
        ("IP", 1, _at("status", "podIP", default="<none>")),
        ("Node", 1, _at("spec", "nodeName", default="<none>")),
        ("Nominated Node", 1, _NOTHING),
        ("Readiness Gates", 1, _NOTHING),
    ),
    "apps/deployments": (
        ("Ready", 0, _fraction("readyReplicas", ("spec", "replicas"))),
        ("Up-to-date", 0, _at("status", "updatedReplicas", default=0)),
        ("Available", 0, _at("status", "availableReplicas", default=0)),
        _AGE,
        ("Containers", 1, _containers("name", *_TEMPLATE)),
        ("Images", 1, _containers("image", *_TEMPLATE)),
        ("Selector", 1, _selector("spec", "selector", "matchLabels")),
    ),
    "apps/replicasets": (
        ("Desired", 0, _at("spec", "replicas", default=0)),
        ("Current", 0, _at("status", "replicas", default=0)),
        ("Ready", 0, _at("status", "readyReplicas", default=0)),
        _AGE,
        ("Containers", 1, _containers("name", *_TEMPLATE)),
        ("Images", 1, _containers("image", *_TEMPLATE)),
        ("Selector", 1, _selector("spec", "selector", "matchLabels")),
    ),
    "batch/jobs": (
        ("Status", 0, _job_status),
        ("Completions", 0, _fraction("succeeded", ("spec", "completions"))),
        ("Duration", 0, _job_duration),
        _AGE,
    ),
    "/services": (
        ("Type", 0, _at("spec", "type")),
        ("Cluster-IP", 0, _at("spec", "clusterIP", default="<none>")),
        ("External-IP", 0, _external),
        ("Port(s)", 0, _ports),
        _AGE,
        ("Selector", 1, _selector("spec", "selector")),
    ),
    "/configmaps": (("Data", 0, _size("data", "binaryData")), _AGE),
    "/secrets": (("Type", 0, _at("type")), ("Data", 0, _size("data")), _AGE),
    "/serviceaccounts": (("Secrets", 0, _size("secrets")), _AGE),
    "/namespaces": (("Status", 0, _at("status", "phase")), _AGE),
    "/nodes": (
        ("Status", 0, _node_status),
        ("Roles", 0, _NOTHING),
        _AGE,
        ("Version", 0, _at("status", "nodeInfo", "kubeletVersion", default="")),
        ("Internal-IP", 1, _node_address("InternalIP")),
        ("External-IP", 1, _node_address("ExternalIP")),
        ("OS-Image", 1, _at("status", "nodeInfo", "osImage", default="<unknown>")),
        ("Kernel-Version", 1, _at("status", "nodeInfo", "kernelVersion", default="<unknown>")),
        ("Container-Runtime", 1, _at("status", "nodeInfo", "containerRuntimeVersion", default="<unknown>")),
    ),
    "/events": (
        ("Last Seen", 0, _last_seen),
        ("Type", 0, _at("type", default="")),
        ("Reason", 0, _at("reason", default="")),
        ("Object", 0, _event_object),
        ("Subobject", 1, _at("involvedObject", "fieldPath", default="")),
        ("Source", 1, _event_source),
        ("Message", 0, _at("message", default="")),
        ("First Seen", 1, _first_seen),
        ("Count", 1, _at("count", default=1)),
        ("Name", 1, _at("metadata", "name")),
    ),
    "coordination.k8s.io/leases": (("Holder", 0, _at("spec", "holderIdentity", default="")), _AGE),
    "rbac.authorization.k8s.io/roles": (("Created At", 0, _created),),
    "rbac.authorization.k8s.io/clusterroles": (("Created At", 0, _created),),
    "rbac.authorization.k8s.io/rolebindings": (("Role", 0, _role), _AGE),
    "rbac.authorization.k8s.io/clusterrolebindings": (("Role", 0, _role), _AGE),
    "apiextensions.k8s.io/customresourcedefinitions": (("Created At", 0, _created),),
}
