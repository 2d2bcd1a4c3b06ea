"""Objects that lack or distort what controllers rely on are refused at the door, not met by a controller."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

PODS, DEPLOYMENTS = "/api/v1/namespaces/default/pods", "/apis/apps/v1/namespaces/default/deployments"
POOLS = "/apis/inference.networking.k8s.io/v1/namespaces/default/inferencepools"
CONTAINER = {"name": "c", "image": "nginx:1"}


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "spec": {"containers": [CONTAINER], **spec}}


def affinity(**term: Any) -> dict[str, Any]:
    terms = {"nodeSelectorTerms": [{"matchExpressions": [term]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


def deployment(**rolling: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [CONTAINER]}}
    strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template, "strategy": strategy}
    return {"metadata": {"name": "d"}, "spec": spec}


@pytest.mark.parametrize(
    ("path", "body", "code", "said"),
    [
        (PODS, pod(affinity=affinity(operator="Exists")), 422, "matchExpressions[0].key: Required value"),
        (PODS, pod(containers=[{**CONTAINER, "ports": [None]}]), 422, "ports[0].containerPort: Required value"),
        (PODS, pod(containers=[None]), 422, "spec.containers[0].name: Required value"),
        (PODS, pod(volumes=[{"name": "v", "secret": {}}]), 422, "volumes[0].secret.secretName: Required value"),
        (PODS, pod(containers=[{**CONTAINER, "envFrom": [{"secretRef": {}}]}]), 422, "secretRef.name: Required value"),
        (PODS, pod(containers=[{**CONTAINER, "resources": {"limits": {"nvidia.com/gpu": "1%"}}}]), 422, "an integer"),
        (DEPLOYMENTS, deployment(maxUnavailable="some"), 422, "a valid percent string must be a numeric string"),
        (DEPLOYMENTS, deployment(maxSurge=-1), 422, "must be greater than or equal to 0"),
        (POOLS, {"metadata": {"name": "x", "annotations": "y"}}, 400, "cannot unmarshal string into Go struct field"),
        (POOLS, {"metadata": {"name": "x"}, "spec": {"targetPorts": [0]}}, 422, "spec.targetPorts[0] in body must be"),
    ],
)
async def test_it_is_refused_when_it_is_made(
    http: aiohttp.ClientSession, path: str, body: dict[str, Any], code: int, said: str
) -> None:
    async with http.post(path, json=body) as answer:
        told = await answer.json()
    assert answer.status == code, told
    assert said in told["message"]


async def test_a_merge_key_has_to_be_plain(http: aiohttp.ClientSession) -> None:
    async with http.post(DEPLOYMENTS, json=deployment(maxSurge="25%")) as answer:
        assert answer.status == 201
    change = {"spec": {"template": {"spec": {"containers": [{"name": ["c"], "image": "i"}]}}}}
    strategic = {"Content-Type": "application/strategic-merge-patch+json"}
    async with http.patch(f"{DEPLOYMENTS}/d", json=change, headers=strategic) as answer:
        assert (answer.status, (await answer.json())["reason"]) == (400, "BadRequest")
