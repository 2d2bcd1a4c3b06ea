"""Bad input: whatever is sent, the API server answers with a Status that is no 500, and lives on."""

from __future__ import annotations

import io
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from backend.emulator.kube.cluster import KubeCluster
from backend.emulator.kube.errors import ApiError
from backend.emulator.kube.managed import ClusterFeatures
from backend.emulator.kube.pki import Authority
from backend.emulator.kube.protobuf import MAGIC, decode
from backend.emulator.kube.registry import BUILT_IN

AUTHORITY = Authority.generate()
TOKEN = "token-of-the-test"
PLACES = [
    *(f"/{'apis/' + kind.group if kind.group else 'api'}/{kind.versions[0]}"
      f"{'/namespaces/default' if kind.namespaced else ''}/{kind.plural}" for kind in BUILT_IN),
    "/apis/inference.networking.k8s.io/v1/namespaces/default/inferencepools",
    "/apis/gateway.networking.k8s.io/v1/namespaces/default/gateways",
    "/openapi/v3", "/apis", "/version",
]  # fmt: skip
TYPES = (
    "application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "application/json-patch+json",
    "application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml",
    "text/html",
)  # fmt: skip
FIELDS = st.sampled_from(
    ["apiVersion", "kind", "metadata", "name", "labels", "annotations", "finalizers", "ownerReferences", "generateName",
     "spec", "status", "data", "stringData", "containers", "template", "selector", "replicas", "ports", "op", "path",
     "value", "managedFields", "resourceVersion", "versions", "group", "names", "validations", "expression"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=12,
)
BODIES = st.one_of(
    st.binary(max_size=40),
    st.binary(max_size=40).map(lambda some: MAGIC + some),
    VALUES.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(FIELDS, VALUES, max_size=6).map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries({"metadata": st.dictionaries(FIELDS, VALUES, max_size=3), "spec": VALUES}).map(
        lambda value: json.dumps(value).encode()
    ),
)
QUERIES = st.dictionaries(
    st.sampled_from(["dryRun", "fieldManager", "fieldValidation", "force", "labelSelector", "fieldSelector", "limit",
                     "continue", "resourceVersion", "propagationPolicy", "gracePeriodSeconds", "pretty", "sinceTime",
                     "sinceSeconds", "tailLines", "limitBytes", "previous"]),
    st.text(max_size=6) | st.sampled_from(["All", "true", "1", "-1", "a=b", "Strict", "Background"]),
    max_size=3,
)  # fmt: skip
WATCHES = st.fixed_dictionaries(
    {"watch": st.just("1"), "timeoutSeconds": st.sampled_from(["-1", "-300", "abc", "1.5", "%"])},
    optional={
        "sendInitialEvents": st.sampled_from(["true", "x"]),
        "allowWatchBookmarks": st.sampled_from(["true", "x"]),
        "resourceVersion": st.text(max_size=6),
    },
)
"""Watches that end at once, or are refused."""


class World:
    """A world that holds nothing but a clock."""

    token = TOKEN

    def now(self) -> float:
        return 1_700_000_000.0

    def touch(self) -> None: ...

    def seen(self) -> None: ...


@asynccontextmanager
async def a_cluster() -> AsyncIterator[aiohttp.ClientSession]:
    features = ClusterFeatures(gateway_api=True, managed_prometheus=False, hpa_performance=False)
    cluster = KubeCluster(World(), key="here/c", version="1.34.1-gke.1", features=features, ca=AUTHORITY)
    await cluster.start()
    context = ssl.create_default_context(cadata=cluster.ca_pem.decode())
    headers = {"Authorization": f"Bearer {TOKEN}"}
    connector = aiohttp.TCPConnector(ssl=context)
    try:
        async with aiohttp.ClientSession(f"https://{cluster.endpoint}", headers=headers, connector=connector) as http:
            yield http
    finally:
        await cluster.stop()


REQUESTS = st.tuples(
    st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]),
    st.sampled_from(PLACES),
    st.sampled_from(["", "/default", "/x", "/default/status", "/x/scale", "/x/log", "/x/exec", "/x:80/proxy/y"]),
    QUERIES | WATCHES,
    st.sampled_from(TYPES),
    BODIES,
)


@settings(
    max_examples=12,
    derandomize=True,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(requests=st.lists(REQUESTS, min_size=10, max_size=25))
async def test_nothing_that_is_sent_breaks_the_server(requests: list[Any]) -> None:
    async with a_cluster() as http:
        for method, place, rest, query, kind, body in requests:
            sent = body if method != "GET" else None
            async with http.request(
                method, f"{place}{rest}", params=query, data=sent, headers={"Content-Type": kind}
            ) as answer:
                told = await answer.read()
                broken = answer.status >= 500 and b"typed patch object" not in told
                assert not broken or answer.status == 503, (method, place + rest, query, kind, body, told)
                if answer.status >= 400:
                    assert json.loads(told)["kind"] == "Status"
        async with http.get("/api/v1/namespaces/kube-system") as answer:
            assert answer.status == 200


@given(body=st.binary(max_size=200).map(lambda some: MAGIC + some))
def test_broken_protobuf_is_a_bad_request(body: bytes) -> None:
    try:
        decode(body)
    except ApiError as error:
        assert error.code == 400


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "reason"),
    [
        ("POST", "/api/v1/namespaces/default/configmaps", b"{", 400, "BadRequest"),
        ("POST", "/api/v1/namespaces/default/configmaps", b"x" * (3 * 1024 * 1024 + 1), 413, "RequestEntityTooLarge"),
        ("GET", "/api/v1/rockets", None, 404, "NotFound"),
        ("GET", "/api/v1/pods?limit=x", None, 400, "BadRequest"),
        ("GET", "/api/v1/pods?continue=x", None, 400, "BadRequest"),
        ("POST", "/version", b"{}", 405, "MethodNotAllowed"),
    ],
)
async def test_what_cannot_be(method: str, path: str, body: bytes | None, code: int, reason: str) -> None:
    async with a_cluster() as http:
        sent = None if body is None else io.BytesIO(body)
        async with http.request(method, path, data=sent, headers={"Content-Type": "application/json"}) as answer:
            told = await answer.json()
        assert (answer.status, told["reason"]) == (code, reason)


async def test_a_wrong_token_and_a_page_that_is_too_old() -> None:
    async with a_cluster() as http:
        async with http.get("/api/v1/pods", headers={"Authorization": "Bearer other"}) as answer:
            assert (answer.status, (await answer.json())["reason"]) == (401, "Unauthorized")
        at = "/api/v1/namespaces/default/configmaps"
        for name in "abc":
            async with http.post(at, json={"metadata": {"name": name}}) as answer:
                assert answer.status == 201
        async with http.get(f"{at}?limit=1") as answer:
            token = (await answer.json())["metadata"]["continue"]
        for number in range(501):
            async with http.post(at, json={"metadata": {"name": f"n{number}"}}) as answer:
                assert answer.status == 201
            async with http.delete(f"{at}/n{number}") as answer:
                assert answer.status == 200
        async with http.get(at, params={"limit": "1", "continue": token}) as answer:
            assert (answer.status, (await answer.json())["reason"]) == (410, "Expired")
