"""Built-in objects against the models of the Kubernetes client."""

from __future__ import annotations

from typing import Any

import pytest

from backend.clients.models import misfits


def deployment(**container: Any) -> dict[str, Any]:
    labels = {"app": "a"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"} | container]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}


def test_what_fits_is_let_through() -> None:
    limits = {"limits": {"nvidia.com/gpu": 1, "memory": "1Gi"}}
    assert list(misfits(deployment(resources=limits, ports=[{"containerPort": 8000}]))) == []


def test_unknown_fields_wrong_types_and_absent_fields_are_told_where_they_are() -> None:
    obj = deployment(imagePulPolicy="Always", ports=[{"containerPort": "http"}])
    del obj["spec"]["selector"]
    obj["spec"]["replicas"] = "three"
    container = ("spec", "template", "spec", "containers", 0)
    assert dict(misfits(obj)) == {
        ("spec", "replicas"): "Input should be a valid integer",
        ("spec", "selector"): "is required",
        (*container, "imagePulPolicy"): "there is no such field",
        (*container, "ports", 0, "containerPort"): "Input should be a valid integer",
    }


def test_a_value_that_may_be_of_two_types_is_told_without_the_names_of_the_types() -> None:
    probe: dict[str, Any] = {"httpGet": {"port": []}}
    assert {place[-3:] for place, _ in misfits(deployment(livenessProbe=probe))} == {
        ("livenessProbe", "httpGet", "port")
    }


def test_python_names_of_fields_are_no_fields() -> None:
    obj = deployment()
    obj["api_version"] = obj["apiVersion"]
    assert list(misfits(obj)) == [(("api_version",), "there is no such field")]


def test_a_kind_without_a_model_is_an_error() -> None:
    with pytest.raises(LookupError, match=r"no model of example\.org/v1 Thing"):
        list(misfits({"apiVersion": "example.org/v1", "kind": "Thing"}))
