"""The scripts that ``mcig export --format gcloud`` writes, run with the real gcloud, kubectl and bash.

Against a fresh emulated cloud they build the world that ``mcig apply`` builds, and take it away again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.emulator import control
from tests.conformance.scripts import Scripts
from tests.conformance.tools import GCLOUD, KUBECTL, Tools

NEEDED = ("curl", "openssl", "gke-gcloud-auth-plugin")
pytestmark = [
    pytest.mark.skipif(not (GCLOUD and KUBECTL), reason="gcloud and kubectl are not installed"),
    pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason=f"{', '.join(NEEDED)} are not all installed"),
]
TOKEN = "hf_a_token_for_the_script_0123"
SPEC = """
name: exported
target: emulator
config_cluster: west-1
clusters:
  - name: west-1
    region: europe-west4
    proxy_subnet: 192.168.10.0/24
    gpu_pool: {name: gpus, zones: [europe-west4-b], accelerator: nvidia-h100-80gb, accelerators_per_node: 1,
               machine_type: a3-highgpu-1g, nodes: 1, provisioning: spot}
  - name: asia-1
    region: asia-southeast1
    gpu_pool: {name: gpus, zones: [asia-southeast1-b], accelerator: nvidia-h100-80gb, accelerators_per_node: 1,
               machine_type: a3-highgpu-1g, nodes: 1, provisioning: flex-start}
pool: {namespace: serving, name: my-pool}
guardrail: {namespaces: [serving], compute_classes: [gold]}
"""


@pytest.fixture
def scripts(tools: Tools, tmp_path: Path) -> Iterator[Scripts]:
    """A world as it is before anything was enabled, and a way to run scripts in it."""
    emptied(tools)
    made = Scripts(tools, tmp_path)
    with made.open():
        yield made


def emptied(tools: Tools) -> None:
    """Leave nothing in the world, not even an enabled API, and no kubeconfig."""
    control.reset(tools.instance)
    Path(tools.variables["KUBECONFIG"]).unlink(missing_ok=True)


@pytest.fixture
def exported(scripts: Scripts, tmp_path: Path) -> tuple[Path, Path]:
    """A specification, and the folder of its scripts."""
    spec, out = tmp_path / "exported.yaml", tmp_path / "out"
    spec.write_text(SPEC)
    scripts.tools.mcig("export", str(spec), "--format", "gcloud", "--out", str(out)).ok()
    return spec, out


@pytest.mark.long
def test_after_setup_there_is_nothing_to_plan_and_the_token_is_nowhere(
    scripts: Scripts, exported: tuple[Path, Path]
) -> None:
    (spec, out), tools = exported, scripts.tools
    traced = out / "traced.sh"
    traced.write_text((out / "setup.sh").read_text().replace("set -euo pipefail", "set -xeuo pipefail", 1))
    run = scripts.run(traced, HF_TOKEN=TOKEN).ok()
    assert run.out.count("answers:") == 2

    plan = tools.mcig("plan", str(spec), "--json", "--detailed-exitcode", HF_TOKEN=TOKEN).ok()
    assert {step["action"] for step in plan.json["steps"]} == {"no-op"}
    assert [step["resource"] for step in plan.json["steps"] if "adopted" in json.dumps(step)] == []

    assert TOKEN not in run.out + run.err
    files = [path for folder in (tools.folder, out) for path in folder.rglob("*") if path.is_file()]
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []


@pytest.mark.long
def test_setup_builds_what_apply_builds_and_teardown_takes_it_away(
    scripts: Scripts, exported: tuple[Path, Path]
) -> None:
    (spec, out), tools = exported, scripts.tools
    tools.mcig("apply", str(spec), "--yes", "--plain").ok()
    applied = scripts.world()
    emptied(tools)

    scripts.run(out / "setup.sh", HF_TOKEN="hf_rehearsal").ok()
    made = scripts.world()
    assert made.keys() == applied.keys()
    for name, thing in applied.items():
        assert made[name] == thing, name

    scripts.run(out / "setup.sh").ok()
    assert scripts.world() == made, "a second run changes nothing, and needs no token"

    down = scripts.run(out / "teardown.sh").ok()
    left = scripts.world()
    assert {name for name in left if left[name]} == {"bindings"}
    assert left["bindings"].keys() == {"roles/container.admin", "roles/owner"}
    assert "gcloud services disable" in down.out
