"""Rules of custom resources that their definitions state in CEL, written out.

Invariant: a kind is here with every rule known of its published definition, in that definition's words, or not at all.
The rules of Gateway API are left out but for what the schemas say already. INFERRED: where a published rule names the
target InferencePoolImport, GKE's own GCPInferencePoolImport is let in as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from backend.emulator.kube.errors import Cause, invalid_value

Object = dict[str, Any]

_SCOPE_KEYS = ("gke.io/zone", "gke.io/region", "gke.io/cluster-name")
_EITHER = ("capacityScalerPercent", "maxRatePerEndpoint", "balancingMode", "backendPreference", "customMetrics")
_POOLS = ("InferencePool", "InferencePoolImport", "GCPInferencePoolImport")
_SCOPED = ("ServiceImport", "InferencePoolImport", "GCPInferencePoolImport")
_CHECK_SECONDS = 5


def _pool(spec: Object) -> Iterator[Cause]:
    picker = spec["endpointPickerRef"]
    if picker["kind"] == "Service" and "port" not in picker:
        message = "port is required when kind is 'Service' or unspecified (defaults to 'Service')"
        yield invalid_value("spec.endpointPickerRef", picker, message)
    numbers = [port["number"] for port in spec["targetPorts"]]
    if len(set(numbers)) != len(numbers):
        yield invalid_value("spec.targetPorts", spec["targetPorts"], "port number must be unique")


def _backend_policy(spec: Object) -> Iterator[Cause]:
    default, target = spec.get("default") or {}, spec["targetRef"]["kind"]
    scopes = default.get("scopes") or []
    for index, scope in enumerate(scopes):
        selector = scope.get("selector") or {}
        path = f"spec.default.scopes[{index}].selector"
        if any(key not in _SCOPE_KEYS for key in selector):
            message = "The selector key can only be one of gke.io/zone, gke.io/region or gke.io/cluster-name."
            yield invalid_value(path, selector, message)
        if any(len(value) > 30 for value in selector.values()):
            yield invalid_value(path, selector, "The maximum length of the selector value should not exceed 30")
    for field in _EITHER:
        if field in default and any(field in scope for scope in scopes):
            message = f"{field} cannot be specified for both default and scopes fields"
            yield invalid_value("spec.default", default, message)
    if "scopes" in default and target not in _SCOPED:
        message = "Scopes can only be configured for ServiceImport and InferencePoolImport targets"
        yield invalid_value("spec", spec, message)
    if "sessionAffinity" in default and target in _POOLS:
        message = "sessionAffinity cannot be configured for InferencePool and InferencePoolImport targets"
        yield invalid_value("spec", spec, message)


def _health_check_policy(spec: Object) -> Iterator[Cause]:
    default = spec.get("default") or {}
    for name, check in (default.get("config") or {}).items():
        if isinstance(check, dict):
            yield from _check_port(check, f"spec.default.config.{name}")
    interval, timeout = default.get("checkIntervalSec"), default.get("timeoutSec")
    message = ""
    if interval is not None and timeout is not None and timeout > interval:
        message = "timeOutSec cannot exceed checkIntervalSec"
    elif interval is None and timeout is not None and timeout > _CHECK_SECONDS:
        message = (
            "when checkIntervalSec is unspecified, timeOutSec cannot exceed 5, "
            "which is the default value of checkIntervalSec"
        )
    elif timeout is None and interval is not None and interval < _CHECK_SECONDS:
        message = (
            "when timeoutSec is unspecified, checkIntervalSec must be at least 5, "
            "which is the default value of timeoutSec"
        )
    if message:
        yield invalid_value("spec.default", default, message)


def _check_port(check: Mapping[str, Any], path: str) -> Iterator[Cause]:
    wanted, port, name = check.get("portSpecification"), "port" in check, "portName" in check
    message = ""
    if wanted == "USE_FIXED_PORT" and not (port and not name):
        message = "for portSpecification being USE_FIXED_PORT, port must be set and portName must be unset"
    elif wanted == "USE_NAMED_PORT" and not (name and not port):
        message = "for portSpecification being USE_NAMED_PORT, port must be unset and portName must be set"
    elif wanted == "USE_SERVING_PORT" and (port or name):
        message = "port and portName must be unset for portSpecification being USE_SERVING_PORT"
    if message:
        yield invalid_value(path, check, message)


_RULES: Mapping[str, Callable[[Object], Iterator[Cause]]] = {
    "inference.networking.k8s.io/inferencepools": _pool,
    "networking.gke.io/gcpbackendpolicies": _backend_policy,
    "networking.gke.io/healthcheckpolicies": _health_check_policy,
}


def broken(resource: str, obj: Object) -> Iterator[Cause]:
    """The causes why a custom resource that fits its schema is refused all the same."""
    rule = _RULES.get(resource)
    if rule is not None:
        yield from rule(obj["spec"])
