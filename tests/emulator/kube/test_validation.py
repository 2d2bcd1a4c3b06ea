"""What is refused, in the API server's words; over HTTPS, as a client reads it."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

POLICIES = "/apis/networking.gke.io/v1/namespaces/default/gcpbackendpolicies"
CHECKS = "/apis/networking.gke.io/v1/namespaces/default/healthcheckpolicies"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
GATEWAYS = "/apis/gateway.networking.k8s.io/v1/namespaces/default/gateways"
POOLS = "/apis/inference.networking.k8s.io/v1/namespaces/default/inferencepools"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TARGET = {"group": "networking.gke.io", "kind": "GCPInferencePoolImport", "name": "pool"}


def policy(**default: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.gke.io/v1",
        "kind": "GCPBackendPolicy",
        "metadata": {"name": "policy"},
        "spec": {"targetRef": TARGET, "default": default},
    }


def deployment(**pod: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "server"},
        "spec": {
            "selector": {"matchLabels": {"app": "server"}},
            "template": {
                "metadata": {"labels": {"app": "server"}},
                "spec": {"containers": [{"name": "main", "image": "registry/main:1"}], **pod},
            },
        },
    }


def pool(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "inference.networking.k8s.io/v1",
        "kind": "InferencePool",
        "metadata": {"name": "pool"},
        "spec": {
            "selector": {"matchLabels": {"app": "server"}},
            "targetPorts": [{"number": 8000}],
            "endpointPickerRef": {"name": "epp", "port": {"number": 9002}},
            **spec,
        },
    }


async def post(
    http: aiohttp.ClientSession, path: str, obj: Any, validation: str = "Strict"
) -> tuple[int, Any, list[str]]:
    async with http.post(path, json=obj, params={"fieldValidation": validation}) as response:
        return response.status, await response.json(), response.headers.getall("Warning", [])


async def test_an_unknown_field_of_a_custom_resource(http: aiohttp.ClientSession) -> None:
    metric = {"name": "gke.named_metrics.kv-cache", "dryRun": False, "maxUtilization": 60}
    code, status, _ = await post(http, POLICIES, policy(balancingMode="CUSTOM_METRICS", customMetrics=[metric]))
    assert (code, status["reason"]) == (400, "BadRequest")
    assert status["message"] == (
        'GCPBackendPolicy in version "v1" cannot be handled as a GCPBackendPolicy: strict decoding error: '
        'unknown field "spec.default.customMetrics[0].maxUtilization"'
    )


async def test_an_unknown_field_is_dropped_with_a_warning_or_without(http: aiohttp.ClientSession) -> None:
    code, made, warnings = await post(http, POLICIES, policy(balancingMode="IN_FLIGHT", dryRun=False), "Warn")
    assert code == 201
    assert made["spec"]["default"] == {"balancingMode": "IN_FLIGHT"}
    assert warnings == ['299 - "unknown field \\"spec.default.dryRun\\""']
    async with http.delete(f"{POLICIES}/policy") as response:
        assert response.status == 200
    code, made, warnings = await post(http, POLICIES, policy(timeoutSec=100, dryRun=False), "Ignore")
    assert (code, made["spec"]["default"], warnings) == (201, {"timeoutSec": 100}, [])


async def test_an_unknown_field_of_a_built_in_kind(http: aiohttp.ClientSession) -> None:
    wrong = deployment()
    wrong["spec"]["foo"] = 1
    wrong["spec"]["template"]["spec"]["containers"][0]["imagePolicy"] = "Always"
    code, status, _ = await post(http, DEPLOYMENTS, wrong)
    assert code == 400
    assert status["message"] == (
        'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field '
        '"spec.template.spec.containers[0].imagePolicy", unknown field "spec.foo"'
    )


async def test_a_value_of_the_wrong_type_in_a_built_in_kind(http: aiohttp.ClientSession) -> None:
    wrong = deployment()
    wrong["spec"]["replicas"] = "three"
    code, status, _ = await post(http, DEPLOYMENTS, wrong, "Ignore")
    assert code == 400
    message = "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"
    assert message in status["message"]


async def test_the_side_cars_restart_policy_of_the_published_manifest(http: aiohttp.ClientSession) -> None:
    side_car = {"name": "lora", "image": "registry/lora:1", "restartPolicy": "IfNotPresent"}
    code, status, _ = await post(http, DEPLOYMENTS, deployment(initContainers=[side_car]))
    assert (code, status["reason"]) == (422, "Invalid")
    message = 'Unsupported value: "IfNotPresent": supported values: "Always"'
    path = "spec.template.spec.initContainers[0].restartPolicy"
    assert status["message"] == f'Deployment.apps "server" is invalid: {path}: {message}'
    assert status["details"] == {
        "name": "server",
        "group": "apps",
        "kind": "Deployment",
        "causes": [{"reason": "FieldValueNotSupported", "message": message, "field": path}],
    }
    side_car["restartPolicy"] = "Always"
    code, _, _ = await post(http, DEPLOYMENTS, deployment(initContainers=[side_car]))
    assert code == 201


@pytest.mark.parametrize(
    ("pod", "message"),
    [
        ({"restartPolicy": "Never"}, 'spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'),
        ({"containers": []}, "spec.containers: Required value"),
        ({"containers": [{"name": "main"}]}, "spec.containers[0].image: Required value"),
        (
            {"containers": [{"name": "main", "image": "i", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]},
            'spec.containers[0].volumeMounts[0].name: Not found: "v"',
        ),
        (
            {"containers": [{"name": "main", "image": "i", "ports": [{"containerPort": 70000}]}]},
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        ),
        (
            {"containers": [{"name": "main", "image": "i", "imagePullPolicy": "Sometimes"}]},
            (
                'spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", '
                '"IfNotPresent", "Never"'
            ),
        ),
    ],
)
async def test_values_that_a_deployment_refuses(http: aiohttp.ClientSession, pod: Any, message: str) -> None:
    code, status, _ = await post(http, DEPLOYMENTS, deployment(**pod))
    assert code == 422
    assert f"spec.template.{message}" in status["message"]


async def test_a_selector_that_misses_its_own_template(http: aiohttp.ClientSession) -> None:
    wrong = deployment()
    wrong["spec"]["selector"]["matchLabels"] = {"app": "other"}
    _, status, _ = await post(http, DEPLOYMENTS, wrong)
    assert status["message"].endswith(
        'spec.template.metadata.labels: Invalid value: {"app":"server"}: `selector` does not match template `labels`'
    )


@pytest.mark.parametrize(
    ("default", "message"),
    [
        (
            {"balancingMode": "FASTEST"},
            (
                'spec.default.balancingMode: Unsupported value: "FASTEST": supported values: "RATE", "UTILIZATION", '
                '"CUSTOM_METRICS", "IN_FLIGHT"'
            ),
        ),
        (
            {"timeoutSec": 0},
            (
                "spec.default.timeoutSec: Invalid value: 0: "
                "spec.default.timeoutSec in body should be greater than or equal to 1"
            ),
        ),
        (
            {"timeoutSec": "100s"},
            (
                'spec.default.timeoutSec: Invalid value: "string": '
                'spec.default.timeoutSec in body must be of type integer: "string"'
            ),
        ),
        (
            {"customMetrics": [{"name": "gke.named_metrics.kv-cache", "dryRun": False, "maxUtilizationPercent": 600}]},
            (
                "spec.default.customMetrics[0].maxUtilizationPercent: Invalid value: 600: "
                "spec.default.customMetrics[0].maxUtilizationPercent in body should be less than or equal to 100"
            ),
        ),
        ({"customMetrics": [{"name": "kv"}]}, "spec.default.customMetrics[0].dryRun: Required value"),
        (
            {"customMetrics": [{"name": "kv", "dryRun": True}] * 3},
            "spec.default.customMetrics: Too many: 3: must have at most 2 items",
        ),
        (
            {"balancingMode": "RATE", "scopes": [{"selector": {"gke.io/zone": "z"}, "balancingMode": "RATE"}]},
            (
                'spec.default: Invalid value: "object": '
                "balancingMode cannot be specified for both default and scopes fields"
            ),
        ),
        (
            {"scopes": [{"selector": {"env": "prod"}}]},
            (
                'spec.default.scopes[0].selector: Invalid value: "object": '
                "The selector key can only be one of gke.io/zone, gke.io/region or gke.io/cluster-name."
            ),
        ),
    ],
)
async def test_values_that_a_backend_policy_refuses(http: aiohttp.ClientSession, default: Any, message: str) -> None:
    code, status, _ = await post(http, POLICIES, policy(**default))
    assert code == 422
    assert status["message"] == f'GCPBackendPolicy.networking.gke.io "policy" is invalid: {message}'


@pytest.mark.parametrize(
    ("default", "message"),
    [
        ({"timeoutSec": 9, "checkIntervalSec": 3}, "timeOutSec cannot exceed checkIntervalSec"),
        ({"timeoutSec": 9}, "when checkIntervalSec is unspecified, timeOutSec cannot exceed 5"),
        ({"config": {"type": "HTTP"}}, "spec.default.config in body should have at least 2 properties"),
        (
            {"config": {"type": "HTTP", "httpHealthCheck": {"requestPath": "health"}}},
            "spec.default.config.httpHealthCheck.requestPath in body should match",
        ),
        (
            {"config": {"type": "HTTP", "httpHealthCheck": {"portSpecification": "USE_FIXED_PORT"}}},
            "port must be set and portName must be unset",
        ),
    ],
)
async def test_values_that_a_health_check_refuses(http: aiohttp.ClientSession, default: Any, message: str) -> None:
    check = {"metadata": {"name": "check"}, "spec": {"targetRef": TARGET, "default": default}}
    code, status, _ = await post(http, CHECKS, check)
    assert code == 422
    assert message in status["message"]


async def test_a_pool_needs_a_port_of_its_picker_and_ports_that_differ(http: aiohttp.ClientSession) -> None:
    twins = [{"number": 8000}, {"number": 8000}]
    code, status, _ = await post(http, POOLS, pool(endpointPickerRef={"name": "epp"}, targetPorts=twins))
    assert code == 422
    assert "port is required when kind is 'Service' or unspecified (defaults to 'Service')" in status["message"]
    assert "port number must be unique" in status["message"]
    code, made, _ = await post(http, POOLS, pool())
    assert code == 201
    assert made["spec"]["endpointPickerRef"] == {
        "group": "",
        "kind": "Service",
        "name": "epp",
        "port": {"number": 9002},
        "failureMode": "FailClose",
    }


async def test_a_new_gateway_waits_for_its_controller(http: aiohttp.ClientSession) -> None:
    gateway: dict[str, Any] = {
        "metadata": {"name": "gateway"},
        "spec": {
            "gatewayClassName": "gke-l7-cross-regional-internal-managed-mc",
            "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}],
        },
        "status": {"conditions": []},
    }
    code, made, _ = await post(http, GATEWAYS, gateway)
    assert code == 201
    assert [(one["type"], one["status"], one["reason"]) for one in made["status"]["conditions"]] == [
        ("Accepted", "Unknown", "Pending"),
        ("Programmed", "Unknown", "Pending"),
    ]
    assert made["spec"]["listeners"][0]["allowedRoutes"] == {"namespaces": {"from": "Same"}}
    gateway["spec"]["listeners"] *= 2
    gateway["metadata"]["name"] = "twins"
    code, status, _ = await post(http, GATEWAYS, gateway)
    assert code == 422
    assert 'spec.listeners[1]: Duplicate value: {"name":"http"}' in status["message"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Upper", "a lowercase RFC 1123 subdomain must consist of"),
        ("", "metadata.name: Required value: name or generateName is required"),
        ("x" * 254, "must be no more than 253 bytes"),
    ],
)
async def test_names_that_are_refused(http: aiohttp.ClientSession, name: str, message: str) -> None:
    code, status, _ = await post(http, "/api/v1/namespaces/default/configmaps", {"metadata": {"name": name}})
    assert code == 422
    assert message in status["message"]


async def test_label_values_that_are_refused(http: aiohttp.ClientSession) -> None:
    labelled = {"metadata": {"name": "c", "labels": {"a": "not valid"}}}
    code, status, _ = await post(http, "/api/v1/namespaces/default/configmaps", labelled)
    assert code == 422
    assert 'metadata.labels: Invalid value: "not valid": a valid label must be' in status["message"]


OBJECTIVE = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "inferenceobjectives.inference.networking.x-k8s.io"},
    "spec": {
        "group": "inference.networking.x-k8s.io",
        "names": {"kind": "InferenceObjective", "plural": "inferenceobjectives"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1alpha2",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "required": ["spec"],
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["poolRef"],
                                "properties": {
                                    "priority": {"type": "integer"},
                                    "poolRef": {
                                        "type": "object",
                                        "required": ["name"],
                                        "properties": {
                                            "group": {"type": "string", "default": "inference.networking.k8s.io"},
                                            "kind": {"type": "string", "default": "InferencePool"},
                                            "name": {"type": "string"},
                                        },
                                    },
                                },
                            }
                        },
                    }
                },
            }
        ],
    },
}


async def test_a_definition_of_the_users_own_is_served_at_once(http: aiohttp.ClientSession) -> None:
    objectives = "/apis/inference.networking.x-k8s.io/v1alpha2/namespaces/default/inferenceobjectives"
    async with http.get(objectives) as response:
        assert response.status == 404
        assert (await response.json())["message"] == "the server could not find the requested resource"
    code, made, _ = await post(http, CRDS, OBJECTIVE)
    assert code == 201
    assert {one["type"]: one["status"] for one in made["status"]["conditions"]} == {
        "NamesAccepted": "True",
        "Established": "True",
    }
    assert made["spec"]["names"]["listKind"] == "InferenceObjectiveList"
    objective = {"metadata": {"name": "food-review"}, "spec": {"poolRef": {"name": "pool"}, "priority": 10}}
    code, made, _ = await post(http, objectives, objective)
    assert code == 201
    assert made["spec"]["poolRef"] == {"group": "inference.networking.k8s.io", "kind": "InferencePool", "name": "pool"}
    code, status, _ = await post(http, objectives, {"metadata": {"name": "x"}, "spec": {"criticality": "High"}})
    assert (code, status["reason"]) == (400, "BadRequest")
    code, status, _ = await post(http, objectives, {"metadata": {"name": "x"}, "spec": {"priority": 1}})
    assert status["message"] == (
        'InferenceObjective.inference.networking.x-k8s.io "x" is invalid: spec.poolRef: Required value'
    )


async def test_a_definition_must_be_named_after_its_plural(http: aiohttp.ClientSession) -> None:
    code, status, _ = await post(http, CRDS, {**OBJECTIVE, "metadata": {"name": "objectives"}})
    assert code == 422
    assert 'metadata.name: Invalid value: "objectives": must be spec.names.plural+"."+spec.group' in status["message"]


async def test_the_form_of_a_metric_follows_the_version(
    http: aiohttp.ClientSession, world: Any, authority: Any
) -> None:
    from backend.emulator.kube.cluster import KubeCluster
    from backend.emulator.kube.managed import ClusterFeatures

    features = ClusterFeatures(gateway_api=False, managed_prometheus=False, hpa_performance=True)
    newer = KubeCluster(world, key="r/n", version="1.35.1-gke.1396000", features=features, ca=authority)
    kind = newer.store.registry.get("autoscaling.gke.io/autoscalingmetrics")
    assert kind is not None
    schema = kind.schema()
    assert schema is not None
    assert set(schema.properties["spec"].properties) == {"metrics"}
    assert newer.store.registry.get("gateway.networking.k8s.io/gateways") is None
    metric = {
        "metadata": {"name": "m"},
        "spec": {
            "selector": {"matchLabels": {"app": "server"}},
            "endpoints": [{"port": 8000, "metrics": [{"name": "vllm:kv_cache_usage_perc", "exportName": "kv-cache"}]}],
        },
    }
    path = "/apis/autoscaling.gke.io/v1beta1/namespaces/default/autoscalingmetrics"
    code, made, _ = await post(http, path, metric)
    assert (code, made["spec"]["endpoints"][0]["path"]) == (201, "/metrics")
