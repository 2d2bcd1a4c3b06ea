"""How lists and maps merge: which are atomic, which are sets, which are keyed by members of their items.

For built-in kinds a fixed table stands in for the ``x-kubernetes-list-type``, ``list-map-keys`` and ``map-type`` marks
of the Kubernetes OpenAPI documents; a custom resource has those of its CustomResourceDefinition. Strategic merge patch
keys are in :data:`PATCH_KEYS`, which differ from them in a few places (``ports`` of a container).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from backend.emulator.kube.schema import Schema


class Shape(Protocol):
    """The merge behaviour at one place of an object."""

    def field(self, name: str) -> Shape:
        """The shape of a member of this map."""
        ...

    def item(self) -> Shape:
        """The shape of the items of this list."""
        ...

    def atomic(self, value: Any) -> bool:
        """Whether this value is replaced as a whole."""
        ...

    def keys(self) -> tuple[str, ...]:
        """The members that identify an item of this list; empty when it is a set of scalars."""
        ...

    def missing(self) -> Mapping[str, Any]:
        """Values that an identifying member has when it is left out."""
        ...

    def known(self, name: str) -> bool:
        """Whether this map may have the member."""
        ...


_KEYED: dict[str, tuple[str, ...]] = {
    "metadata.ownerReferences": ("uid",),
    "conditions": ("type",),
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "containers.ports": ("containerPort", "protocol"),
    "initContainers.ports": ("containerPort", "protocol"),
    "spec.ports": ("port", "protocol"),
    "spec.imagePullSecrets": ("name",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "resourceClaims": ("name",),
    "schedulingGates": ("name",),
    "secrets": ("name",),
    "matchConditions": ("name",),
    "variables": ("name",),
    "status.addresses": ("type",),
}
_SETS = frozenset({"metadata.finalizers", "podCIDRs"})
_ATOMIC_MAPS = frozenset(
    {
        "selector",
        "labelSelector",
        "namespaceSelector",
        "nodeSelector",
        "secretKeyRef",
        "configMapKeyRef",
        "fieldRef",
        "resourceFieldRef",
        "roleRef",
        "scaleTargetRef",
        "involvedObject",
        "claimRef",
    }
)

PATCH_KEYS: dict[str, str] = {
    "metadata.ownerReferences": "uid",
    "conditions": "type",
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "containers.ports": "containerPort",
    "initContainers.ports": "containerPort",
    "spec.ports": "port",
    "spec.imagePullSecrets": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
    "resourceClaims": "name",
    "secrets": "name",
    "status.addresses": "type",
    "taints": "key",
}


def lookup(table: Mapping[str, Any], parent: str, name: str) -> Any:
    """A fact by ``PARENT.NAME``, else by ``NAME``; None when there is none."""
    return table.get(f"{parent}.{name}") or table.get(name)


class BuiltinShape:
    """A place in a built-in kind, known by its field and the field around it."""

    __slots__ = ("name", "parent", "schema")

    def __init__(self, schema: Schema | None = None, parent: str = "", name: str = "") -> None:
        self.schema = schema
        self.parent = parent
        self.name = name

    def field(self, name: str) -> Shape:
        """The shape of a member of this map."""
        return BuiltinShape(self.schema.child(name) if self.schema else None, self.name, name)

    def item(self) -> Shape:
        """The shape of the items of this list."""
        return BuiltinShape(self.schema.items if self.schema else None, self.parent, self.name)

    def atomic(self, value: Any) -> bool:
        """Whether this value is replaced as a whole."""
        if isinstance(value, dict):
            return self.name in _ATOMIC_MAPS
        if isinstance(value, list):
            if lookup(_KEYED, self.parent, self.name) is not None:
                return not all(isinstance(item, dict) for item in value)
            return f"{self.parent}.{self.name}" not in _SETS and self.name not in _SETS
        return True

    def keys(self) -> tuple[str, ...]:
        """The members that identify an item of this list; empty when it is a set of scalars."""
        return lookup(_KEYED, self.parent, self.name) or ()

    def missing(self) -> Mapping[str, Any]:
        """Values that an identifying member has when it is left out."""
        return {"protocol": "TCP"}

    def known(self, name: str) -> bool:
        """Whether this map may have the member."""
        return self.schema is None or self.schema.open or self.schema.child(name) is not None


class CustomShape:
    """A place in a custom resource."""

    __slots__ = ("schema",)

    def __init__(self, schema: Schema | None) -> None:
        self.schema = schema

    def field(self, name: str) -> Shape:
        """The shape of a member of this map."""
        return CustomShape(self.schema.child(name) if self.schema else None)

    def item(self) -> Shape:
        """The shape of the items of this list."""
        return CustomShape(self.schema.items if self.schema else None)

    def atomic(self, value: Any) -> bool:
        """Whether this value is replaced as a whole."""
        if isinstance(value, dict):
            return self.schema is not None and self.schema.atomic_map
        if isinstance(value, list):
            return self.schema is None or self.schema.list_type not in ("map", "set")
        return True

    def keys(self) -> tuple[str, ...]:
        """The members that identify an item of this list; empty when it is a set of scalars."""
        return self.schema.map_keys if self.schema else ()

    def missing(self) -> Mapping[str, Any]:
        """Values that an identifying member has when it is left out."""
        item = self.schema.items if self.schema else None
        if item is None:
            return {}
        return {
            key: item.properties[key].raw["default"]
            for key in self.keys()
            if key in item.properties and "default" in item.properties[key].raw
        }

    def known(self, name: str) -> bool:
        """Whether this map may have the member."""
        return self.schema is None or self.schema.open or self.schema.child(name) is not None


class CustomRoot(CustomShape):
    """A whole custom resource; its metadata merges as that of any kind."""

    __slots__ = ()

    def field(self, name: str) -> Shape:
        """The shape of a member of this map."""
        return BuiltinShape(None, "", "metadata") if name == "metadata" else super().field(name)
