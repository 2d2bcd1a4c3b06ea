"""ValidatingAdmissionPolicies: what the bindings of a cluster let in.

Follows k8s.io/apiserver/pkg/admission/plugin/policy/validating, whose sentences are kept. Invariant: policies look at a
write after its own validation and change nothing; policies and bindings themselves are never subject to one. The
``authorizer`` variable and a policy's type check are not here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from backend.emulator.kube import expressions
from backend.emulator.kube.errors import ApiError, Cause, forbidden, invalid_value
from backend.emulator.kube.expressions import ExpressionError
from backend.emulator.kube.registry import Registry
from backend.emulator.kube.selectors import matches

Object = Mapping[str, Any]

GROUP = "admissionregistration.k8s.io"
POLICIES, BINDINGS = f"{GROUP}/validatingadmissionpolicies", f"{GROUP}/validatingadmissionpolicybindings"
_CODES = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413, "Invalid": 422}


class Objects(Protocol):
    """Where policies, bindings, parameters and namespaces are read."""

    @property
    def registry(self) -> Registry: ...
    def get(self, resource: str, namespace: str | None, name: str) -> Any: ...
    def list(
        self, resource: str, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Sequence[Any]: ...


@dataclass(frozen=True, slots=True)
class Write:
    """A write that asks to be let in; ``new`` is None for a delete, ``old`` for a create."""

    group: str
    version: str
    kind: str
    plural: str
    operation: str
    """CREATE, UPDATE or DELETE."""
    name: str
    namespace: str | None
    new: Object | None
    old: Object | None
    subresource: str = ""
    user: str = "system:serviceaccount:kube-system:replicaset-controller"
    dry_run: bool = False


@dataclass(slots=True)
class Verdict:
    """What the policies say of one write."""

    warnings: list[str] = field(default_factory=list)
    refusal: ApiError | None = None
    """403 or 422, in the API server's words; None when the write is let in."""


def judge(store: Objects, write: Write) -> Verdict:
    """Asks every binding whose policy matches a write."""
    verdict = Verdict()
    bindings = () if write.group == GROUP else store.list(BINDINGS)
    for binding in bindings:
        policy = store.get(POLICIES, None, binding["spec"]["policyName"])
        if policy is None or not _concerned(store, policy["spec"].get("matchConstraints"), write, needed=True):
            continue
        if not _concerned(store, binding["spec"].get("matchResources"), write, needed=False):
            continue
        for message, reason in _failures(store, policy, binding, write):
            _count(verdict, write, policy, binding, message, reason)
    return verdict


def problems(policy: Object) -> Iterator[Cause]:
    """What is wrong with a policy's expressions."""
    spec = policy["spec"]
    for group, names in (
        ("matchConditions", ("expression",)),
        ("variables", ("expression",)),
        ("validations", ("expression", "messageExpression")),
    ):
        for index, item in enumerate(spec.get(group) or ()):
            for name in names:
                if not item.get(name):
                    continue
                try:
                    expressions.check(item[name])
                except ExpressionError as error:
                    yield invalid_value(f"spec.{group}[{index}].{name}", item[name], str(error))


def _count(  # noqa: PLR0917
    verdict: Verdict, write: Write, policy: Object, binding: Object, message: str, reason: str
) -> None:
    actions = binding["spec"].get("validationActions") or ()
    names = f"ValidatingAdmissionPolicy '{policy['metadata']['name']}' with binding '{binding['metadata']['name']}'"
    if "Warn" in actions:
        verdict.warnings.append(f"Validation failed for {names}: {message}")
    if "Deny" in actions and verdict.refusal is None:
        text = f"{names} denied request: {message}"
        refusal = forbidden(write.group, write.plural, write.name, text)
        refusal.code, refusal.reason = _CODES.get(reason, 422), reason
        refusal.details["causes"] = [{"message": text}]
        verdict.refusal = refusal


def _failures(store: Objects, policy: Object, binding: Object, write: Write) -> Iterator[tuple[str, str]]:
    """Message and reason of everything that a policy with one binding has against a write."""
    strict = policy["spec"].get("failurePolicy", "Fail") == "Fail"
    try:
        for params in _parameters(store, policy["spec"], binding["spec"], write):
            yield from _against(store, policy["spec"], params, write, strict=strict)
    except LookupError as missing:
        if strict:
            yield f"failed to configure binding: {missing.args[0]}", "Invalid"


def _against(
    store: Objects, spec: Object, params: Object | None, write: Write, *, strict: bool
) -> Iterator[tuple[str, str]]:
    known = _variables(store, params, write)
    try:
        for condition in spec.get("matchConditions") or ():
            if expressions.evaluate(condition["expression"], known) is not True:
                return
        composed: dict[str, Any] = {}
        for variable in spec.get("variables") or ():
            composed[variable["name"]] = expressions.evaluate(variable["expression"], {**known, "variables": composed})
        known["variables"] = composed
    except ExpressionError as error:
        if strict:
            yield str(error), "Invalid"
        return
    for rule in spec.get("validations") or ():
        try:
            if expressions.evaluate(rule["expression"], known) is not True:
                yield _message(rule, known), rule.get("reason") or "Invalid"
        except ExpressionError as error:
            if strict:
                yield str(error), "Invalid"


def _message(rule: Object, known: Mapping[str, Any]) -> str:
    if rule.get("messageExpression"):
        try:
            said = expressions.evaluate(rule["messageExpression"], known)
        except ExpressionError:
            said = None
        if isinstance(said, str) and said.strip() and "\n" not in said:
            return said.strip()
    return str(rule.get("message") or f"failed expression: {rule['expression'].strip()}")


def _variables(store: Objects, params: Object | None, write: Write) -> dict[str, Any]:
    kind = {"group": write.group, "version": write.version, "kind": write.kind}
    resource = {"group": write.group, "version": write.version, "resource": write.plural}
    return {
        "object": write.new,
        "oldObject": write.old,
        "params": params,
        "namespaceObject": store.get("/namespaces", None, write.namespace) if write.namespace else None,
        "request": {
            "kind": kind,
            "resource": resource,
            "subResource": write.subresource,
            "requestKind": kind,
            "requestResource": resource,
            "requestSubResource": write.subresource,
            "name": write.name,
            "namespace": write.namespace or "",
            "operation": write.operation,
            "userInfo": {"username": write.user, "groups": ["system:authenticated"]},
            "dryRun": write.dry_run,
        },
    }


def _parameters(store: Objects, policy: Object, binding: Object, write: Write) -> list[Object | None]:
    """The parameters that a binding names, each asked on its own; raises LookupError when that is none."""
    kind, reference = policy.get("paramKind"), binding.get("paramRef")
    if not kind or not reference:
        return [None]
    served = store.registry.by_kind(kind["apiVersion"], kind["kind"])
    if served is None:
        raise LookupError(f"failed to find resource referenced by paramKind: '{kind['apiVersion']}, {kind['kind']}'")
    namespace = (reference.get("namespace") or write.namespace) if served.namespaced else None
    if reference.get("name"):
        one = store.get(served.resource, namespace, reference["name"])
        found = [] if one is None else [one]
    else:
        every = store.list(served.resource, namespace)
        found = [each for each in every if matches(reference.get("selector") or {}, _labels(each))]
    if found:
        return list(found)
    if reference.get("parameterNotFoundAction", "Deny") == "Allow":
        return []
    raise LookupError("no params found for policy binding with `Deny` parameterNotFoundAction")


def _concerned(store: Objects, match: Object | None, write: Write, *, needed: bool) -> bool:
    """Whether a match of resources includes a write; a binding's may be left out."""
    if not match:
        return not needed
    rules = match.get("resourceRules")
    if (needed or rules) and not any(_fits(rule, write) for rule in rules or ()):
        return False
    if any(_fits(rule, write) for rule in match.get("excludeResourceRules") or ()):
        return False
    if write.namespace and match.get("namespaceSelector"):
        namespace = store.get("/namespaces", None, write.namespace)
        if not matches(match["namespaceSelector"], _labels(namespace)):
            return False
    selector = match.get("objectSelector")
    return not selector or matches(selector, _labels(write.new)) or matches(selector, _labels(write.old))


def _fits(rule: Object, write: Write) -> bool:
    resource = f"{write.plural}/{write.subresource}" if write.subresource else write.plural
    alike = {resource, "*/*", f"{write.plural}/*", *(() if write.subresource else ("*",))}
    scope = rule.get("scope") or "*"
    return (
        any(one in ("*", write.operation) for one in rule.get("operations") or ())
        and any(one in ("*", write.group) for one in rule.get("apiGroups") or ())
        and any(one in ("*", write.version) for one in rule.get("apiVersions") or ())
        and any(one in alike for one in rule.get("resources") or ())
        and (scope == "*" or (scope == "Namespaced") == bool(write.namespace))
        and (not rule.get("resourceNames") or write.name in rule["resourceNames"])
    )


def _labels(obj: Object | None) -> Mapping[str, str]:
    return ((obj or {}).get("metadata") or {}).get("labels") or {}
