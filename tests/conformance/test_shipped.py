"""mcig's own schemas of custom kinds against the published ones: every field is there, and limited in the same way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from backend.resources.shipped import schemas

SHARED = Path(__file__).parents[2].parent / "shared" / "crds"
SILENT = {"$comment", "default", "description", "format", "title"}
"""Keywords that allow and forbid nothing to us."""
WALKED = {"additionalProperties", "items", "properties", "required"}
SERVERS = {f"x-kubernetes-{name}" for name in ("list-map-keys", "list-type", "map-type", "validations")}
"""Keywords that only an API server can hold."""
NOT_HELD = {"oneOf"}
"""What is said of addresses of other types than mcig asks for."""
Schema = dict[str, Any]

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the definitions of others (../shared/crds) are not here")

SOURCES = {
    "Gateway": ["gateway-api-v1.4.0-standard_gateways.yaml"],
    "HTTPRoute": ["gateway-api-v1.4.0-standard_httproutes.yaml"],
    "InferencePool": ["gie-v1.1.0_inference.networking.k8s.io_inferencepools.yaml"],
    "InferenceObjective": ["gie-v1.1.0_inference.networking.x-k8s.io_inferenceobjectives.yaml"],
    "HealthCheckPolicy": ["jsonschema-datree/networking.gke.io_healthcheckpolicy_v1.json"],
    "GCPBackendPolicy": ["inferred/networking.gke.io_gcpbackendpolicy_v1.extended.json"],
    "PodMonitoring": ["jsonschema-datree/monitoring.googleapis.com_podmonitoring_v1.json"],
    "AutoscalingMetric": [
        "inferred/autoscaling.gke.io_autoscalingmetric_v1beta1.legacy-endpoints.json",
        "inferred/autoscaling.gke.io_autoscalingmetric_v1beta1.pod-form.json",
    ],
}


def published(name: str, version: str) -> Schema:
    text = (SHARED / name).read_text()
    if name.endswith(".json"):
        found: Schema = json.loads(text)
        return found
    crd = yaml.safe_load(text)
    (schema,) = (item["schema"] for item in crd["spec"]["versions"] if item["name"] == version)
    whole: Schema = schema["openAPIV3Schema"]
    return whole


def differences(ours: Schema, theirs: Schema, path: str) -> Iterator[str]:
    """Where our part of a schema is not the same as theirs."""
    for keyword in (ours.keys() | theirs.keys()) - SILENT - WALKED - SERVERS - NOT_HELD:
        if ours.get(keyword) != theirs.get(keyword):
            yield f"{path} {keyword}: {ours.get(keyword)} here, {theirs.get(keyword)} there"
    if sorted(ours.get("required", [])) != sorted(theirs.get("required", [])):
        yield f"{path} required: {ours.get('required')} here, {theirs.get('required')} there"
    for name, schema in ours.get("properties", {}).items():
        if name not in theirs.get("properties", {}):
            yield f"{path}.{name}: not there"
        else:
            yield from differences(schema, theirs["properties"][name], f"{path}.{name}")
    for keyword in ("items", "additionalProperties"):
        if isinstance(ours.get(keyword), dict):
            yield from differences(ours[keyword], theirs[keyword], f"{path}[]")


@pytest.mark.parametrize("kind", SOURCES)
def test_every_field_has_the_published_type_and_limits(kind: str) -> None:
    ((version, shapes),) = ((key[0], shapes) for key, shapes in schemas().items() if key[1] == kind)
    names = SOURCES[kind]
    assert len(shapes) == len(names)
    for shape, name in zip(shapes, names, strict=True):
        theirs = published(name, version.rpartition("/")[2])
        assert list(differences(shape["properties"]["spec"], theirs["properties"]["spec"], "spec")) == []


def test_all_schemas_are_held_against_published_ones() -> None:
    assert {kind for _, kind in schemas()} == set(SOURCES)
