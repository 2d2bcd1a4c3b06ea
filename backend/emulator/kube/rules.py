"""Values that built-in kinds refuse, in the API server's words.

Modelled on k8s.io/kubernetes/pkg/apis/{core,apps,batch,rbac}/validation; the sentences have not been compared with a
running server. Only rules that a person setting up an inference gateway can break are here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from backend.emulator.kube import admission
from backend.emulator.kube.errors import Cause, invalid_value, literal, required, unsupported
from backend.emulator.kube.registry import CRDS, Kind

Object = dict[str, Any]
Old = Mapping[str, Any] | None

_PULL = ("Always", "IfNotPresent", "Never")
_DNS = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_POD_FIXED = ("nodeName", "containers", "initContainers", "volumes", "serviceAccountName", "restartPolicy")


def broken(kind: Kind, new: Object, old: Old) -> Iterator[Cause]:
    """The causes why an object of a built-in kind is refused."""
    rule = _BY_RESOURCE.get(kind.resource)
    if rule is not None:
        yield from rule(new, old)


def _duplicate(path: str, value: Any) -> Cause:
    return Cause("FieldValueDuplicate", f"Duplicate value: {literal(value)}", path)


def _immutable(path: str, value: Any) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {literal(value)}: field is immutable", path)


def _enumerated(path: str, obj: Mapping[str, Any], field: str, allowed: tuple[str, ...]) -> Iterator[Cause]:
    value = obj.get(field)
    if value is not None and value not in allowed:
        yield unsupported(f"{path}.{field}", value, allowed)


def pod_spec(spec: Object, path: str, policies: tuple[str, ...] = ("Always", "OnFailure", "Never")) -> Iterator[Cause]:
    """The rules of a Pod's spec; ``policies`` are the restart policies that its owner allows."""
    volumes = {volume.get("name") for volume in spec.get("volumes") or ()}
    if not spec.get("containers"):
        yield required(f"{path}.containers")
    names: set[Any] = set()
    for group in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(group) or ()):
            place = f"{path}.{group}[{index}]"
            yield from _container(container, place, volumes, names, starts=group == "initContainers")
    seen: set[Any] = set()
    for index, volume in enumerate(spec.get("volumes") or ()):
        if not volume.get("name"):
            yield required(f"{path}.volumes[{index}].name")
        elif volume["name"] in seen:
            yield _duplicate(f"{path}.volumes[{index}].name", volume["name"])
        seen.add(volume.get("name"))
        for kind, field in (("configMap", "name"), ("secret", "secretName")):
            if volume.get(kind) is not None and not volume[kind].get(field):
                yield required(f"{path}.volumes[{index}].{kind}.{field}")
    yield from _enumerated(path, spec, "restartPolicy", policies)
    yield from _enumerated(path, spec, "dnsPolicy", _DNS)


def _container(container: Object, path: str, volumes: set[Any], names: set[Any], *, starts: bool) -> Iterator[Cause]:
    name = container.get("name")
    if not name:
        yield required(f"{path}.name")
    elif name in names:
        yield _duplicate(f"{path}.name", name)
    names.add(name)
    if not container.get("image"):
        yield required(f"{path}.image")
    yield from _enumerated(path, container, "imagePullPolicy", _PULL)
    if starts:
        yield from _enumerated(path, container, "restartPolicy", ("Always",))
    elif container.get("restartPolicy") is not None:
        text = "Forbidden: may not be set for non-init containers"
        yield Cause("FieldValueForbidden", text, f"{path}.restartPolicy")
    for index, port in enumerate(container.get("ports") or ()):
        yield from _port(port.get("containerPort"), f"{path}.ports[{index}].containerPort")
        yield from _enumerated(f"{path}.ports[{index}]", port, "protocol", _PROTOCOLS)
    for index, variable in enumerate(container.get("env") or ()):
        if not variable.get("name"):
            yield required(f"{path}.env[{index}].name")
        for kind in ("secretKeyRef", "configMapKeyRef"):
            source = (variable.get("valueFrom") or {}).get(kind)
            if source is not None and not source.get("name"):
                yield required(f"{path}.env[{index}].valueFrom.{kind}.name")
        if variable.get("value") and variable.get("valueFrom"):
            detail = "may not be specified when `value` is not empty"
            yield invalid_value(f"{path}.env[{index}].valueFrom", "", detail)
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        if not mount.get("mountPath"):
            yield required(f"{path}.volumeMounts[{index}].mountPath")
        if mount.get("name") not in volumes:
            text = f"Not found: {literal(mount.get('name'))}"
            yield Cause("FieldValueNotFound", text, f"{path}.volumeMounts[{index}].name")
    for index, source in enumerate(container.get("envFrom") or ()):
        for kind in ("secretRef", "configMapRef"):
            if source.get(kind) is not None and not source[kind].get("name"):
                yield required(f"{path}.envFrom[{index}].{kind}.name")
    yield from _resources(container, path)


def _resources(container: Object, path: str) -> Iterator[Cause]:
    resources = container.get("resources") or {}
    for part in ("limits", "requests"):
        for resource, amount in (resources.get(part) or {}).items():
            if "/" in resource and not str(amount).isdecimal():
                yield invalid_value(f"{path}.resources.{part}[{resource}]", str(amount), "must be an integer")
    for resource, amount in (resources.get("requests") or {}).items():
        limit = (resources.get("limits") or {}).get(resource)
        if "/" in resource and limit is not None and str(limit) != str(amount):
            detail = f"must be equal to {resource} limit of {limit}"
            yield invalid_value(f"{path}.resources.requests", str(amount), detail)


def _port(value: Any, path: str) -> Iterator[Cause]:
    if value is None:
        yield required(path)
    elif isinstance(value, int) and not 0 < value < 65536:
        yield invalid_value(path, value, "must be between 1 and 65535, inclusive")


def _pod(new: Object, old: Old) -> Iterator[Cause]:
    yield from pod_spec(new["spec"], "spec")
    if old is not None:
        before, after = old["spec"], new["spec"]
        images = [_without_image(one) for one in (before, after)]
        if any(images[0].get(name) != images[1].get(name) for name in _POD_FIXED):
            text = (
                "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
                "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` "
                "(only additions to existing tolerations),`spec.terminationGracePeriodSeconds` "
                "(allow it to be set to 1 if it was previously negative)"
            )
            yield Cause("FieldValueForbidden", text, "spec")


def _without_image(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: [{key: item for key, item in one.items() if key != "image"} for one in value]
        if name in ("containers", "initContainers")
        else value
        for name, value in spec.items()
    }


def _selected(new: Object, old: Old, policies: tuple[str, ...]) -> Iterator[Cause]:
    spec = new["spec"]
    selector = spec.get("selector")
    if not selector:
        yield required("spec.selector")
    else:
        labels = spec["template"].get("metadata", {}).get("labels") or {}
        wanted = selector.get("matchLabels") or {}
        if not all(labels.get(key) == value for key, value in wanted.items()):
            shown = ", ".join(f'"{key}":{literal(value)}' for key, value in labels.items())
            text = f"Invalid value: {{{shown}}}: `selector` does not match template `labels`"
            yield Cause("FieldValueInvalid", text, "spec.template.metadata.labels")
    if isinstance(spec.get("replicas"), int) and spec["replicas"] < 0:
        yield invalid_value("spec.replicas", spec["replicas"], "must be greater than or equal to 0")
    yield from pod_spec(spec["template"]["spec"], "spec.template.spec", policies)
    if old is not None and old["spec"].get("selector") != selector:
        yield _immutable("spec.selector", selector)


def _deployment(new: Object, old: Old) -> Iterator[Cause]:
    yield from _selected(new, old, ("Always",))
    strategy = new["spec"].get("strategy") or {}
    yield from _enumerated("spec.strategy", strategy, "type", ("Recreate", "RollingUpdate"))
    if strategy.get("type") == "Recreate" and strategy.get("rollingUpdate") is not None:
        text = "Forbidden: may not be specified when strategy `type` is 'Recreate'"
        yield Cause("FieldValueForbidden", text, "spec.strategy.rollingUpdate")
    for field, value in (strategy.get("rollingUpdate") or {}).items():
        yield from _share(value, f"spec.strategy.rollingUpdate.{field}")


def _share(value: Any, path: str) -> Iterator[Cause]:
    """A number of Pods, or a part of them in percent."""
    if isinstance(value, str) and not re.fullmatch(r"[0-9]+%", value):
        detail = (
            "a valid percent string must be a numeric string followed by an ending '%' "
            "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
        )
        yield invalid_value(path, value, detail)
    elif isinstance(value, int) and value < 0:
        yield invalid_value(path, value, "must be greater than or equal to 0")


def _replica_set(new: Object, old: Old) -> Iterator[Cause]:
    yield from _selected(new, old, ("Always",))


def _job(new: Object, old: Old) -> Iterator[Cause]:
    spec = new["spec"]
    policy = spec["template"]["spec"].get("restartPolicy")
    if policy == "Always":
        text = 'Required value: valid values: "OnFailure", "Never"'
        yield Cause("FieldValueRequired", text, "spec.template.spec.restartPolicy")
    yield from pod_spec(spec["template"]["spec"], "spec.template.spec")
    if old is not None and old["spec"].get("template") != spec.get("template"):
        yield _immutable("spec.template", spec["template"])


def _service(new: Object, old: Old) -> Iterator[Cause]:
    spec = new["spec"]
    yield from _enumerated("spec", spec, "type", ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort"))
    ports = spec.get("ports") or []
    if not ports and spec.get("clusterIP") != "None" and spec.get("type") != "ExternalName":
        yield required("spec.ports")
    seen: set[Any] = set()
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        if len(ports) > 1 and not port.get("name"):
            yield required(f"{path}.name")
        if port.get("name") and port["name"] in seen:
            yield _duplicate(f"{path}.name", port["name"])
        seen.add(port.get("name"))
        yield from _port(port.get("port"), f"{path}.port")
        yield from _enumerated(path, port, "protocol", _PROTOCOLS)
    if old is not None and old["spec"].get("clusterIP") not in (None, "", spec.get("clusterIP")):
        yield _immutable("spec.clusterIP", spec.get("clusterIP"))


def _secret(new: Object, old: Old) -> Iterator[Cause]:
    yield from _kept(new, old)
    if old is not None and old.get("type") != new.get("type"):
        yield _immutable("type", new.get("type"))


def _kept(new: Object, old: Old) -> Iterator[Cause]:
    """Data that was declared immutable."""
    if old is not None and old.get("immutable"):
        for field in ("data", "binaryData"):
            if old.get(field) != new.get(field):
                text = "Forbidden: field is immutable when `immutable` is set"
                yield Cause("FieldValueForbidden", text, field)


def _role_binding(new: Object, old: Old) -> Iterator[Cause]:
    reference = new.get("roleRef") or {}
    if not reference.get("name"):
        yield required("roleRef.name")
    if reference.get("kind") not in ("Role", "ClusterRole"):
        yield unsupported("roleRef.kind", reference.get("kind", ""), ("Role", "ClusterRole"))
    if old is not None and old.get("roleRef") != reference:
        yield Cause("FieldValueInvalid", f"Invalid value: {literal(reference)}: cannot change roleRef", "roleRef")


def _definition(new: Object, _old: Old) -> Iterator[Cause]:
    spec = new["spec"]
    names = spec.get("names") or {}
    for field in ("plural", "kind"):
        if not names.get(field):
            yield required(f"spec.names.{field}")
    expected = f"{names.get('plural', '')}.{spec.get('group', '')}"
    if new["metadata"].get("name") != expected:
        detail = 'must be spec.names.plural+"."+spec.group'
        yield invalid_value("metadata.name", new["metadata"].get("name"), detail)
    yield from _enumerated("spec", spec, "scope", ("Cluster", "Namespaced"))
    if sum(bool(version.get("storage")) for version in spec.get("versions") or ()) != 1:
        detail = "must have exactly one version marked as storage version"
        yield invalid_value("spec.versions", spec.get("versions"), detail)
    for index, version in enumerate(spec.get("versions") or ()):
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            yield required(f"spec.versions[{index}].schema.openAPIV3Schema", "schemas are required")


def _policy(new: Object, _old: Old) -> Iterator[Cause]:
    spec = new["spec"]
    yield from _enumerated("spec", spec, "failurePolicy", ("Fail", "Ignore"))
    if not (spec.get("matchConstraints") or {}).get("resourceRules"):
        yield required("spec.matchConstraints.resourceRules")
    if not spec.get("validations") and not spec.get("auditAnnotations"):
        yield required("spec.validations", "validations or auditAnnotations must be set")
    yield from admission.problems(new)


def _binding(new: Object, _old: Old) -> Iterator[Cause]:
    if not new["spec"].get("policyName"):
        yield required("spec.policyName")
    if not new["spec"].get("validationActions"):
        yield required("spec.validationActions")


_BY_RESOURCE: dict[str, Callable[[Object, Old], Iterator[Cause]]] = {
    "/pods": _pod,
    "/services": _service,
    "/secrets": _secret,
    "/configmaps": _kept,
    "apps/deployments": _deployment,
    "apps/replicasets": _replica_set,
    "batch/jobs": _job,
    "rbac.authorization.k8s.io/rolebindings": _role_binding,
    "rbac.authorization.k8s.io/clusterrolebindings": _role_binding,
    CRDS: _definition,
    admission.POLICIES: _policy,
    admission.BINDINGS: _binding,
}
