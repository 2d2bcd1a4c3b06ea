"""The registry layer: names, generations, no-ops, deletion and persistence."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from backend.emulator.kube.cluster import KubeCluster
from backend.emulator.kube.errors import ApiError
from backend.emulator.kube.store import Store

ME = "test"


def pod(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [{"name": "main", "image": "registry/main:1"}], **spec},
    }


def owner(obj: dict[str, Any], **extra: Any) -> dict[str, Any]:
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
        **extra,
    }


def test_a_cluster_starts_with_its_namespaces_and_service_accounts(store: Store) -> None:
    names = [one["metadata"]["name"] for one in store.list("/namespaces")]
    assert names == ["default", "gke-managed-system", "gmp-system", "kube-public", "kube-system"]
    assert store.get("/serviceaccounts", "default", "default") is not None


def test_create_gives_identity_defaults_and_an_owner_of_fields(store: Store) -> None:
    made = store.create("/pods", pod("one"), manager=ME)
    assert made["kind"] == "Pod"
    assert made["spec"]["restartPolicy"] == "Always"
    assert made["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    assert made["status"]["phase"] == "Pending"
    assert made["metadata"]["creationTimestamp"] == "2023-11-14T22:13:20Z"
    entry = made["metadata"]["managedFields"][0]
    assert (entry["manager"], entry["operation"]) == (ME, "Update")
    assert "f:image" in entry["fieldsV1"]["f:spec"]["f:containers"]['k:{"name":"main"}']


def test_a_taken_name_and_a_missing_namespace_are_refused(store: Store) -> None:
    store.create("/pods", pod("one"), manager=ME)
    with pytest.raises(ApiError, match='pods "one" already exists'):
        store.create("/pods", pod("one"), manager=ME)
    elsewhere = pod("one")
    elsewhere["metadata"]["namespace"] = "nowhere"
    with pytest.raises(ApiError, match='namespaces "nowhere" not found'):
        store.create("/pods", elsewhere, manager=ME)


def test_generate_name_makes_different_names(store: Store) -> None:
    made = [
        store.create("/pods", {"metadata": {"generateName": "p-"}, "spec": pod("")["spec"]}, manager=ME)["metadata"][
            "name"
        ]
        for _ in range(3)
    ]
    assert len(set(made)) == 3
    assert all(name.startswith("p-") and len(name) == 7 for name in made)


def test_generation_follows_the_spec_and_not_the_status(store: Store) -> None:
    made = store.create("/pods", pod("one"), manager=ME)
    with_status = store.set_status("/pods", "default", "one", {"phase": "Running"}, manager="kubelet")
    assert with_status["metadata"]["generation"] == made["metadata"]["generation"] == 1
    changed = {**with_status, "spec": {**with_status["spec"], "activeDeadlineSeconds": 9}}
    assert store.replace("/pods", changed, manager=ME)["metadata"]["generation"] == 2


def test_replace_keeps_the_status(store: Store) -> None:
    made = store.create("/pods", pod("one"), manager=ME)
    store.set_status("/pods", "default", "one", {"phase": "Running"}, manager="kubelet")
    changed = {**made, "metadata": {**made["metadata"], "labels": {"a": "b"}}, "status": {"phase": "Failed"}}
    assert store.replace("/pods", changed, manager=ME)["status"] == {"phase": "Running"}


def test_equal_writes_are_no_writes(store: Store, world: Any) -> None:
    store.create("/pods", pod("one"), manager=ME)
    store.set_status("/pods", "default", "one", {"phase": "Running"}, manager="kubelet")
    store.annotate("/pods", "default", "one", {"a": "b"}, manager=ME)
    revision, touched = store.revision, world.touched
    world.time += 100
    store.set_status("/pods", "default", "one", {"phase": "Running"}, manager="kubelet")
    store.annotate("/pods", "default", "one", {"a": "b", "absent": None}, manager=ME)
    assert (store.revision, world.touched) == (revision, touched)


def test_annotations_are_removed_by_none(store: Store) -> None:
    store.create("/pods", pod("one"), manager=ME)
    store.annotate("/pods", "default", "one", {"a": "b", "c": "d"}, manager=ME)
    left = store.annotate("/pods", "default", "one", {"a": None}, manager=ME)
    assert left["metadata"]["annotations"] == {"c": "d"}


def test_stored_objects_do_not_change_under_their_readers(store: Store) -> None:
    before = store.create("/pods", pod("one"), manager=ME)
    text = json.dumps(before)
    store.set_status("/pods", "default", "one", {"phase": "Running"}, manager="kubelet")
    store.annotate("/pods", "default", "one", {"a": "b"}, manager=ME)
    assert json.dumps(before) == text


def test_a_finalizer_holds_an_object_until_it_is_dropped(store: Store) -> None:
    store.create("/configmaps", {"metadata": {"name": "c"}}, manager=ME)
    store.add_finalizer("/configmaps", "default", "c", "example.com/hold")
    left = store.delete("/configmaps", "default", "c")
    assert left is not None
    assert "deletionTimestamp" in left["metadata"]
    store.drop_finalizer("/configmaps", "default", "c", "example.com/hold")
    assert store.get("/configmaps", "default", "c") is None


def test_a_pod_on_a_node_has_a_grace_and_another_none(store: Store) -> None:
    store.create("/pods", pod("waiting"), manager=ME)
    assert store.delete("/pods", "default", "waiting") is None
    store.create("/pods", pod("running", nodeName="n", terminationGracePeriodSeconds=130), manager=ME)
    left = store.delete("/pods", "default", "running")
    assert left is not None
    assert left["metadata"]["deletionGracePeriodSeconds"] == 130
    assert left["metadata"]["deletionTimestamp"] == "2023-11-14T22:15:30Z"
    store.set_status("/pods", "default", "running", {"phase": "Running"}, manager="kubelet")
    store.finalize_delete("/pods", "default", "running")
    assert store.get("/pods", "default", "running") is None


def test_deleting_an_owner_deletes_what_only_it_owns(store: Store) -> None:
    first, second = (store.create("/configmaps", {"metadata": {"name": name}}, manager=ME) for name in "ab")
    for name, owners in (("mine", [first]), ("shared", [first, second])):
        references = [owner(one) for one in owners]
        store.create("/secrets", {"metadata": {"name": name, "ownerReferences": references}}, manager=ME)
    store.delete("/configmaps", "default", "a")
    assert store.get("/secrets", "default", "mine") is None
    shared = store.get("/secrets", "default", "shared")
    assert shared is not None
    assert [one["name"] for one in shared["metadata"]["ownerReferences"]] == ["b"]


def test_foreground_deletion_waits_for_dependents(store: Store) -> None:
    parent = store.create("/configmaps", {"metadata": {"name": "parent"}}, manager=ME)
    child = {"metadata": {"name": "child", "ownerReferences": [owner(parent, blockOwnerDeletion=True)]}}
    store.create("/secrets", child, manager=ME)
    store.add_finalizer("/secrets", "default", "child", "example.com/hold")
    left = store.delete("/configmaps", "default", "parent", propagation="Foreground")
    assert left is not None
    assert left["metadata"]["finalizers"] == ["foregroundDeletion"]
    store.drop_finalizer("/secrets", "default", "child", "example.com/hold")
    assert store.get("/secrets", "default", "child") is None
    assert store.get("/configmaps", "default", "parent") is None


def test_orphans_stay(store: Store) -> None:
    parent = store.create("/configmaps", {"metadata": {"name": "parent"}}, manager=ME)
    store.create("/secrets", {"metadata": {"name": "child", "ownerReferences": [owner(parent)]}}, manager=ME)
    store.delete("/configmaps", "default", "parent", propagation="Orphan")
    child = store.get("/secrets", "default", "child")
    assert child is not None
    assert "ownerReferences" not in child["metadata"]


def test_a_namespace_goes_with_its_content(store: Store) -> None:
    store.create("/namespaces", {"metadata": {"name": "team"}}, manager=ME)
    running = pod("running", nodeName="n")
    running["metadata"]["namespace"] = "team"
    store.create("/pods", running, manager=ME)
    left = store.delete("/namespaces", None, "team")
    assert left is not None
    assert left["status"]["phase"] == "Terminating"
    with pytest.raises(ApiError, match="because it is being terminated"):
        store.create("/configmaps", {"metadata": {"name": "late", "namespace": "team"}}, manager=ME)
    store.finalize_delete("/pods", "team", "running")
    assert store.get("/namespaces", None, "team") is None


def test_a_definition_goes_with_its_objects(store: Store) -> None:
    reference = {"group": "", "kind": "Service", "name": "s"}
    policy = {"metadata": {"name": "p"}, "spec": {"targetRef": reference}}
    store.create("networking.gke.io/gcpbackendpolicies", policy, manager=ME)
    store.delete("apiextensions.k8s.io/customresourcedefinitions", None, "gcpbackendpolicies.networking.gke.io")
    assert store.registry.get("networking.gke.io/gcpbackendpolicies") is None
    assert store.list("networking.gke.io/gcpbackendpolicies") == []


def test_a_service_gets_an_address_of_its_own(store: Store) -> None:
    ports = [{"port": 80}]
    made = [
        store.create("/services", {"metadata": {"name": name}, "spec": {"ports": ports}}, manager=ME)["spec"]
        for name in ("a", "b")
    ]
    assert made[0]["clusterIP"] != made[1]["clusterIP"]
    assert made[0]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]


def test_a_dump_restores_everything_but_secret_values(cluster: KubeCluster, world: Any, authority: Any) -> None:
    secret = {
        "metadata": {
            "name": "hf-token",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": '{"stringData":{"token":"hf_secret"}}'},
        },
        "stringData": {"token": "hf_secret"},
    }
    cluster.store.create("/secrets", secret, manager=ME)
    cluster.store.create("/pods", pod("one"), manager=ME)
    text = json.dumps(cluster.dump())
    assert "hf_secret" not in text
    assert base64.b64encode(b"hf_secret").decode() not in text

    again = KubeCluster(world, key=cluster.key, version=cluster.version, features=cluster.features, ca=authority)
    again.load(json.loads(text))
    assert again.store.revision == cluster.store.revision
    assert again.store.get("/pods", "default", "one") == cluster.store.get("/pods", "default", "one")
    found = again.store.get("/secrets", "default", "hf-token")
    assert found is not None
    assert base64.b64decode(found["data"]["token"]).startswith(b"hmac-sha256:")
    assert again.store.registry.get("gateway.networking.k8s.io/gateways") is not None
    assert json.dumps(again.dump()) == text


def test_labels_select(store: Store) -> None:
    for name, app in (("a", "x"), ("b", "y")):
        store.create("/configmaps", {"metadata": {"name": name, "labels": {"app": app}}}, manager=ME)
    assert [one["metadata"]["name"] for one in store.list("/configmaps", "default", {"app": "y"})] == ["b"]
    assert store.list("/configmaps", "kube-system") == []
