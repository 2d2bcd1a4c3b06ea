"""What the caller may not do, in GKE's words."""

from __future__ import annotations

import aiohttp
import pytest

from backend.emulator.kube import target
from backend.emulator.kube.access import permission_of, verb_of
from backend.emulator.kube.cluster import KubeCluster
from backend.emulator.kube.store import Store


@pytest.mark.parametrize(
    ("method", "path", "permission"),
    [
        ("GET", "/api/v1/namespaces/default/pods", "container.pods.list"),
        ("POST", "/api/v1/namespaces/default/configmaps", "container.configMaps.create"),
        ("PATCH", "/apis/apps/v1/namespaces/default/deployments/d", "container.deployments.update"),
        ("PUT", "/apis/apps/v1/namespaces/default/deployments/d/scale", "container.deployments.updateScale"),
        ("GET", "/api/v1/namespaces/default/pods/p/log", "container.pods.getLogs"),
        ("POST", "/api/v1/namespaces/default/pods/p:8080/proxy/x", "container.pods.proxy"),
        ("GET", "/api/v1/namespaces/default/pods/p/exec", "container.pods.exec"),
        ("DELETE", "/api/v1/namespaces/default/secrets", "container.secrets.delete"),
        (
            "GET",
            "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/p",
            "container.validatingAdmissionPolicies.get",
        ),
        (
            "GET",
            "/apis/inference.networking.k8s.io/v1/namespaces/default/inferencepools/p",
            "container.thirdPartyObjects.get",
        ),
    ],
)
def test_permissions_are_named_as_iam_names_them(store: Store, method: str, path: str, permission: str) -> None:
    place = target.parse(path, store.registry)
    verb = verb_of(method, place, watch=False)
    assert permission_of(place.kind, verb, place.subresource) == permission


async def test_what_is_taken_away_is_refused_and_nothing_else(
    served: KubeCluster, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "_allows", lambda permission: permission != "container.pods.proxy")
    async with http.post("/api/v1/namespaces/default/pods/mcig-relay:8080/proxy/to") as answer:
        said = await answer.json()
    assert (answer.status, said["reason"]) == (403, "Forbidden")
    assert said["message"] == (
        'pods "mcig-relay:8080" is forbidden: User "rehearsal@example.com" cannot create resource "pods/proxy" in API '
        'group "" in the namespace "default": requires one of ["container.pods.proxy"] permission(s).'
    )
    async with http.get("/api/v1/namespaces/default/pods") as answer:
        assert answer.status == 200
    reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    asked = {"namespace": "default", "verb": "get", "resource": "pods"}
    for subresource, allowed in (("proxy", False), ("exec", True)):
        spec = {"resourceAttributes": {**asked, "subresource": subresource}}
        async with http.post(reviews, json={"spec": spec}) as answer:
            assert (await answer.json())["status"]["allowed"] is allowed
