"""Values that built-in kinds refuse, in the API server's words.

Modelled on k8s.io/kubernetes/pkg/apis/{core,apps,batch,rbac}/validation; the sentences have not been compared with a
running server. Only rules that a person setting up an inference gateway can break are here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from backend.emulator.kube import admission
from backend.emulator.kube.errors import Cause, invalid_value, literal, required, unsupported
from backend.emulator.kube.pod_rules import Object, Old, pod, pod_spec
from backend.emulator.kube.refused import PROTOCOLS, duplicate, enumerated, immutable, port_number
from backend.emulator.kube.registry import CRDS, Kind


def broken(kind: Kind, new: Object, old: Old) -> Iterator[Cause]:
    """The causes why an object of a built-in kind is refused."""
    rule = _BY_RESOURCE.get(kind.resource)
    if rule is not None:
        yield from rule(new, old)


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
        yield immutable("spec.selector", selector)


def _deployment(new: Object, old: Old) -> Iterator[Cause]:
    yield from _selected(new, old, ("Always",))
    strategy = new["spec"].get("strategy") or {}
    yield from enumerated("spec.strategy", strategy, "type", ("Recreate", "RollingUpdate"))
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
        yield immutable("spec.template", spec["template"])


def _service(new: Object, old: Old) -> Iterator[Cause]:
    spec = new["spec"]
    yield from enumerated("spec", spec, "type", ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort"))
    ports = spec.get("ports") or []
    if not ports and spec.get("clusterIP") != "None" and spec.get("type") != "ExternalName":
        yield required("spec.ports")
    seen: set[Any] = set()
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        if len(ports) > 1 and not port.get("name"):
            yield required(f"{path}.name")
        if port.get("name") and port["name"] in seen:
            yield duplicate(f"{path}.name", port["name"])
        seen.add(port.get("name"))
        yield from port_number(port.get("port"), f"{path}.port")
        yield from enumerated(path, port, "protocol", PROTOCOLS)
    if old is not None and old["spec"].get("clusterIP") not in (None, "", spec.get("clusterIP")):
        yield immutable("spec.clusterIP", spec.get("clusterIP"))


def _secret(new: Object, old: Old) -> Iterator[Cause]:
    yield from _kept(new, old)
    if old is not None and old.get("type") != new.get("type"):
        yield immutable("type", new.get("type"))


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
    yield from enumerated("spec", spec, "scope", ("Cluster", "Namespaced"))
    if sum(bool(version.get("storage")) for version in spec.get("versions") or ()) != 1:
        detail = "must have exactly one version marked as storage version"
        yield invalid_value("spec.versions", spec.get("versions"), detail)
    for index, version in enumerate(spec.get("versions") or ()):
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            yield required(f"spec.versions[{index}].schema.openAPIV3Schema", "schemas are required")


def _policy(new: Object, _old: Old) -> Iterator[Cause]:
    spec = new["spec"]
    yield from enumerated("spec", spec, "failurePolicy", ("Fail", "Ignore"))
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
    "/pods": pod,
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
