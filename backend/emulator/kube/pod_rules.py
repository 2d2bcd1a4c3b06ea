"""Values that Pods refuse, in the API server's words; modelled on k8s.io/kubernetes/pkg/apis/core/validation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from backend.emulator.kube.errors import Cause, invalid_value, literal, required
from backend.emulator.kube.refused import PROTOCOLS, duplicate, enumerated, port_number

Object = dict[str, Any]
Old = Mapping[str, Any] | None

_PULL = ("Always", "IfNotPresent", "Never")
_DNS = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
_POD_FIXED = ("nodeName", "containers", "initContainers", "volumes", "serviceAccountName", "restartPolicy")


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
            yield duplicate(f"{path}.volumes[{index}].name", volume["name"])
        seen.add(volume.get("name"))
        for kind, field in (("configMap", "name"), ("secret", "secretName")):
            if volume.get(kind) is not None and not volume[kind].get(field):
                yield required(f"{path}.volumes[{index}].{kind}.{field}")
    yield from enumerated(path, spec, "restartPolicy", policies)
    yield from enumerated(path, spec, "dnsPolicy", _DNS)


def _container(container: Object, path: str, volumes: set[Any], names: set[Any], *, starts: bool) -> Iterator[Cause]:
    name = container.get("name")
    if not name:
        yield required(f"{path}.name")
    elif name in names:
        yield duplicate(f"{path}.name", name)
    names.add(name)
    if not container.get("image"):
        yield required(f"{path}.image")
    yield from enumerated(path, container, "imagePullPolicy", _PULL)
    if starts:
        yield from enumerated(path, container, "restartPolicy", ("Always",))
    elif container.get("restartPolicy") is not None:
        text = "Forbidden: may not be set for non-init containers"
        yield Cause("FieldValueForbidden", text, f"{path}.restartPolicy")
    for index, port in enumerate(container.get("ports") or ()):
        yield from port_number(port.get("containerPort"), f"{path}.ports[{index}].containerPort")
        yield from enumerated(f"{path}.ports[{index}]", port, "protocol", PROTOCOLS)
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


def pod(new: Object, old: Old) -> Iterator[Cause]:
    """The rules of a Pod, of which hardly anything may change."""
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
