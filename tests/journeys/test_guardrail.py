"""A stack with a guardrail: the policy that mcig applies lets a Pod in or refuses it, as kubectl's user sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.journeys.terminal import Terminal
from tests.journeys.traffic import Serving

ASKED = ("guardrail.namespaces=[serving, batch]", "guardrail.compute_classes=[h100, spot]")
DENIED = (
    "ValidatingAdmissionPolicy 'restrict-toleration' with binding 'restrict-toleration-binding' denied request: "
    "Compute class toleration not permitted on workloads in namespace default"
)


def manifest(folder: Path, kind: str, namespace: str, value: str) -> str:
    """A file with a workload that tolerates a compute class."""
    toleration = {"key": "cloud.google.com/compute-class", "operator": "Equal", "value": value, "effect": "NoSchedule"}
    pod = {"containers": [{"name": "main", "image": "nginx:1"}], "tolerations": [toleration]}
    found = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"asks-{value}", "namespace": namespace},
        "spec": pod,
    }
    if kind == "Deployment":
        labels = {"app": "asks"}
        template = {"metadata": {"labels": labels}, "spec": pod}
        spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
        found |= {"apiVersion": "apps/v1", "kind": kind, "spec": spec}
    path = folder / f"{kind}-{namespace}-{value}.json"
    path.write_text(json.dumps(found))
    return str(path)


def test_a_guarded_compute_class_is_for_the_named_namespaces_only(terminal: Terminal, tmp_path: Path) -> None:
    serving = Serving(terminal, *ASKED)
    steps = terminal.mcig("plan", "rehearsal", "--json").document["steps"]
    guarded = {step["resource"]: step["action"] for step in steps if step["resource"].startswith("guardrail@")}
    assert guarded == {"guardrail@gke-west": "no-op", "guardrail@gke-east": "no-op"}

    for cluster in ("gke-west", "gke-east"):
        serving.kubectl(cluster, "create", "namespace", "batch")
        serving.kubectl(cluster, "apply", "-f", manifest(tmp_path, "Pod", "batch", "spot"))
        serving.kubectl(cluster, "apply", "-f", manifest(tmp_path, "Pod", "default", "other"))
        with pytest.raises(AssertionError, match="denied request") as refused:
            serving.kubectl(cluster, "apply", "-f", manifest(tmp_path, "Pod", "default", "spot"))
        assert f'The pods "asks-spot" is invalid: : {DENIED}' in str(refused.value)
    assert serving.kubectl("gke-east", "get", "pods", "-n", "batch", "-o", "name").split() == ["pod/asks-spot"]

    serving.kubectl("gke-west", "apply", "-f", manifest(tmp_path, "Deployment", "default", "h100"))
    told = ("get", "events", "--field-selector", "reason=FailedCreate", "-o", "jsonpath={.items[*].message}")
    serving.until(lambda: DENIED in serving.kubectl("gke-west", *told))
