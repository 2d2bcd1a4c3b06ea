"""What holds for every export: the whole recipe, the same bytes each time, and no token."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
import yaml

from backend.errors import UsageError
from backend.export import Format, export
from backend.export.recipe import Recipe
from backend.resources.objects import KubeObjects
from backend.spec import GatewaySpec
from tests.backend.export.variants import VARIANTS, spec_of

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
NOWHERE: dict[str, str] = {"HOME": "/nonexistent"}
SECOND_HAND = ("relay", "metrics")
"""Rows whose objects depend on the cluster: a test of its own looks at them."""


@cache
def files(spec: GatewaySpec, form: Format) -> dict[str, str]:
    return {file.path: file.text for file in export(spec, form, environ=NOWHERE)}


@cache
def objects(spec: GatewaySpec, form: Format, cluster: str) -> list[Any]:
    found = []
    for path, text in files(spec, form).items():
        if f"{cluster}/" in path and path.endswith(".yaml") and "kustomization" not in path:
            found += [obj for obj in yaml.load_all(text, _LOADER) if obj]
    return found


def bare(obj: Any) -> Any:
    """An object without the annotation that one of its fields' managers adds."""
    meta = {
        key: value for key, value in obj["metadata"].items() if key != "annotations" or obj["kind"] != "InferencePool"
    }
    return obj | {"metadata": meta}


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("name", ["plain", "config only"])
def test_the_same_specification_gives_the_same_bytes(name: str, form: Format) -> None:
    assert export(spec_of(name), form, environ=NOWHERE) == export(spec_of(name), form, environ=NOWHERE)


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("name", VARIANTS)
def test_every_object_of_the_recipe_is_written_as_an_apply_sends_it(name: str, form: Format) -> None:
    spec = spec_of(name)
    for row_id, row in Recipe.of(spec, "my-project").rows.items():
        if isinstance(row, KubeObjects) and not row_id.startswith(SECOND_HAND):
            there = [bare(obj) for obj in objects(spec, form, row.cluster.name)]
            for wanted in row.wanted.values():
                assert bare(wanted) in there, (row_id, wanted["kind"])


@pytest.mark.parametrize("name", VARIANTS)
def test_the_scripts_have_the_commands_that_the_plan_shows(name: str) -> None:
    spec = spec_of(name)
    script = files(spec, Format.GCLOUD)["setup.sh"].replace("\\\n", " ").replace('"', "").replace("'", "")
    words = set(script.split())
    looked_up = ("--range=", "--cluster-version=", "--config-membership=", "--member=", "KUBECONFIG=")
    for row_id, row in Recipe.of(spec, "my-project").rows.items():
        if "gcloud " in row.about.command:
            for word in row.about.command.replace("'", "").replace(";", " ").split():
                assert word in words or word.startswith(looked_up), (row_id, word)


@pytest.mark.parametrize("form", Format)
def test_a_project_is_needed(form: Format) -> None:
    spec = spec_of("plain").model_copy(update={"project": None})
    with pytest.raises(UsageError, match="project"):
        export(spec, form, environ=NOWHERE)
    named = export(spec, form, environ=NOWHERE | {"GOOGLE_CLOUD_PROJECT": "other-project"})
    assert any("other-project" in file.text for file in named)


@pytest.mark.parametrize("form", Format)
def test_no_export_reads_a_token(form: Format) -> None:
    token = "hf_never_in_a_file_0123456789"
    for file in export(spec_of("own namespace"), form, environ=NOWHERE | {"HF_TOKEN": token}):
        assert token not in file.text


def test_both_shapes_of_the_metric_are_there_for_the_script_to_choose_from() -> None:
    written = files(spec_of("plain"), Format.GCLOUD)
    shapes = [
        yaml.safe_load(written[f"manifests/gke-east/autoscaling-{form}.yaml"]) for form in ("endpoints", "metrics")
    ]
    assert [set(shape["spec"]) & {"endpoints", "metrics"} for shape in shapes] == [{"endpoints"}, {"metrics"}]


def test_a_newer_gke_is_given_its_own_shape_of_the_metric() -> None:
    for form in (Format.MANIFESTS, Format.TERRAFORM):
        metrics = [one for one in objects(spec_of("exact version"), form, "gke-east") if "AutoscalingM" in one["kind"]]
        assert [set(one["spec"]) for one in metrics] == [{"metrics"}]


def test_the_pool_is_exported_in_every_form() -> None:
    for form in Format:
        pools = [one for one in objects(spec_of("plain"), form, "gke-east") if one["kind"] == "InferencePool"]
        assert any("networking.gke.io/export" in json.dumps(pool["metadata"]) for pool in pools)
