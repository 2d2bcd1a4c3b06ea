"""The HTTP surface: who is let in, media types, discovery, tables, status answers."""

from __future__ import annotations

import base64
import json
import ssl
from typing import Any

import aiohttp
import pytest

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def get(http: aiohttp.ClientSession, path: str, code: int = 200, **headers: str) -> Any:
    async with http.get(path, headers=headers) as response:
        assert response.status == code, await response.text()
        return await response.json(content_type=None)


async def post(http: aiohttp.ClientSession, path: str, obj: Any, code: int = 201) -> Any:
    async with http.post(path, json=obj) as response:
        assert response.status == code, await response.text()
        return await response.json()


async def test_only_the_token_is_let_in(served: Any) -> None:
    context = ssl.create_default_context(cadata=served.ca_pem.decode())
    async with aiohttp.ClientSession(f"https://{served.endpoint}", connector=aiohttp.TCPConnector(ssl=context)) as http:
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            status = await get(http, "/api/v1/pods", 401, **headers)
            assert status == {
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Failure",
                "message": "Unauthorized",
                "reason": "Unauthorized",
                "code": 401,
            }
        async with http.get("/readyz") as response:
            assert (response.status, await response.text()) == (200, "ok")


async def test_the_certificate_is_the_clusters_own(served: Any) -> None:
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await http.get(f"https://{served.endpoint}/version")


async def test_the_version_is_a_gke_one(http: aiohttp.ClientSession) -> None:
    for path in ("/version", "/version/"):
        version = await get(http, path)
        assert (version["gitVersion"], version["major"], version["minor"]) == ("v1.34.1-gke.1127000", "1", "34")


async def test_the_port_and_the_authority_stay_over_a_restart(served: Any, http: aiohttp.ClientSession) -> None:
    port = served.port
    await served.stop()
    await served.start(port)
    assert served.port == port
    assert (await get(http, "/version"))["major"] == "1"


@pytest.mark.parametrize(
    ("method", "path", "code", "message"),
    [
        ("GET", f"{CONFIG_MAPS}/absent", 404, 'configmaps "absent" not found'),
        ("GET", "/apis/apps/v1/namespaces/default/deployments/d", 404, 'deployments.apps "d" not found'),
        ("GET", "/apis/apps/v1/widgets", 404, "the server could not find the requested resource"),
        ("GET", "/nonsense", 404, "the server could not find the requested resource"),
        ("GET", f"{CONFIG_MAPS}/c/status", 404, "the server could not find the requested resource"),
        ("PUT", CONFIG_MAPS, 405, "the server does not allow this method on the requested resource"),
        ("GET", f"{CONFIG_MAPS}?labelSelector=a%3D%3D%3Db", 400, "unable to parse requirement"),
        ("GET", f"{CONFIG_MAPS}?fieldSelector=data.a%3Db", 400, 'field label not supported: "data.a"'),
    ],
)
async def test_failures_are_status_objects(
    http: aiohttp.ClientSession, method: str, path: str, code: int, message: str
) -> None:
    from yarl import URL

    async with http.request(method, URL(path, encoded=True), data=b"{}" if method == "PUT" else None) as response:
        status = await response.json()
    assert (response.status, status["kind"], status["code"]) == (code, "Status", code)
    assert message in status["message"]


async def test_media_types_that_are_not_spoken(http: aiohttp.ClientSession) -> None:
    async with http.post(CONFIG_MAPS, data=b"x", headers={"Content-Type": "text/csv"}) as response:
        assert (response.status, (await response.json())["reason"]) == (415, "UnsupportedMediaType")
    status = await get(http, CONFIG_MAPS, 406, Accept="application/vnd.kubernetes.protobuf")
    assert status["reason"] == "NotAcceptable"
    path = "/apis/networking.gke.io/v1/namespaces/default/gcpbackendpolicies/p"
    headers = {"Content-Type": "application/strategic-merge-patch+json"}
    async with http.patch(path, data=b"{}", headers=headers) as response:
        assert response.status == 415


async def test_yaml_in_and_out(http: aiohttp.ClientSession) -> None:
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: y}\ndata: {when: '2026-01-01', on: 'yes'}\n"
    async with http.post(CONFIG_MAPS, data=text, headers={"Content-Type": "application/yaml"}) as response:
        assert response.status == 201
    async with http.get(f"{CONFIG_MAPS}/y", headers={"Accept": "application/yaml"}) as response:
        assert "when: '2026-01-01'" in await response.text()


async def test_a_body_of_another_kind_or_place_is_refused(http: aiohttp.ClientSession) -> None:
    status = await post(http, CONFIG_MAPS, {**config_map("c"), "apiVersion": "v2"}, 400)
    assert "does not match the expected API version (v1)" in status["message"]
    status = await post(http, CONFIG_MAPS, {**config_map("c"), "metadata": {"name": "c", "namespace": "x"}}, 400)
    assert "does not match the namespace sent on the request" in status["message"]


def varint(value: int) -> bytes:
    found = b""
    while value > 0x7F:
        found, value = found + bytes([value & 0x7F | 0x80]), value >> 7
    return found + bytes([value])


def message(*fields: tuple[int, bytes]) -> bytes:
    return b"".join(varint(number << 3 | 2) + varint(len(value)) + value for number, value in fields)


async def test_the_protobuf_of_kubectl_create_secret(http: aiohttp.ClientSession) -> None:
    value = b"hf_" + b"x" * 200
    secret = message((1, message((1, b"hf-token"), (3, b""))), (2, message((1, b"token"), (2, value))), (3, b"Opaque"))
    envelope = b"k8s\x00" + message((1, message((1, b"v1"), (2, b"Secret"))), (2, secret), (3, b""), (4, b""))
    headers = {"Content-Type": "application/vnd.kubernetes.protobuf", "Accept": "application/json"}
    async with http.post("/api/v1/namespaces/default/secrets", data=envelope, headers=headers) as response:
        made = await response.json()
    assert response.status == 201
    assert base64.b64decode(made["data"]["token"]) == value
    async with http.post("/api/v1/namespaces/default/secrets", data=envelope[:40], headers=headers) as response:
        assert response.status == 400


async def test_discovery_both_ways_tells_the_same(http: aiohttp.ClientSession) -> None:
    found: dict[str, set[str]] = {}
    for path in ("/api", "/apis"):
        document = await get(
            http, path, Accept="application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
        )
        assert document["kind"] == "APIGroupDiscoveryList"
        for group in document["items"]:
            for version in group["versions"]:
                name = group["metadata"].get("name")
                place = f"/apis/{name}/{version['version']}" if name else f"/api/{version['version']}"
                names = {one["resource"] for one in version["resources"]}
                for one in version["resources"]:
                    names |= {f"{one['resource']}/{sub['subresource']}" for sub in one.get("subresources", ())}
                found[place] = names
    assert "/apis/gateway.networking.k8s.io/v1beta1" in found
    for place, names in found.items():
        plain = await get(http, place)
        assert {one["name"] for one in plain["resources"]} == names
    groups = await get(http, "/apis")
    assert {one["name"] for one in groups["groups"]} == {p.split("/")[2] for p in found if p.startswith("/apis")}
    core = await get(http, "/api/v1")
    assert core["groupVersion"] == "v1"


async def test_openapi_says_that_the_server_validates(http: aiohttp.ClientSession) -> None:
    index = await get(http, "/openapi/v3")
    for place, kind in (("apis/apps/v1", "Deployment"), ("apis/networking.gke.io/v1", "GCPBackendPolicy")):
        document = await get(http, index["paths"][place]["serverRelativeURL"])
        patches = [one["patch"] for one in document["paths"].values()]
        found = next(one for one in patches if one["x-kubernetes-group-version-kind"]["kind"] == kind)
        assert "fieldValidation" in [one["name"] for one in found["parameters"]]
    text = json.dumps(await get(http, "/openapi/v3/api/v1"))
    for reference in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert f'"{reference}": {{' in text


async def test_tables(http: aiohttp.ClientSession, served: Any, world: Any) -> None:
    await post(http, CONFIG_MAPS, config_map("c", a="1", b="2"))
    world.time += 3 * 3600 + 120
    table = await get(http, CONFIG_MAPS, Accept=TABLE)
    assert [one["name"] for one in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert table["rows"][0]["cells"] == ["c", "2", "3h2m"]
    assert table["rows"][0]["object"]["metadata"]["name"] == "c"
    gateway = {
        "metadata": {"name": "g"},
        "spec": {"gatewayClassName": "k", "listeners": [{"name": "h", "port": 80, "protocol": "HTTP"}]},
    }
    place = "/apis/gateway.networking.k8s.io/v1/namespaces/default/gateways"
    await post(http, place, gateway)
    addresses = [{"type": "IPAddress", "value": "10.0.0.1"}, {"type": "IPAddress", "value": "10.0.0.2"}]
    condition = {"type": "Programmed", "status": "True", "reason": "P", "message": ""}
    status = {"addresses": addresses, "conditions": [{**condition, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}
    served.store.set_status("gateway.networking.k8s.io/gateways", "default", "g", status, manager="gateway")
    table = await get(http, f"{place}/g", Accept=TABLE)
    assert table["rows"][0]["cells"] == ["g", "k", "10.0.0.1,10.0.0.2", "True", "0s"]


async def test_a_kind_is_answered_in_the_version_of_its_path(http: aiohttp.ClientSession) -> None:
    made = await post(
        http,
        "/apis/gateway.networking.k8s.io/v1beta1/gatewayclasses",
        {"metadata": {"name": "c"}, "spec": {"controllerName": "networking.gke.io/gateway"}},
    )
    assert made["apiVersion"] == "gateway.networking.k8s.io/v1beta1"
    found = await get(http, "/apis/gateway.networking.k8s.io/v1/gatewayclasses/c")
    assert found["apiVersion"] == "gateway.networking.k8s.io/v1"


async def test_selectors(http: aiohttp.ClientSession) -> None:
    for name, labels in (("a", {"app": "x"}), ("b", {"app": "y", "tier": "1"}), ("c", {})):
        await post(http, CONFIG_MAPS, {**config_map(name), "metadata": {"name": name, "labels": labels}})

    async def names(**query: str) -> list[str]:
        async with http.get(CONFIG_MAPS, params=query) as response:
            return [one["metadata"]["name"] for one in (await response.json())["items"]]

    assert await names(labelSelector="app in (x, y),tier") == ["b"]
    assert await names(labelSelector="app!=x") == ["b", "c"]
    assert await names(labelSelector="!app") == ["c"]
    assert await names(labelSelector="app notin (x)") == ["b", "c"]
    assert await names(fieldSelector="metadata.name=a") == ["a"]
    assert await names(fieldSelector="metadata.name!=a,metadata.namespace=default") == ["b", "c"]


async def test_put_with_an_old_version_is_a_conflict(http: aiohttp.ClientSession) -> None:
    made = await post(http, CONFIG_MAPS, config_map("c", a="1"))
    path = f"{CONFIG_MAPS}/c"
    async with http.put(path, json={**made, "data": {"a": "2"}}) as response:
        assert (response.status, (await response.json())["data"]) == (200, {"a": "2"})
    async with http.put(path, json={**made, "data": {"a": "3"}}) as response:
        status = await response.json()
    assert response.status == 409
    assert status["message"] == (
        'Operation cannot be fulfilled on configmaps "c": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )


async def test_dry_run_keeps_nothing(http: aiohttp.ClientSession, served: Any) -> None:
    revision = served.store.revision
    async with http.post(CONFIG_MAPS, json=config_map("c"), params={"dryRun": "All"}) as response:
        assert response.status == 201
        assert (await response.json())["metadata"]["uid"]
    await post(http, CONFIG_MAPS, config_map("kept", a="1"))
    headers = {"Content-Type": "application/merge-patch+json"}
    async with http.patch(
        f"{CONFIG_MAPS}/kept", data=b'{"data":{"a":"2"}}', params={"dryRun": "All"}, headers=headers
    ) as response:
        assert (await response.json())["data"] == {"a": "2"}
    async with http.delete(f"{CONFIG_MAPS}/kept", params={"dryRun": "All"}) as response:
        assert response.status == 200
    assert served.store.revision == revision + 1
    assert (await get(http, f"{CONFIG_MAPS}/kept"))["data"] == {"a": "1"}


async def test_delete_answers_success_and_checks_preconditions(http: aiohttp.ClientSession) -> None:
    made = await post(http, CONFIG_MAPS, config_map("c"))
    path = f"{CONFIG_MAPS}/c"
    async with http.delete(path, json={"preconditions": {"uid": "another"}}) as response:
        assert response.status == 409
    async with http.delete(path, json={"preconditions": {"uid": made["metadata"]["uid"]}}) as response:
        status = await response.json()
    assert (status["status"], status["details"]["uid"]) == ("Success", made["metadata"]["uid"])


async def test_the_namespaces_of_the_system_stay(http: aiohttp.ClientSession, served: Any) -> None:
    async with http.delete("/api/v1/namespaces/default") as response:
        status = await response.json()
    assert (response.status, status["reason"]) == (403, "Forbidden")
    assert status["message"] == 'namespaces "default" is forbidden: this namespace may not be deleted'
    assert served.store.get("/namespaces", None, "default")["status"]["phase"] == "Active"


async def test_deleting_a_collection_by_label(http: aiohttp.ClientSession) -> None:
    for name, labels in (("a", {"app": "x"}), ("b", {"app": "y"})):
        await post(http, CONFIG_MAPS, {**config_map(name), "metadata": {"name": name, "labels": labels}})
    async with http.delete(CONFIG_MAPS, params={"labelSelector": "app=x"}) as response:
        assert [one["metadata"]["name"] for one in (await response.json())["items"]] == ["a"]
    assert [one["metadata"]["name"] for one in (await get(http, CONFIG_MAPS))["items"]] == ["b"]


async def test_a_patch_does_not_change_the_stored_object_in_place(http: aiohttp.ClientSession, served: Any) -> None:
    await post(http, CONFIG_MAPS, config_map("c", a="1"))
    before = served.store.get("/configmaps", "default", "c")
    text = json.dumps(before)
    headers = {"Content-Type": "application/strategic-merge-patch+json"}
    async with http.patch(f"{CONFIG_MAPS}/c", data=b'{"data":{"b":"2"},"foo":1}', headers=headers) as response:
        assert (await response.json())["data"] == {"a": "1", "b": "2"}
    assert json.dumps(before) == text


async def test_the_scale_of_a_deployment(http: aiohttp.ClientSession) -> None:
    labels = {"app": "d"}
    spec = {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "m", "image": "i"}]}},
    }
    path = "/apis/apps/v1/namespaces/default/deployments"
    await post(http, path, {"metadata": {"name": "d"}, "spec": spec})
    headers = {"Content-Type": "application/merge-patch+json"}
    async with http.patch(f"{path}/d/scale", data=b'{"spec":{"replicas":4}}', headers=headers) as response:
        scale = await response.json()
    assert (scale["kind"], scale["spec"], scale["status"]["selector"]) == ("Scale", {"replicas": 4}, "app=d")
    found = await get(http, f"{path}/d")
    assert (found["spec"]["replicas"], found["metadata"]["generation"]) == (4, 2)
    async with http.patch(f"{path}/d/scale", data=b'{"spec":{"replicas":-1}}', headers=headers) as response:
        assert response.status == 422


async def test_access_reviews_are_allowed(http: aiohttp.ClientSession) -> None:
    review = {"spec": {"resourceAttributes": {"verb": "create", "resource": "pods"}}}
    made = await post(http, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    assert made["status"] == {"allowed": True}


METADATA = "as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"


async def test_who_wants_metadata_alone_gets_nothing_else(http: aiohttp.ClientSession) -> None:
    await post(http, CONFIG_MAPS, config_map("one", a="b"))
    for kind in ("application/vnd.kubernetes.protobuf", "application/json"):
        accept = f"{kind};{METADATA.format('')},application/json;{METADATA.format('')},application/json"
        found = await get(http, f"{CONFIG_MAPS}/one", Accept=accept)
        assert found.keys() == {"kind", "apiVersion", "metadata"}
        assert (found["kind"], found["apiVersion"]) == ("PartialObjectMetadata", "meta.k8s.io/v1")
        assert found["metadata"]["name"] == "one"
    accept = f"application/json;{METADATA.format('List')},application/json"
    listed = await get(http, CONFIG_MAPS, Accept=accept)
    assert (listed["kind"], listed["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
    assert listed["items"] == [found]
    async with http.get(f"{CONFIG_MAPS}?watch=1&timeoutSeconds=1", headers={"Accept": accept}) as response:
        event = json.loads(await response.content.readline())
    assert event == {"type": "ADDED", "object": found}


@pytest.mark.parametrize("query", ["watch=1&timeoutSeconds=abc", "watch=1&timeoutSeconds=1.5"])
async def test_a_watch_of_no_length_is_refused_before_it_begins(http: aiohttp.ClientSession, query: str) -> None:
    status = await get(http, f"{CONFIG_MAPS}?{query}", 400)
    assert "timeoutSeconds" in status["message"]
