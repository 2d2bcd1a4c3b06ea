"""Which object or list a request path names.

Invariant: a path is read in one place; what it does not name is a 404 in the API server's words.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from backend.emulator.kube.errors import no_such_path
from backend.emulator.kube.registry import Kind, Registry


@dataclass(frozen=True, slots=True)
class Target:
    """A resource path: the kind and version, a namespace and a name if given, a subresource and what follows it."""

    kind: Kind
    version: str
    namespace: str | None
    name: str | None
    subresource: str
    rest: str

    @property
    def resource(self) -> str:
        """``GROUP/PLURAL`` of the objects that are meant."""
        return self.kind.stored


def parse(path: str, registry: Registry) -> Target:
    """Reads a raw (still escaped) request path below /api or /apis; raises 404."""
    steps = [unquote(step) for step in path.split("/")[1:]]
    if steps[0] == "api" and len(steps) > 2:
        group, version, rest = "", steps[1], steps[2:]
    elif steps[0] == "apis" and len(steps) > 3:
        group, version, rest = steps[1], steps[2], steps[3:]
    else:
        raise no_such_path()
    namespace: str | None = None
    if rest[0] == "namespaces" and len(rest) > 2 and not (len(rest) == 3 and rest[2] in ("status", "finalize")):
        namespace, rest = rest[1], rest[2:]
    elif rest[0] == "namespaces" and group:
        raise no_such_path()
    kind = registry.served(group, version, rest[0])
    if kind is None or (namespace is not None and not kind.namespaced):
        raise no_such_path()
    name = rest[1] if len(rest) > 1 and rest[1] else None
    if name is not None and kind.namespaced and namespace is None:
        raise no_such_path()
    subresource = rest[2] if len(rest) > 2 else ""
    return Target(kind, version, namespace, name, subresource, "/".join(rest[3:]))
