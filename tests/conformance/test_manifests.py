"""mcig's manifests against those of others: the same objects as the chart and the release, valid for the real API.

The manifests and schemas of others live beside the project, in ``../shared``; where that folder is absent there is
nothing to compare with.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from backend.resources import manifests
from backend.resources.guardrail import guardrail_objects
from backend.resources.manifests.chart import pool_objects
from backend.resources.manifests.crd import inference_objective_crd
from backend.resources.manifests.metrics import Form, metric
from backend.resources.manifests.relay import relay_config, relay_pod
from backend.resources.manifests.serving import model_servers
from backend.resources.shipped import problems
from backend.spec import GatewaySpec, Guardrail

SHARED = Path(__file__).parents[2].parent / "shared"
CLUSTER_SCOPED = {
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}
Object = dict[str, Any]

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the manifests of others (../shared) are not here")


def spec_of(**changes: Any) -> GatewaySpec:
    def cluster(name: str, region: str) -> Object:
        gpus = {"zones": [f"{region}-c"], "accelerator": "nvidia-h100-80gb", "accelerators_per_node": 1}
        return {"name": name, "region": region, "gpu_pool": gpus | {"machine_type": "a3-highgpu-1g", "nodes": 3}}

    clusters = [cluster("gke-west", "europe-west3"), cluster("gke-east", "us-east4")]
    return GatewaySpec.model_validate({"name": "demo", "config_cluster": "gke-west", "clusters": clusters} | changes)


def documents(path: str) -> list[Object]:
    return [found for found in yaml.safe_load_all((SHARED / "manifests" / path).read_text()) if found]


def by_name(objects: list[Object]) -> dict[tuple[str, str], Object]:
    """Objects by kind and name, each with the namespace that the API server would give it, and YAML in data parsed."""
    found = {}
    for obj in objects:
        meta = dict(obj["metadata"])
        if obj["kind"] not in CLUSTER_SCOPED:
            meta.setdefault("namespace", "default")
        data = {key: yaml.safe_load(text) for key, text in obj.get("data", {}).items()}
        found[obj["kind"], meta["name"]] = obj | {"metadata": meta} | ({"data": data} if data else {})
    assert len(found) == len(objects)
    return found


@pytest.mark.parametrize(
    ("rendered", "monitoring", "count"),
    [
        ("chart-v1.1.0_inferencepool_cluster1_no-monitoring.rendered.yaml", False, 11),
        ("chart-v1.1.0_inferencepool_cluster2_monitoring-gke.rendered.yaml", True, 18),
    ],
)
def test_the_pool_is_what_the_chart_renders(rendered: str, monitoring: bool, count: int) -> None:
    ours = by_name(pool_objects(spec_of(pool={"monitoring": monitoring})))
    assert ours == by_name(documents(rendered))
    assert len(ours) == count


def test_the_model_servers_are_the_releases_but_for_the_side_car_and_the_rollout() -> None:
    spec = spec_of()
    ours = by_name(model_servers(spec, spec.config))
    theirs = by_name(documents("gie-v1.1.0_vllm_gpu-deployment.yaml"))
    side_car = theirs["Deployment", "vllm-llama3-8b-instruct"]["spec"]["template"]["spec"]["initContainers"][0]
    assert side_car["restartPolicy"] == "IfNotPresent"
    side_car["restartPolicy"] = "Always"
    deployment = theirs["Deployment", "vllm-llama3-8b-instruct"]["spec"]
    assert "strategy" not in deployment
    deployment["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    assert ours == theirs


def test_the_documents_adapters_are_written_to_the_byte() -> None:
    spec = spec_of()
    theirs = {obj["kind"]: obj for obj in documents("gie-v1.1.0_vllm_gpu-deployment.yaml")}
    assert model_servers(spec, spec.config)[0]["data"] == theirs["ConfigMap"]["data"]


def test_the_gateway_the_route_and_the_health_check_are_the_documents() -> None:
    spec = spec_of()
    ours = [manifests.gateway(spec), manifests.route(spec), manifests.health_policy(spec)]
    assert by_name(ours) == by_name(documents("seed/seed-L432_mcig.yaml"))


def test_the_policies_and_the_objective_are_the_corrected_ones() -> None:
    custom = spec_of(timeout_s=600, model={"image": "vllm/vllm-openai:v0.10.2"})
    in_flight = spec_of(timeout_s=600, balancing={"mode": "IN_FLIGHT"})
    assert [manifests.backend_policy(custom)] == documents("corrected/backend-policy_custom-metrics.yaml")
    assert [manifests.backend_policy(in_flight)] == documents("corrected/backend-policy_in-flight.yaml")
    assert [manifests.objective(custom)] == documents("corrected/inference-objective.yaml")


def test_the_metric_is_the_corrected_one_in_either_shape() -> None:
    spec = spec_of()
    assert [metric(spec, Form.ENDPOINTS)] == documents("corrected/metrics_gke-1.34-endpoints-form.yaml")
    assert [metric(spec, Form.PODS)] == documents("corrected/metrics_gke-1.35-pod-form.yaml")


def test_the_guardrail_is_the_documents_but_for_its_lists_and_conditions() -> None:
    ours = guardrail_objects(Guardrail(namespaces=("foo", "bar", "baz"), compute_classes=("autopilot",)))
    theirs = by_name(documents("seed/seed-L276_stray-validatingadmissionpolicy.yaml"))
    policy = theirs["ValidatingAdmissionPolicy", "restrict-toleration"]["spec"]
    assert r"split('\\n')" in policy["matchConditions"][0]["expression"]
    policy["matchConditions"][0]["expression"] = ours[1]["spec"]["matchConditions"][0]["expression"]
    policy["validations"][0]["expression"] = ours[1]["spec"]["validations"][0]["expression"]
    assert {name: obj for name, obj in by_name(ours).items() if name[0] != "ConfigMap"} == {
        name: obj for name, obj in theirs.items() if name[0] != "ConfigMap"
    }
    assert {obj["metadata"]["name"] for obj in ours} == {name for _, name in theirs}


def everything(spec: GatewaySpec) -> list[Object]:
    objects = [
        inference_objective_crd(),
        manifests.namespace(spec),
        *(servers for cluster in spec.clusters for servers in model_servers(spec, cluster)),
        *pool_objects(spec),
        manifests.objective(spec),
        manifests.gateway(spec),
        manifests.route(spec),
        manifests.health_policy(spec),
        manifests.backend_policy(spec),
        *guardrail_objects(Guardrail(namespaces=("serving",), compute_classes=("h100",))),
        relay_config(spec),
        relay_pod(spec, ["10.0.0.7", "10.128.0.9"]),
        *(metric(spec, form) for form in Form),
    ]
    return [manifests.marked(obj, spec) for obj in objects]


def bought(cluster: Object, **how: Any) -> Object:
    """A cluster whose GPU machines are bought in another way."""
    return cluster | {"gpu_pool": cluster["gpu_pool"] | how}


def test_every_object_is_valid_for_the_real_api(tmp_path: Path) -> None:
    specs = [
        spec_of(),
        spec_of(balancing={"mode": "IN_FLIGHT"}, pool={"namespace": "serving", "monitoring": False}),
        spec_of(model={"image": "vllm/vllm-openai:v0.11.0", "max_model_len": 8192}),
        spec_of(model={"adapters": []}),
        spec_of(model={"adapters": [{"name": f"adapter-{index}", "source": f"owner/{index}"} for index in range(5)]}),
        spec_of(clusters=[bought(cluster, provisioning="flex-start") for cluster in spec_of().to_data()["clusters"]]),
        spec_of(
            clusters=[
                bought(cluster, provisioning="reservation", reservation="ours")
                for cluster in spec_of().to_data()["clusters"]
            ]
        ),
        spec_of(gateway={"name": "g" * 60, "port": 8080}, objective={"name": "o", "priority": -3}, timeout_s=3600),
        spec_of(pool={"name": "p" * 60, "port": 9999}, health_check={"path": "/v1/health", "port": 9999}),
    ]
    different = {json.dumps(obj, sort_keys=True): obj for spec in specs for obj in everything(spec)}.values()
    file = tmp_path / "all.yaml"
    file.write_text(yaml.safe_dump_all(different))
    checker = SHARED / "tools" / "validate-manifests"
    told = subprocess.run([sys.executable, checker, file], capture_output=True, text=True, check=False)
    refused = [line for line in told.stdout.splitlines() if not line.endswith(": ok")]
    assert (told.returncode, refused) == (0, []), told.stderr
    assert [problem for obj in different for problem in problems(obj)] == []


def test_the_crd_has_the_releases_fields_and_bounds() -> None:
    path = SHARED / "crds" / "gie-v1.1.0_inference.networking.x-k8s.io_inferenceobjectives.yaml"
    theirs = yaml.safe_load(path.read_text())
    ours = inference_objective_crd()
    assert ours["metadata"] == theirs["metadata"]
    assert _without_descriptions(ours["spec"]) == _without_descriptions(theirs["spec"])


def _without_descriptions(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: _without_descriptions(value)
            for key, value in node.items()
            if not (key == "description" and isinstance(value, str))
        }
    return [_without_descriptions(item) for item in node] if isinstance(node, list) else node
