"""The manifests as pure functions of the spec."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from backend.resources import manifests, marks
from backend.resources.manifests.chart import epp_name, pool_objects
from backend.resources.manifests.crd import inference_objective_crd
from backend.resources.manifests.relay import IMAGE, SCRIPT_DIGEST, relay_config, relay_pod
from backend.resources.manifests.serving import arguments, deployment, model_servers
from backend.spec import GatewaySpec

Json = dict[str, Any]


def changed(spec: GatewaySpec, **changes: Any) -> GatewaySpec:
    data = spec.to_data()
    for path, value in changes.items():
        part, _, field = path.partition("__")
        data[part] = data[part] | {field: value} if field else value
    return GatewaySpec.model_validate(data)


def everything(spec: GatewaySpec) -> list[Json]:
    return [
        inference_objective_crd(),
        *model_servers(spec, spec.config),
        *pool_objects(spec),
        manifests.objective(spec),
        manifests.gateway(spec),
        manifests.route(spec),
        manifests.health_policy(spec),
        manifests.backend_policy(spec),
        relay_config(spec),
        relay_pod(spec, ["10.0.0.7"]),
    ]


def values(node: Any, name: str) -> Iterator[Any]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == name:
                yield value
            yield from values(value, name)
    elif isinstance(node, list):
        for item in node:
            yield from values(item, name)


def test_marks_go_to_the_objects_labels_and_nowhere_else(spec: GatewaySpec) -> None:
    for obj in everything(spec):
        marked = manifests.marked(obj, spec)
        assert manifests.is_ours(marked, spec)
        assert not manifests.is_ours(obj, spec)
        assert marked["metadata"]["labels"] == obj["metadata"].get("labels", {}) | marks.labels(spec)
        rest = {key: value for key, value in marked.items() if key != "metadata"}
        assert rest == {key: value for key, value in obj.items() if key != "metadata"}


def test_another_stacks_marks_are_not_ours(spec: GatewaySpec) -> None:
    theirs = manifests.marked(manifests.gateway(spec), changed(spec, name="another"))
    assert not manifests.is_ours(theirs, spec)
    assert not manifests.is_ours({"metadata": {"labels": None}}, spec)


def test_everything_is_in_the_pools_namespace(spec: GatewaySpec) -> None:
    objects = everything(changed(spec, pool__namespace="serving"))
    found = {obj["metadata"].get("namespace") for obj in objects}
    assert found == {"serving", None}
    assert (
        "default" not in yaml.safe_dump([obj for obj in objects if obj["kind"] != "CustomResourceDefinition"]).split()
    )


def test_a_model_server_takes_a_gpu_and_every_gpu_has_one(spec: GatewaySpec) -> None:
    servers = deployment(spec, spec.config)["spec"]
    assert servers["replicas"] == spec.config.serving_pool.gpus == 6
    pod = servers["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": 1}
    assert deployment(changed(spec, model__replicas=2), spec.config)["spec"]["replicas"] == 2


def test_the_side_car_is_one_that_api_servers_accept(spec: GatewaySpec) -> None:
    (side_car,) = deployment(spec, spec.config)["spec"]["template"]["spec"]["initContainers"]
    assert side_car["restartPolicy"] == "Always"


@pytest.mark.parametrize(
    ("tag", "flagged"), [("v0.8.5", False), ("v0.9.2", False), ("v0.10.0", True), ("v0.11.1", True), ("nightly", True)]
)
def test_requests_are_logged_whatever_the_version_does_by_default(spec: GatewaySpec, tag: str, flagged: bool) -> None:
    args = arguments(changed(spec, model__image=f"vllm/vllm-openai:{tag}"))
    assert ("--enable-log-requests" in args) is flagged


def test_the_context_is_bounded_only_when_asked(spec: GatewaySpec) -> None:
    assert "--max-model-len" not in arguments(spec)
    args = arguments(changed(spec, model__max_model_len=8192))
    assert args[args.index("--max-model-len") + 1] == "8192"


def test_flex_start_nodes_are_asked_for_by_the_pods(spec: GatewaySpec) -> None:
    data = spec.to_data()
    data["clusters"][0]["gpu_pool"]["provisioning"] = "flex-start"
    flexible = GatewaySpec.model_validate(data)
    west, east = (deployment(flexible, cluster)["spec"]["template"]["spec"] for cluster in flexible.clusters)
    assert west["nodeSelector"] == {"cloud.google.com/gke-flex-start": "true"}
    assert "nodeSelector" not in east


def test_the_adapters_are_told_to_the_side_car(spec: GatewaySpec) -> None:
    adapters = [{"name": "one", "source": "a/b"}, {"name": "two", "source": "c/d"}]
    config, _ = model_servers(changed(spec, model__adapters=adapters), spec.config)
    told = yaml.safe_load(config["data"]["configmap.yaml"])["vLLMLoRAConfig"]
    assert told["ensureExist"]["models"] == [{"id": "one", "source": "a/b"}, {"id": "two", "source": "c/d"}]


def test_a_long_release_name_is_cut_for_the_endpoint_picker(spec: GatewaySpec) -> None:
    name = "p" * 50
    objects = pool_objects(changed(spec, pool__name=name))
    pool = next(obj for obj in objects if obj["kind"] == "InferencePool")
    assert pool["metadata"]["name"] == name
    assert pool["spec"]["endpointPickerRef"]["name"] == epp_name(name) == "p" * 40 + "-epp"
    assert {obj["metadata"]["name"] for obj in objects if obj["kind"] == "Deployment"} == {epp_name(name)}


def test_the_pools_port_is_everywhere(spec: GatewaySpec) -> None:
    other = changed(spec, pool__port=9000, health_check__port=9000)
    pool = next(obj for obj in pool_objects(other) if obj["kind"] == "InferencePool")
    assert pool["spec"]["targetPorts"] == [{"number": 9000}]
    checks = list(values([*pool_objects(other), manifests.health_policy(other)], "httpHealthCheck"))
    assert [check["port"] for check in checks] == [9000, 9000]
    assert "8000" not in str(everything(other))


def test_the_objective_refers_to_the_pools_real_name(spec: GatewaySpec) -> None:
    objective = manifests.objective(changed(spec, pool__name="another"))
    assert objective["spec"]["poolRef"]["name"] == "another"


def test_each_balancing_mode_has_its_own_fields_and_both_the_timeout(spec: GatewaySpec) -> None:
    custom = manifests.backend_policy(spec)["spec"]["default"]
    in_flight = manifests.backend_policy(changed(spec, balancing={"mode": "IN_FLIGHT"}))["spec"]["default"]
    assert custom["customMetrics"] == [
        {"name": "gke.named_metrics.kv-cache-old", "dryRun": False, "maxUtilizationPercent": 60}
    ]
    assert in_flight["maxInFlightRequestsPerEndpoint"] == 1000
    assert custom["timeoutSec"] == in_flight["timeoutSec"] == spec.timeout_s
    assert not {"maxInFlightRequestsPerEndpoint", "dryRun"} & set(custom)
    assert not {"customMetrics", "dryRun"} & set(in_flight)


def test_the_gateway_has_an_address_in_every_region(spec: GatewaySpec) -> None:
    addresses = manifests.gateway(spec)["spec"]["addresses"]
    assert [address["value"] for address in addresses] == list(spec.regions)
    assert all(address["type"].endswith(f"/{address['value']}") for address in addresses)


def test_the_relay_has_no_rights_and_an_end(spec: GatewaySpec) -> None:
    pod = relay_pod(spec, ["10.0.0.9", "10.0.0.7"])["spec"]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert (pod["restartPolicy"], pod["activeDeadlineSeconds"]) == ("Never", 3600)
    assert "@sha256:" in IMAGE
    env = {item["name"]: item["value"] for item in container["env"]}
    assert env["ALLOWED_TARGETS"] == "10.0.0.7:80,10.0.0.9:80"
    assert int(env["UPSTREAM_TIMEOUT_S"]) > spec.timeout_s


def test_the_relays_pod_tells_its_script_and_not_the_order_of_its_addresses(spec: GatewaySpec) -> None:
    one, other = relay_pod(spec, ["10.0.0.9", "10.0.0.7"]), relay_pod(spec, ["10.0.0.7", "10.0.0.9"])
    assert one == other
    assert len(one["metadata"]["annotations"][SCRIPT_DIGEST]) == 64
    compile(relay_config(spec)["data"]["relay.py"], "relay.py", "exec")
