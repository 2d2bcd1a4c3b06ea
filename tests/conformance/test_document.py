"""The document's own commands: exactly as printed, and corrected only where they cannot run."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import document
from tests.conformance.tools import GCLOUD, KUBECTL, SHARED, Done, Tools

pytestmark = [
    pytest.mark.skipif(GCLOUD is None or KUBECTL is None, reason="gcloud or kubectl is not installed"),
    pytest.mark.skipif(not SHARED.is_dir(), reason="the document (../shared) is not here"),
]

AS_PRINTED = (
    ("clusters create gke-west", 0, "Note: "),
    ("node-pools create h100", 1, "code=404, message=Not found: projects/demo-project/locations/europe-west3-c/"),
    ("get-credentials gke-west", 1, "Did you mean [gke-west] in [europe-west3]?"),
    ("create secret generic hf-token \\", 1, "localhost:8080"),
    ("clusters create gke-east", 127, "cluster: command not found"),
    ("node-pools create h100", 1, "code=404, message=Not found: projects/demo-project/locations/us-east4-a/"),
    ("get-credentials gke-east", 1, "Did you mean [gke-east] in [us-east4]?"),
    ("create secret generic hf-token --from", 1, "localhost:8080"),
    ("memberships register gke-west", 1, "INVALID_ARGUMENT"),
    ("memberships register gke-east", 1, "INVALID_ARGUMENT"),
    ("fleet ingress enable", 1, "INVALID_ARGUMENT"),
    ("subnets create europe-west3-subnet", 1, "Invalid IPCidrRange: 10.0.0.0/23 conflicts with existing subnetwork"),
    ("subnets create us-east4-subnet", 1, "Invalid IPCidrRange: 10.5.0.0/23 conflicts with existing subnetwork"),
    ("CLUSTER1_CONTEXT=", 0, ""),
    ("CLUSTER2_CONTEXT=", 0, ""),
    *(
        (command, 1, "CLUSTER")
        for command in (
            "inferenceobjectives.yaml", "inferenceobjectives.yaml", "gpu-deployment.yaml", "gpu-deployment.yaml",
            "inference-objective.yaml", "inference-objective.yaml", "helm install", "helm install", "annotate",
            "annotate", "mcig.yaml", "metrics.yaml", "metrics.yaml", "backend-policy.yaml", "backend-policy.yaml",
            "kubectl run",
        )
    ),
    ("GW_IP=", 1, "The connection to the server localhost:8080 was refused"),
)  # fmt: skip
"""Each command of the document in order: a part of it, its exit code, and what is said."""
STILL_TO_DO = {
    "services": "logging, monitoring and quotas are read by mcig; the document enables other APIs",
    "iam/node-sa": "the document's nodes run as the default account",
    "cluster/gke-west": "no Workload Identity, which a multi-cluster Gateway needs",
    "cluster/gke-east": "no Workload Identity, which a multi-cluster Gateway needs",
    "iam/mci-agent": "the multi-cluster controller's agent may not read the clusters",
    "gateway": "therefore it is not programmed",
    "relay@gke-west": "mcig asks the model through it",
    "verify": "nothing asked the model yet",
}
"""What a plan still has to do after the document, and why: departures of the recipe, nothing that exists made anew."""
TOLD = {
    "crd/inferenceobjective": r".*\.description",
    "model-server": r".*spec\.(replicas|strategy\..*)",
    "pool": r"(ServiceAccount|Secret|ClusterRole|ClusterRoleBinding|Role|RoleBinding|PodMonitoring)/.*",
    "objective": r".*spec\.poolRef\.name",
    "backend-policy": r".*spec\.default\.(timeoutSec|customMetrics\[0\]\.name)",
}
"""Fields of what is adopted that are told as differences and left alone."""


def test_the_commands_exactly_as_printed_fail_as_the_real_ones_would(tools: Tools) -> None:
    _save_files(tools.folder)
    commands = document.printed()
    assert len(commands) == len(AS_PRINTED)
    for command, (part, code, said) in zip(commands, AS_PRINTED, strict=True):
        assert part in command
        if command.startswith("helm") and shutil.which("helm") is None:
            continue
        one_line = command.startswith("gcloud") and code != 127
        shell = ["bash", "-c", document.without_internet(command)]
        done = tools.gcloud(command) if one_line else tools.run(shell)
        assert (done.code, said in " ".join(done.err.split())) == (code, True), f"{command}\n{done.code}: {done.err}"
    clusters = tools.google("GET", "/container/v1/projects/demo-project/locations/-/clusters")["clusters"]
    assert [one["name"] for one in clusters] == ["gke-west", "gke-east"]
    assert [[pool["name"] for pool in one["nodePools"]] for one in clusters] == [["default-pool"], ["default-pool"]]


def test_corrected_only_where_they_cannot_run_and_then_adopted(tools: Tools) -> None:
    _save_files(tools.folder)
    for command in document.corrected():
        if command.startswith("gcloud"):
            tools.gcloud(command).ok()
            if "get-credentials" in command:
                tools.sign_in()
        elif "kubectl run" not in command and "GW_IP" not in command and not command.startswith("CLUSTER"):
            _kubectl(tools, command)
    steps = _plan(tools)
    changes = {name: step["action"] for name, step in steps.items() if step["action"] != "no-op"}
    assert set(changes) == set(STILL_TO_DO)
    assert {action for name, action in changes.items() if name.startswith(("cluster", "gateway"))} == {"update"}
    for name, step in steps.items():
        if name not in changes:
            told = [change["field"] for change in step["drift"]]
            allowed = TOLD.get(name.partition("@")[0], "nothing")
            assert all(re.fullmatch(allowed, field) for field in told), f"{name}: {told}"


def _kubectl(tools: Tools, command: str) -> None:
    contexts = {
        match[1]: match[2] for match in (re.fullmatch(r'(\w+)="(\S+)"', one) for one in document.corrected()) if match
    }

    def run() -> Done:
        return tools.run(["bash", "-c", command], **contexts)

    if "gpu-deployment" in command:
        run().failed("initContainers[0].restartPolicy: Unsupported value")
        copy = tools.folder / "gpu-deployment.yaml"
        source = Path(re.findall(r"-f (\S+)", command)[0])
        copy.write_text(source.read_text().replace("restartPolicy: IfNotPresent", "restartPolicy: Always"))
        command = command.replace(str(source), str(copy))
    elif "backend-policy" in command and "my-backend-policy" in _policies(tools, contexts["CLUSTER1_CONTEXT"]):
        (tools.folder / "backend-policy.yaml").write_text(document.file("backend-policy.yaml", 1))
        run().failed('unknown field "spec.default.dryRun"')
        return
    elif "backend-policy" in command:
        run().failed('unknown field "spec.default.customMetrics[0].maxUtilization"')
        policy = document.file("backend-policy.yaml")
        (tools.folder / "backend-policy.yaml").write_text(policy.replace("maxUtilization:", "maxUtilizationPercent:"))
    run().ok()


def _policies(tools: Tools, context: str) -> str:
    return tools.kubectl(f"--context={context} get gcpbackendpolicies -o name").ok().out


def _save_files(folder: Path) -> None:
    for name in ("inference-objective.yaml", "mcig.yaml", "metrics.yaml", "backend-policy.yaml"):
        (folder / name).write_text(document.file(name))


def _plan(tools: Tools) -> dict[str, Any]:
    done = tools.mcig("plan", "two-region-h100", "--target", "emulator", "--json")
    return {step["resource"]: step for step in json.loads(done.ok().out)["steps"]}
