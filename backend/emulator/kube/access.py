"""What the caller may do: GKE asks IAM, whose permissions are named after Kubernetes' kinds and verbs.

The caller is the project's owner, less what the world takes away. Invariant: a refusal is worded as GKE words it, and
names the permission. Source of the names: cloud.google.com/iam/docs/permissions-reference, container.*.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from backend.emulator.kube.errors import ApiError, forbidden
from backend.emulator.kube.registry import Kind, Registry
from backend.emulator.kube.target import Target

CALLER = "rehearsal@example.com"
Denies = Callable[[str], bool]
"""Whether a permission is taken away from the caller."""

PUBLIC_PATHS = (
    "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version",
    "/version/",
)  # fmt: skip
"""What system:discovery and system:public-info-viewer let anyone read."""

_VERBS: Mapping[str, str] = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_PERMITS: Mapping[str, str] = {"patch": "update", "watch": "list", "deletecollection": "delete"}
"""Verbs that another verb's permission covers."""
_SUBRESOURCES: Mapping[str, str] = {
    "attach": "attach",
    "exec": "exec",
    "log": "getLogs",
    "portforward": "portForward",
    "proxy": "proxy",
}
"""Subresources with a permission of their own, whatever the verb."""


def verb_of(method: str, place: Target, *, watch: bool) -> str:
    """Kubernetes' verb for a request."""
    if method in ("GET", "HEAD"):
        return "watch" if watch else "get" if place.name is not None else "list"
    verb = _VERBS.get(method, method.lower())
    return "deletecollection" if verb == "delete" and place.name is None else verb


def permission_of(kind: Kind, verb: str, subresource: str = "") -> str:
    """The IAM permission that a verb on a kind needs, such as ``container.configMaps.update``."""
    needed = _PERMITS.get(verb, verb)
    if subresource in _SUBRESOURCES:
        needed = _SUBRESOURCES[subresource]
    elif subresource:
        needed += subresource[0].upper() + subresource[1:]
    return f"container.{'thirdPartyObjects' if kind.custom else _plural(kind)}.{needed}"


def check(denies: Denies, method: str, place: Target, *, watch: bool) -> None:
    """Raises 403 when the caller may not do what a request asks for."""
    verb = verb_of(method, place, watch=watch)
    permission = permission_of(place.kind, verb, place.subresource)
    if denies(permission):
        raise _refusal(place, verb, permission)


def answered(denies: Denies, registry: Registry, kind: Kind, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """The status of a review that a client sends to learn who it is or what it may do; None for another kind."""
    if kind.kind == "SelfSubjectAccessReview":
        return review(denies, registry, (asked.get("spec") or {}).get("resourceAttributes") or {})
    if kind.kind == "SelfSubjectRulesReview":
        return rules(denies, registry)
    if kind.kind == "SelfSubjectReview":
        return {"userInfo": {"username": CALLER, "groups": ["system:authenticated"]}}
    return None


def rules(denies: Denies, registry: Registry) -> dict[str, Any]:
    """The status of a SelfSubjectRulesReview: what the cluster itself grants to anyone it knows.

    What IAM grants is not in it, on GKE either: an authorizer that answers by webhook cannot list its rules.
    """
    resource_rules = [
        {"verbs": ["create"], "apiGroups": [kind.group], "resources": [kind.plural]}
        for kind in registry
        if kind.kind.startswith("SelfSubject") and not denies(permission_of(kind, "create"))
    ]
    return {
        "resourceRules": resource_rules,
        "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": list(PUBLIC_PATHS)}],
        "incomplete": True,
        "evaluationError": "webhook authorizer does not support user rule resolution",
    }


def review(denies: Denies, registry: Registry, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The status of a SelfSubjectAccessReview."""
    resource = f"{attributes.get('group') or ''}/{attributes.get('resource') or ''}"
    kind = registry.get(resource)
    if kind is None:
        return {"allowed": True}
    permission = permission_of(kind, attributes.get("verb") or "get", attributes.get("subresource") or "")
    if not denies(permission):
        return {"allowed": True}
    return {"allowed": False, "reason": f'requires one of ["{permission}"] permission(s).'}


def _refusal(place: Target, verb: str, permission: str) -> ApiError:
    kind = place.kind
    resource = f"{kind.plural}/{place.subresource}" if place.subresource else kind.plural
    where = f' in the namespace "{place.namespace}"' if place.namespace else " at the cluster scope"
    why = (
        f'User "{CALLER}" cannot {verb} resource "{resource}" in API group "{kind.group}"{where}: '
        f'requires one of ["{permission}"] permission(s).'
    )
    return forbidden(kind.group, kind.plural, place.name or "", why)


def _plural(kind: Kind) -> str:
    """A plural in camel case: ``configMaps``, ``validatingAdmissionPolicies``."""
    shared = len(kind.kind) if kind.plural.startswith(kind.kind.lower()) else len(kind.kind) - 1
    return kind.kind[0].lower() + kind.kind[1:shared] + kind.plural[shared:]
