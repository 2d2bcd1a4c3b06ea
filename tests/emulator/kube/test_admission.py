"""ValidatingAdmissionPolicies: who is let in, and the words for who is not."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from backend.emulator.kube.controllers.replicasets import pod_from, refused
from backend.emulator.kube.store import Store
from backend.resources.guardrail import guardrail_objects
from backend.spec import Guardrail

Json = dict[str, Any]
GUARD = Guardrail(namespaces=("team-a", "default"), compute_classes=("gpu", "tpu"))
CLASS = "cloud.google.com/compute-class"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"


def pod(*tolerations: Json, **meta: Any) -> Json:
    spec = {"containers": [{"name": "c", "image": "i"}], "tolerations": list(tolerations)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", **meta}, "spec": spec}


async def post(http: aiohttp.ClientSession, path: str, obj: Json) -> tuple[int, Json]:
    async with http.post(path, json=obj) as answer:
        return answer.status, await answer.json()


async def guarded(http: aiohttp.ClientSession, *, without: str = "") -> None:
    """The product's own guardrail for two namespaces and two classes."""
    for namespace in ("team-a", "team-b"):
        await post(http, "/api/v1/namespaces", {"metadata": {"name": namespace}})
    for obj in guardrail_objects(GUARD):
        if obj["kind"] == without:
            continue
        group = "api/v1" if obj["apiVersion"] == "v1" else f"apis/{obj['apiVersion']}"
        where = "/namespaces/default" if obj["kind"] == "ConfigMap" else ""
        plural = obj["kind"].lower().replace("policy", "policie" if obj["kind"].endswith("Policy") else "policy") + "s"
        status, said = await post(http, f"/{group}{where}/{plural}", obj)
        assert status == 201, said


@pytest.mark.parametrize(
    ("namespace", "toleration", "let_in"),
    [
        ("team-a", {"key": CLASS, "operator": "Equal", "value": "gpu"}, True),
        ("team-b", {"key": CLASS, "operator": "Equal", "value": "gpu"}, False),
        ("team-b", {"key": CLASS, "operator": "Exists"}, False),
        ("team-b", {"key": CLASS, "operator": "Equal", "value": "cpu"}, True),
        ("team-b", {"key": "other", "operator": "Exists"}, True),
    ],
)
async def test_the_guardrail_keeps_compute_classes_to_its_namespaces(
    http: aiohttp.ClientSession, namespace: str, toleration: Json, let_in: bool
) -> None:
    await guarded(http)
    status, said = await post(http, f"/api/v1/namespaces/{namespace}/pods", pod(toleration))
    if let_in:
        assert status == 201
        return
    why = (
        "ValidatingAdmissionPolicy 'restrict-toleration' with binding 'restrict-toleration-binding' denied request: "
        "Compute class toleration not permitted on workloads in namespace team-b"
    )
    assert (status, said["reason"]) == (422, "Invalid")
    assert said["message"] == f'pods "p" is forbidden: {why}'
    assert said["details"]["causes"] == [{"message": why}]


async def test_a_controller_gets_the_same_refusal(http: aiohttp.ClientSession, store: Store) -> None:
    await guarded(http)
    template = {"spec": pod({"key": CLASS, "operator": "Exists"})["spec"]}
    parent = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "rs", "namespace": "team-b", "uid": "u"},
    }
    assert refused(store, pod_from(template, parent, "")).startswith(
        'pods "rs-" is forbidden: ValidatingAdmissionPolicy'
    )
    parent["metadata"] = {"name": "rs", "namespace": "team-a", "uid": "u"}
    assert not refused(store, pod_from(template, parent, ""))


async def test_missing_parameters_refuse_everything(http: aiohttp.ClientSession) -> None:
    await guarded(http, without="ConfigMap")
    status, said = await post(http, "/api/v1/namespaces/team-a/pods", pod())
    assert status == 422
    assert said["message"].endswith(
        "denied request: failed to configure binding: no params found for policy binding with `Deny` "
        "parameterNotFoundAction"
    )


async def a_policy(http: aiohttp.ClientSession, validations: list[Json], actions: list[str], **spec: Any) -> None:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}
    wanted = {"matchConstraints": {"resourceRules": [rule]}, "validations": validations, **spec}
    status, said = await post(http, POLICIES, {"metadata": {"name": "p"}, "spec": wanted})
    assert status == 201, said
    binding = {"metadata": {"name": "b"}, "spec": {"policyName": "p", "validationActions": actions}}
    status, said = await post(http, f"{POLICIES.removesuffix('policies')}policybindings", binding)
    assert status == 201, said


async def test_warnings_variables_reasons_and_deletes(http: aiohttp.ClientSession) -> None:
    await a_policy(
        http,
        [
            {"expression": "request.operation != 'DELETE'", "message": "is kept", "reason": "Forbidden"},
            {"expression": "request.operation == 'DELETE' || variables.size < 2"},
        ],
        ["Deny"],
        variables=[{"name": "size", "expression": "object == null ? 0 : object.data.size()"}],
    )
    at = "/api/v1/namespaces/default/configmaps"
    assert (await post(http, at, {"metadata": {"name": "one"}, "data": {"a": "1"}}))[0] == 201
    status, said = await post(http, at, {"metadata": {"name": "two"}, "data": {"a": "1", "b": "2"}})
    assert status == 422
    assert said["message"].endswith("failed expression: request.operation == 'DELETE' || variables.size < 2")
    async with http.delete(f"{at}/one") as answer:
        said = await answer.json()
        assert (answer.status, said["reason"]) == (403, "Forbidden")
        assert said["message"].endswith("denied request: is kept")


async def test_a_policy_that_only_warns(http: aiohttp.ClientSession) -> None:
    await a_policy(http, [{"expression": "false", "message": "not today"}], ["Warn"])
    async with http.post("/api/v1/namespaces/default/configmaps", json={"metadata": {"name": "one"}}) as answer:
        assert answer.status == 201
        warning = "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': not today"
        assert answer.headers.getall("Warning") == [f'299 - "{warning}"']


@pytest.mark.parametrize(("policy", "status"), [("Fail", 422), ("Ignore", 201)])
async def test_an_expression_that_fails(http: aiohttp.ClientSession, policy: str, status: int) -> None:
    await a_policy(http, [{"expression": "object.data.missing == 'x'"}], ["Deny"], failurePolicy=policy)
    got, said = await post(
        http, "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "one"}, "data": {"a": "1"}}
    )
    assert got == status
    if status == 422:
        assert said["message"].endswith(
            "expression 'object.data.missing == 'x'' resulted in error: no such key: missing"
        )


async def test_an_expression_that_is_none(http: aiohttp.ClientSession) -> None:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["pods"]}
    spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": "1 +"}]}
    status, said = await post(http, POLICIES, {"metadata": {"name": "p"}, "spec": spec})
    assert status == 422
    assert 'spec.validations[0].expression: Invalid value: "1 +": compilation failed: ERROR: <input>' in said["message"]
