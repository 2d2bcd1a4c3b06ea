"""The emulated cluster's CustomResourceDefinitions against the published ones: every field of ours is one of theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from backend.emulator.kube.managed import ClusterFeatures, definitions

CRDS = Path(__file__).parents[3] / "shared" / "crds"
pytestmark = pytest.mark.skipif(not CRDS.is_dir(), reason="the published definitions (../shared/crds) are not here")

EVERYTHING = ClusterFeatures(gateway_api=True, managed_prometheus=True, hpa_performance=True)
LIMITS = (
    "enum", "exclusiveMaximum", "exclusiveMinimum", "maxItems", "maxLength", "maxProperties", "maximum", "minItems",
    "minLength", "minProperties", "minimum", "pattern", "required",
)  # fmt: skip
NOT_PUBLISHED = {
    "networking.gke.io/GCPInferencePoolImport": "nobody has published it",
    "autoscaling.gke.io/AutoscalingMetric": "nobody has published it",
}
"""Kinds whose shape is inferred; the schema files say so too."""
INFERRED = {
    ("networking.gke.io/GCPBackendPolicy", "trafficDuration"),
    ("networking.gke.io/GCPBackendPolicy", "maxInFlightRequestsPerEndpoint"),
    ("networking.gke.io/GCPBackendPolicy", "IN_FLIGHT"),
}
"""Fields and values that no public definition has; the schema files mark them INFERRED."""
WIDER = {
    ("monitoring.googleapis.com/PodMonitoring", "namespace"): "its file shares a part with ClusterPodMonitoring, which "
    "has this field of a secret",
}
"""Fields that are let in although the published definition would refuse them, with the reason."""
SCHEMAS = Path(definitions.__code__.co_filename).with_name("schemas")

Json = dict[str, Any]


@cache
def published() -> Mapping[str, tuple[tuple[str, Json], ...]]:
    """``GROUP/KIND`` to the published schemas, each with the name of its file."""
    found: dict[str, list[tuple[str, Json]]] = {}
    for path in sorted(CRDS.glob("*.yaml")):
        for crd in yaml.load_all(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            spec = (crd or {}).get("spec", {})
            for version in spec.get("versions", ()):
                key = f"{spec['group']}/{spec['names']['kind']}"
                found.setdefault(key, []).append((path.name, version["schema"]["openAPIV3Schema"]))
    for path in sorted(CRDS.glob("jsonschema-datree/*.json")):
        group, kind, _ = path.stem.rsplit("_", 2)
        found.setdefault(f"{group}/{kind}".lower(), []).append((path.name, json.loads(path.read_text())))
    return {key: tuple(schemas) for key, schemas in found.items()}


def kinds() -> dict[str, Json]:
    return {
        f"{crd['spec']['group']}/{crd['spec']['names']['kind']}": crd["spec"]["versions"][0]["schema"][
            "openAPIV3Schema"
        ]
        for crd in definitions(EVERYTHING, "1.34.1-gke.1127000")
    }


def differences(ours: Json, theirs: Json, path: str, key: str) -> Iterator[str]:
    """What ours says that theirs does not."""
    if ours.get("x-kubernetes-preserve-unknown-fields"):
        return
    if ours.get("type") != theirs.get("type") and "type" in theirs:
        yield f"{path}: {ours.get('type')}, published {theirs.get('type')}"
        return
    for limit in LIMITS:
        mine, other = ours.get(limit), theirs.get(limit)
        if limit in {"enum", "required"}:
            extra = {one for one in mine or () if one not in (other or ()) and (key, one) not in INFERRED}
            lacking = {one for one in other or () if one not in (mine or ())} if mine else set()
            if extra or (limit == "enum" and lacking and mine):
                yield f"{path}: {limit} {sorted(map(str, extra))} more, {sorted(map(str, lacking))} less than published"
        elif mine is not None and mine != other:
            yield f"{path}: {limit} {mine}, published {other}"
    for name, child in (ours.get("properties") or {}).items():
        if (
            (key, name) in INFERRED
            or (key, name) in WIDER
            or (path in {"", ".status"} and name in {"apiVersion", "kind", "metadata"})
        ):
            continue
        other = (theirs.get("properties") or {}).get(name)
        if other is None:
            yield f"{path}.{name}: not published"
        else:
            yield from differences(child, other, f"{path}.{name}", key)
    for word in ("items", "additionalProperties"):
        if isinstance(ours.get(word), dict):
            if not isinstance(theirs.get(word), dict):
                yield f"{path}[]: not published"
            else:
                yield from differences(ours[word], theirs[word], f"{path}[]", key)


@pytest.mark.parametrize("key", sorted(kinds()))
def test_every_field_is_a_published_one_with_its_type_and_limits(key: str) -> None:
    theirs = (*published().get(key, ()), *published().get(key.lower(), ()))
    if key in NOT_PUBLISHED:
        assert not theirs, f"{key} is published by now: {[name for name, _ in theirs]}"
        return
    assert theirs, f"no definition of {key} in {CRDS}"
    found = {name: list(differences(kinds()[key], schema, "", key)) for name, schema in theirs}
    assert not min(found.values(), key=len), found


def test_what_is_inferred_is_marked_so_in_its_file() -> None:
    marked = "\n".join(path.read_text() for path in SCHEMAS.glob("*.yaml") if "INFERRED" in path.read_text())
    for name in [one.rpartition("/")[2] for one in NOT_PUBLISHED] + [one for _, one in INFERRED]:
        assert name in marked
