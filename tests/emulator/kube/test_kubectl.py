"""The real kubectl against a cluster, where there is one on the machine."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

KUBECTL = shutil.which("kubectl")
pytestmark = pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")

Run = Callable[..., Coroutine[Any, Any, tuple[int, str, str]]]

MODEL_SERVER = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: vllm, namespace: default}
spec:
  replicas: 2
  selector: {matchLabels: {app: vllm}}
  template:
    metadata: {labels: {app: vllm}}
    spec:
      containers:
      - name: vllm
        image: vllm/vllm-openai:v0.8.5
        resources: {limits: {nvidia.com/gpu: 1}}
      initContainers:
      - {name: lora, image: "lora:1", restartPolicy: POLICY}
"""
OBJECTIVE = """
apiVersion: inference.networking.x-k8s.io/v1alpha2
kind: InferenceObjective
metadata: {name: food-review, namespace: default}
spec: {poolRef: {name: vllm}}
"""


@pytest.fixture
def kubectl(served: Any, ca_file: str, tmp_path: Path) -> Run:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "c", "cluster": {"server": f"https://{served.endpoint}", "certificate-authority": ca_file}}
        ],
        "users": [{"name": "u", "user": {"token": served.token}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))

    async def run(*arguments: str, text: str = "") -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            KUBECTL or "",
            *arguments,
            env={"KUBECONFIG": str(path), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(text.encode()), 20)
        return process.returncode or 0, out.decode().strip(), err.decode().strip()

    return run


async def test_apply_get_and_delete(kubectl: Run, served: Any) -> None:
    code, _, err = await kubectl(
        "apply", "--server-side", "-f", "-", text=MODEL_SERVER.replace("POLICY", "IfNotPresent")
    )
    assert code == 1
    assert err == (
        'The Deployment "vllm" is invalid: spec.template.spec.initContainers[0].restartPolicy: '
        'Unsupported value: "IfNotPresent": supported values: "Always"'
    )
    code, out, _ = await kubectl("apply", "--server-side", "-f", "-", text=MODEL_SERVER.replace("POLICY", "Always"))
    assert (code, out) == (0, "deployment.apps/vllm serverside-applied")
    code, out, _ = await kubectl("get", "deployments")
    assert out.splitlines()[0].split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert out.splitlines()[1].split()[:4] == ["vllm", "0/2", "0", "0"]
    code, out, _ = await kubectl("apply", "-f", "-", text=MODEL_SERVER.replace("POLICY", "Always"))
    assert (code, out) == (0, "deployment.apps/vllm configured")
    code, out, _ = await kubectl("delete", "deployment", "vllm")
    assert (code, out) == (0, 'deployment.apps "vllm" deleted')
    assert served.store.list("apps/deployments") == []


async def test_secrets_conflicts_and_waiting(kubectl: Run, served: Any) -> None:
    code, out, _ = await kubectl("create", "secret", "generic", "hf-token", "--from-literal=token=x")
    assert (code, out) == (0, "secret/hf-token created")
    code, _, err = await kubectl("create", "secret", "generic", "hf-token", "--from-literal=token=x")
    assert (code, err) == (1, 'error: failed to create secret secrets "hf-token" already exists')
    await kubectl("apply", "--server-side", "-f", "-", text=MODEL_SERVER.replace("POLICY", "Always"))
    await kubectl("scale", "deployment", "vllm", "--replicas", "5")
    code, _, err = await kubectl("apply", "--server-side", "-f", "-", text=MODEL_SERVER.replace("POLICY", "Always"))
    assert code == 1
    assert "Apply failed with 1 conflict: conflict with" in err
    assert err.splitlines()[0].endswith(": .spec.replicas")
    waiting = asyncio.create_task(kubectl("wait", "--for=condition=Available", "deployment/vllm", "--timeout=10s"))
    condition = {"type": "Available", "status": "True"}
    served.store.set_status("apps/deployments", "default", "vllm", {"conditions": [condition]}, manager="c")
    assert (await waiting)[:2] == (0, "deployment.apps/vllm condition met")


async def test_a_kind_whose_definition_is_missing(kubectl: Run) -> None:
    code, _, err = await kubectl("apply", "-f", "-", text=OBJECTIVE)
    assert code == 1
    assert 'no matches for kind "InferenceObjective" in version "inference.networking.x-k8s.io/v1alpha2"' in err
    assert "ensure CRDs are installed first" in err


async def test_explain(kubectl: Run) -> None:
    code, out, _ = await kubectl("explain", "gcpbackendpolicy.spec.default.customMetrics")
    assert code == 0
    assert "maxUtilizationPercent" in out
    code, out, _ = await kubectl("explain", "deployment.spec.template.spec.containers")
    assert "FIELD: containers <[]Container>" in out
