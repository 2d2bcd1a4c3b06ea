"""Which kinds a cluster serves, and what each can do.

Invariant: a resource is named ``GROUP/PLURAL`` (``/pods``, ``apps/deployments``) everywhere in the cluster, whatever
version a request asks for; the kinds of a cluster are the built-in ones here plus its CustomResourceDefinitions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from backend.emulator.kube.schema import Schema, compiled

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Column:
    """A printer column of a custom resource; ``path`` is a kubectl JSONPath such as ``.spec.gatewayClassName``."""

    name: str
    type: str
    path: str
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind that a cluster serves; ``versions`` are the served ones, the preferred (and stored) first."""

    group: str
    versions: tuple[str, ...]
    kind: str
    plural: str
    singular: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    generation: bool = False
    model: str | None = None
    schemas: Mapping[str, Schema] = field(default_factory=dict)
    columns: Mapping[str, tuple[Column, ...]] = field(default_factory=dict)
    other_form_of: str = ""
    """The resource whose objects these are, when they are another kind's in another form."""

    @property
    def resource(self) -> str:
        """``GROUP/PLURAL``."""
        return f"{self.group}/{self.plural}"

    @property
    def stored(self) -> str:
        """The resource under which the objects are kept."""
        return self.other_form_of or self.resource

    @property
    def custom(self) -> bool:
        """Whether a CustomResourceDefinition defines it."""
        return self.model is None

    @property
    def has_status(self) -> bool:
        """Whether the status is written through its own subresource only."""
        return "status" in self.subresources

    def api_version(self, version: str | None = None) -> str:
        """``GROUP/VERSION``, or the bare version in the core group."""
        version = version or self.versions[0]
        return f"{self.group}/{version}" if self.group else version

    def schema(self, version: str | None = None) -> Schema | None:
        """The structural schema of a custom resource; None for a built-in kind."""
        return self.schemas.get(version or self.versions[0])


def _kind(
    group: str, version: str, kind: str, plural: str, *short: str, model: str | None = None, **options: Any
) -> Kind:
    options.setdefault("model", model or f"V1{kind}")
    return Kind(group, (version,), kind, plural, kind.lower(), short=short, **options)


_RBAC = "rbac.authorization.k8s.io"
_ADMISSION = "admissionregistration.k8s.io"
_STATUS = ("status",)
_SCALE = ("scale", "status")

BUILT_IN: tuple[Kind, ...] = (
    _kind(
        "",
        "v1",
        "Namespace",
        "namespaces",
        "ns",
        namespaced=False,
        subresources=_STATUS,
        verbs=tuple(verb for verb in ALL_VERBS if verb != "deletecollection"),
    ),
    _kind("", "v1", "Node", "nodes", "no", namespaced=False, subresources=_STATUS),
    _kind("", "v1", "Pod", "pods", "po", categories=("all",), subresources=_STATUS, generation=True),
    _kind("", "v1", "Service", "services", "svc", categories=("all",), subresources=_STATUS),
    _kind("", "v1", "Endpoints", "endpoints", "ep"),
    _kind("", "v1", "ConfigMap", "configmaps", "cm"),
    _kind("", "v1", "Secret", "secrets"),
    _kind("", "v1", "ServiceAccount", "serviceaccounts", "sa"),
    _kind("", "v1", "Event", "events", "ev", model="CoreV1Event"),
    _kind(
        "events.k8s.io",
        "v1",
        "Event",
        "events",
        "ev",
        model="EventsV1Event",
        verbs=("get", "list", "watch"),
        other_form_of="/events",
    ),
    _kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", "pvc", subresources=_STATUS),
    _kind(
        "apps", "v1", "Deployment", "deployments", "deploy", categories=("all",), subresources=_SCALE, generation=True
    ),
    _kind("apps", "v1", "ReplicaSet", "replicasets", "rs", categories=("all",), subresources=_SCALE, generation=True),
    _kind("batch", "v1", "Job", "jobs", categories=("all",), subresources=_STATUS, generation=True),
    _kind(
        "autoscaling",
        "v2",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
        "hpa",
        categories=("all",),
        subresources=_STATUS,
        model="V2HorizontalPodAutoscaler",
    ),
    _kind(_RBAC, "v1", "Role", "roles"),
    _kind(_RBAC, "v1", "RoleBinding", "rolebindings"),
    _kind(_RBAC, "v1", "ClusterRole", "clusterroles", namespaced=False),
    _kind(_RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False),
    _kind("coordination.k8s.io", "v1", "Lease", "leases"),
    _kind(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        "crd",
        "crds",
        namespaced=False,
        categories=("api-extensions",),
        subresources=_STATUS,
        generation=True,
    ),
    _kind(
        _ADMISSION,
        "v1",
        "ValidatingAdmissionPolicy",
        "validatingadmissionpolicies",
        namespaced=False,
        categories=("api-extensions",),
        subresources=_STATUS,
        generation=True,
    ),
    _kind(
        _ADMISSION,
        "v1",
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
        namespaced=False,
        categories=("api-extensions",),
        generation=True,
    ),
    *(
        _kind(group, "v1", name, f"{name.lower()}s", namespaced=False, verbs=("create",))
        for group, name in (
            ("authorization.k8s.io", "SelfSubjectAccessReview"),
            ("authorization.k8s.io", "SelfSubjectRulesReview"),
            ("authentication.k8s.io", "SelfSubjectReview"),
        )
    ),
)

CRDS = "apiextensions.k8s.io/customresourcedefinitions"


def from_crd(crd: Mapping[str, Any]) -> Kind:
    """The kind that a CustomResourceDefinition asks to be served."""
    spec = crd["spec"]
    names = spec["names"]
    served = [version for version in spec["versions"] if version.get("served")]
    served.sort(key=lambda version: not version.get("storage"))
    subresources = {name for version in served for name in version.get("subresources") or {}}
    return Kind(
        group=spec["group"],
        versions=tuple(version["name"] for version in served),
        kind=names["kind"],
        plural=names["plural"],
        singular=names.get("singular") or names["kind"].lower(),
        namespaced=spec["scope"] == "Namespaced",
        short=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=tuple(sorted(subresources)),
        generation=True,
        schemas={
            version["name"]: compiled((version.get("schema") or {}).get("openAPIV3Schema") or {}) for version in served
        },
        columns={
            version["name"]: tuple(
                Column(column["name"], column["type"], column["jsonPath"], column.get("priority", 0))
                for column in version["additionalPrinterColumns"]
            )
            for version in served
            if version.get("additionalPrinterColumns")
        },
    )


class Registry:
    """The kinds of one cluster."""

    def __init__(self) -> None:
        self._kinds: dict[str, Kind] = {kind.resource: kind for kind in BUILT_IN}
        self.revision = 0

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._kinds.values())

    def get(self, resource: str) -> Kind | None:
        """The kind of ``GROUP/PLURAL``, or None."""
        return self._kinds.get(resource)

    def served(self, group: str, version: str, plural: str) -> Kind | None:
        """The kind that answers at a path, or None."""
        kind = self._kinds.get(f"{group}/{plural}")
        return kind if kind is not None and version in kind.versions else None

    def by_kind(self, api_version: str, name: str) -> Kind | None:
        """The kind of an object's apiVersion and kind, or None."""
        group, _, version = api_version.rpartition("/")
        for kind in self._kinds.values():
            if kind.kind == name and kind.group == group and version in kind.versions:
                return kind
        return None

    def add(self, kind: Kind) -> None:
        """Serves a kind, or serves it anew."""
        self._kinds[kind.resource] = kind
        self.revision += 1

    def remove(self, resource: str) -> None:
        """Serves a kind no longer."""
        if self._kinds.pop(resource, None) is not None:
            self.revision += 1

    def groups(self) -> dict[str, dict[str, list[Kind]]]:
        """Group -> version -> kinds, core first, then by name; the preferred version of a group first."""
        found: dict[str, dict[str, list[Kind]]] = {}
        for kind in sorted(self._kinds.values(), key=lambda one: (one.group, one.plural)):
            for version in kind.versions:
                found.setdefault(kind.group, {}).setdefault(version, []).append(kind)
        return {
            group: dict(sorted(versions.items(), key=lambda item: _version_order(item[0])))
            for group, versions in found.items()
        }


def _version_order(version: str) -> tuple[int, int, int]:
    """Kubernetes' order of versions: v2 before v1 before v1beta2 before v1beta1 before v1alpha1."""
    stage = 2 if "alpha" in version else 1 if "beta" in version else 0
    digits = [int(part) for part in version.replace("alpha", " ").replace("beta", " ").lstrip("v").split()]
    return stage, -digits[0], -(digits[1] if len(digits) > 1 else 0)
