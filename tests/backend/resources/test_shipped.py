"""Manifests against the schemas that come with mcig."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from backend.resources import manifests
from backend.resources.manifests.chart import pool_objects
from backend.resources.manifests.metrics import Form, metric
from backend.resources.shipped import problems
from backend.spec import GatewaySpec


def changed(obj: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    made = deepcopy(obj)
    inner: Any = made
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    return made


@pytest.mark.parametrize(
    ("kind", "path", "value", "told"),
    [
        ("GCPBackendPolicy", ("spec", "default", "timeoutSec"), 0, "0 is less than the minimum of 1"),
        ("GCPBackendPolicy", ("spec", "default", "maxUtilization"), 60, "there is no such field"),
        (
            "GCPBackendPolicy",
            ("spec", "default", "balancingMode"),
            "MODE",
            "'MODE' is not one of ['RATE', ",
        ),
        ("Gateway", ("spec", "listeners"), [], "[] should be non-empty"),
        ("Gateway", ("spec", "listeners", 0, "port"), 70000, "70000 is greater than the maximum of 65535"),
        ("Gateway", ("spec", "gatewayClassName"), "c" * 300, "has 300 characters, more than 253"),
        ("Gateway", ("metadata", "name"), "Gate way", "'Gate way' must be at most 253 small letters"),
        ("Gateway", ("metadata", "namespace"), "a.b", "'a.b' must be at most 63 small letters"),
        ("HTTPRoute", ("spec", "rules", 0, "backendRefs", 0, "kind"), "1", "'1' does not match ^[a-zA-Z]"),
        ("InferencePool", ("spec", "targetPorts", 0, "number"), "http", "'http' is not of type 'integer'"),
        ("InferencePool", ("spec", "selector", "matchLabels", "app"), "a" * 64, "must be at most 63 letters"),
        ("InferenceObjective", ("spec", "priority"), "high", "'high' is not of type 'integer'"),
        ("PodMonitoring", ("spec", "endpoints", 0, "interval"), "soon", "'soon' does not match"),
        ("Service", ("spec", "ports", 0, "port"), "http", "Input should be a valid integer"),
        ("Service", ("metadata", "name"), "0", "'0' must be at most 63 small letters"),
        ("ClusterRole", ("metadata", "name"), "a/b", "'a/b' must not contain / or %"),
        ("ClusterRole", ("metadata", "labels"), {"one": "two words"}, "'two words' must be at most 63 letters"),
    ],
)
def test_what_no_api_server_takes_is_named(
    spec: GatewaySpec, kind: str, path: tuple[str | int, ...], value: Any, told: str
) -> None:
    objects = [
        manifests.backend_policy(spec),
        manifests.gateway(spec),
        manifests.route(spec),
        manifests.objective(spec),
        *pool_objects(spec),
    ]
    obj = next(found for found in objects if found["kind"] == kind)
    assert problems(obj) == []
    found = dict(problems(changed(obj, path, value)))
    written = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
    (name,) = found
    assert name.startswith(written)
    assert told in found[name]


def test_a_field_that_is_lacking_is_named(spec: GatewaySpec) -> None:
    obj = manifests.health_policy(spec)
    del obj["spec"]["targetRef"]
    assert problems(obj) == [("spec.targetRef", "is required")]


@pytest.mark.parametrize("form", Form)
def test_of_two_shapes_the_nearer_one_is_told_of(spec: GatewaySpec, form: Form) -> None:
    obj = metric(spec, form)
    assert problems(obj) == []
    inner = obj["spec"] if form is Form.ENDPOINTS else obj["spec"]["metrics"][0]["pod"]
    inner["selector"]["matchLabels"] = {"app.kubernetes.io/name": "a"}
    assert [path for path, _ in problems(obj)] == [
        "spec.selector.matchLabels" if form is Form.ENDPOINTS else "spec.metrics[0].pod.selector.matchLabels"
    ]


def test_a_kind_that_mcig_does_not_send_is_an_error() -> None:
    with pytest.raises(LookupError, match=r"example\.org/v1 Thing"):
        problems({"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "a"}})
