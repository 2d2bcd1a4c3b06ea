"""Defaults of built-in kinds: what the API server fills in, as far as clients and controllers rely on it.

Modelled on the SetDefaults functions of k8s.io/kubernetes/pkg/apis and the admission plugins that are on by default;
not compared with a running server.
Invariant: filling is idempotent, and a field that is set is never changed.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Address
from typing import Any

from backend.emulator.kube.registry import CRDS, Kind

Object = dict[str, Any]
_RBAC = "rbac.authorization.k8s.io"
_FIRST_SERVICE_IP = IPv4Address("34.118.224.1")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def fill(kind: Kind, obj: Object) -> None:
    """Sets the defaults of a built-in kind in place."""
    default = _BY_RESOURCE.get(kind.resource)
    if default is not None:
        default(obj)


def on_create(kind: Kind, obj: Object, listed: Callable[[str], list[Object]]) -> None:
    """What admission adds to a new object; ``listed`` gives the objects of a resource."""
    if kind.has_status and not kind.custom:
        obj.setdefault("status", {})
    if kind.resource == "/pods":
        _admit_pod(obj)
    elif kind.resource == "/services":
        _give_address(obj, listed("/services"))
    elif kind.resource == "/namespaces":
        obj["status"].setdefault("phase", "Active")
    elif kind.resource == "batch/jobs":
        _admit_job(obj)


def on_update(kind: Kind, obj: Object, live: Mapping[str, Any]) -> None:
    """Keeps what the server gave at creation and an update may leave out."""
    if kind.resource == "/services" and obj.get("spec", {}).get("type") != "ExternalName":
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if not obj["spec"].get(name) and name in live.get("spec", {}):
                obj["spec"][name] = live["spec"][name]


def _put(obj: Object, **values: Any) -> None:
    for name, value in values.items():
        if obj.get(name) is None:
            obj[name] = value


def _items(obj: Object, name: str) -> Iterator[Object]:
    yield from (item for item in obj.get(name) or () if isinstance(item, dict))


def _part(obj: Object, name: str) -> Object:
    part = obj.get(name)
    if not isinstance(part, dict):
        part = obj[name] = {}
    return part


def pod_spec(spec: Object) -> None:
    """Defaults of a Pod's spec, in a Pod or in a template."""
    _put(
        spec,
        restartPolicy="Always",
        dnsPolicy="ClusterFirst",
        schedulerName="default-scheduler",
        terminationGracePeriodSeconds=30,
        securityContext={},
    )
    if spec.get("serviceAccountName") or spec.get("serviceAccount"):
        account = spec.get("serviceAccountName") or spec["serviceAccount"]
        _put(spec, serviceAccountName=account, serviceAccount=account)
    for container in (*_items(spec, "initContainers"), *_items(spec, "containers")):
        _container(container)
    for volume in _items(spec, "volumes"):
        if not volume.keys() - {"name"}:
            volume["emptyDir"] = {}
        for source in ("configMap", "secret", "projected", "downwardAPI"):
            if isinstance(volume.get(source), dict):
                _put(volume[source], defaultMode=420)


def _container(container: Object) -> None:
    image = str(container.get("image") or "")
    tag = image.rpartition("/")[2].partition(":")[2]
    always = "@" not in image and tag in ("", "latest")
    _put(
        container,
        imagePullPolicy="Always" if always else "IfNotPresent",
        resources={},
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
    )
    for port in _items(container, "ports"):
        _put(port, protocol="TCP")
    for variable in _items(container, "env"):
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference:
            _put(reference, apiVersion="v1")
    for name in _PROBES:
        probe = container.get(name)
        if isinstance(probe, dict):
            _put(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
            if isinstance(probe.get("httpGet"), dict):
                _put(probe["httpGet"], path="/", scheme="HTTP")
            if isinstance(probe.get("grpc"), dict):
                _put(probe["grpc"], service="")


def _pod(pod: Object) -> None:
    spec = _part(pod, "spec")
    pod_spec(spec)
    _put(spec, enableServiceLinks=True)
    for container in (*_items(spec, "initContainers"), *_items(spec, "containers")):
        limits = container["resources"].get("limits")
        if limits:
            container["resources"]["requests"] = {**limits, **(container["resources"].get("requests") or {})}


def _admit_pod(pod: Object) -> None:
    spec = pod["spec"]
    _put(spec, serviceAccountName="default", serviceAccount="default")
    _put(spec, priority=0, preemptionPolicy="PreemptLowerPriority")
    tolerations = spec.setdefault("tolerations", [])
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(one.get("key") == key for one in tolerations):
            tolerations.append({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})
    _put(_part(pod, "status"), phase="Pending", qosClass=_quality(spec))


def _quality(spec: Object) -> str:
    wanted = [container.get("resources") or {} for container in spec.get("containers") or ()]
    wanted = [{part: _compute(one.get(part) or {}) for part in ("limits", "requests")} for one in wanted]
    if not any(one["limits"] or one["requests"] for one in wanted):
        return "BestEffort"
    even = all(one["limits"] == one["requests"] and len(one["limits"]) == 2 for one in wanted)
    return "Guaranteed" if even else "Burstable"


def _compute(amounts: Object) -> Object:
    return {name: amount for name, amount in amounts.items() if name in ("cpu", "memory")}


def _template(spec: Object) -> None:
    pod_spec(_part(_part(spec, "template"), "spec"))
    _part(spec["template"], "metadata")


def _deployment(obj: Object) -> None:
    spec = _part(obj, "spec")
    _put(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = _part(spec, "strategy")
    _put(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _put(_part(strategy, "rollingUpdate"), maxSurge="25%", maxUnavailable="25%")
    _template(spec)


def _replica_set(obj: Object) -> None:
    spec = _part(obj, "spec")
    _put(spec, replicas=1)
    _template(spec)


def _job(obj: Object) -> None:
    spec = _part(obj, "spec")
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    _put(spec, parallelism=1, backoffLimit=6, completionMode="NonIndexed", suspend=False, manualSelector=False)
    _put(spec, podReplacementPolicy="TerminatingOrFailed")
    _template(spec)


def _admit_job(job: Object) -> None:
    if job["spec"].get("manualSelector"):
        return
    uid, name = job["metadata"]["uid"], job["metadata"].get("name", "")
    labels = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    meta = _part(job["spec"]["template"], "metadata")
    meta["labels"] = {**(meta.get("labels") or {}), **labels}
    job["spec"]["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}


def _service(obj: Object) -> None:
    spec = _part(obj, "spec")
    _put(spec, type="ClusterIP", sessionAffinity="None")
    for port in _items(spec, "ports"):
        _put(port, protocol="TCP", targetPort=port.get("port"))
    if spec["type"] != "ExternalName":
        _put(spec, internalTrafficPolicy="Cluster")


def _give_address(service: Object, others: list[Object]) -> None:
    spec = service["spec"]
    if spec["type"] == "ExternalName":
        return
    if not spec.get("clusterIP"):
        taken = {other["spec"].get("clusterIP") for other in others}
        address = _FIRST_SERVICE_IP
        while str(address) in taken:
            address += 1
        spec["clusterIP"] = str(address)
    _put(spec, clusterIPs=[spec["clusterIP"]], ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack")
    _put(service["status"], loadBalancer={})


def _secret(obj: Object) -> None:
    _put(obj, type="Opaque")
    plain = obj.pop("stringData", None)
    if isinstance(plain, dict):
        encoded = {key: base64.b64encode(str(text).encode()).decode() for key, text in plain.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}


def _namespace(obj: Object) -> None:
    meta = obj["metadata"]
    meta["labels"] = {**(meta.get("labels") or {}), "kubernetes.io/metadata.name": meta.get("name", "")}
    _put(_part(obj, "spec"), finalizers=["kubernetes"])


def _binding(obj: Object) -> None:
    if isinstance(obj.get("roleRef"), dict):
        _put(obj["roleRef"], apiGroup=_RBAC)
    for subject in _items(obj, "subjects"):
        if subject.get("kind") in ("User", "Group"):
            _put(subject, apiGroup=_RBAC)
        else:
            _put(subject, namespace=subject.get("namespace") or "")
            if not subject["namespace"]:
                del subject["namespace"]


def _policy(obj: Object) -> None:
    spec = _part(obj, "spec")
    _put(spec, failurePolicy="Fail")
    _matching(spec.get("matchConstraints"))


def _policy_binding(obj: Object) -> None:
    _matching(_part(obj, "spec").get("matchResources"))


def _matching(resources: Any) -> None:
    if isinstance(resources, dict):
        _put(resources, matchPolicy="Equivalent", namespaceSelector={}, objectSelector={})
        for rule in (*_items(resources, "resourceRules"), *_items(resources, "excludeResourceRules")):
            _put(rule, scope="*")


def _definition(obj: Object) -> None:
    spec = _part(obj, "spec")
    _put(spec, conversion={"strategy": "None"})
    names = _part(spec, "names")
    kind = str(names.get("kind") or "")
    _put(names, singular=kind.lower(), listKind=f"{kind}List")


def _autoscaler(obj: Object) -> None:
    _put(_part(obj, "spec"), minReplicas=1)


_BY_RESOURCE: dict[str, Callable[[Object], None]] = {
    "/pods": _pod,
    "/services": _service,
    "/secrets": _secret,
    "/namespaces": _namespace,
    "apps/deployments": _deployment,
    "apps/replicasets": _replica_set,
    "batch/jobs": _job,
    f"{_RBAC}/rolebindings": _binding,
    f"{_RBAC}/clusterrolebindings": _binding,
    "admissionregistration.k8s.io/validatingadmissionpolicies": _policy,
    "admissionregistration.k8s.io/validatingadmissionpolicybindings": _policy_binding,
    CRDS: _definition,
    "autoscaling/horizontalpodautoscalers": _autoscaler,
}
