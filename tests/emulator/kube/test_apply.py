"""Server-side apply and field ownership, on plain objects."""

from __future__ import annotations

from typing import Any

import pytest

from backend.emulator.kube.apply import Manager, applied, updated
from backend.emulator.kube.errors import ApiError
from backend.emulator.kube.fieldset import decode, encode
from backend.emulator.kube.schema import compiled
from backend.emulator.kube.shape import BuiltinShape, CustomRoot

SHAPE = BuiltinShape()
T1, T2 = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def apply(live: Any, config: Any, name: str = "mcig-pool", *, force: bool = False, now: str = T1) -> dict[str, Any]:
    return applied(SHAPE, live, config, Manager(name, "Apply", "apps/v1"), force=force, now=now)


def workload(**container: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "default", "labels": {"app": "d"}},
        "spec": {"replicas": 3, "template": {"spec": {"containers": [{"name": "main", "image": "i:1", **container}]}}},
    }


def managers(obj: dict[str, Any]) -> dict[tuple[str, str], Any]:
    return {(one["manager"], one["operation"]): one for one in obj["metadata"]["managedFields"]}


def test_what_is_applied_is_owned_in_fields_v1() -> None:
    made = apply(None, workload(ports=[{"containerPort": 8000}]))
    entry = managers(made)["mcig-pool", "Apply"]
    container = entry["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"main"}']
    assert container["."] == {}
    assert container["f:ports"]['k:{"containerPort":8000,"protocol":"TCP"}'] == {".": {}, "f:containerPort": {}}
    assert entry["fieldsV1"]["f:metadata"] == {"f:labels": {"f:app": {}}}
    assert encode(decode(entry["fieldsV1"])) == entry["fieldsV1"]


def test_what_is_no_longer_applied_goes() -> None:
    first = workload(args=["--a"], env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}])
    live = apply(None, first)
    live["spec"]["template"]["spec"]["containers"][0]["terminationMessagePath"] = "/dev/termination-log"
    second = workload(env=[{"name": "B", "value": "2"}])
    del second["spec"]["replicas"], second["metadata"]["labels"]
    after = apply(live, second)
    assert after["spec"]["template"]["spec"]["containers"] == [
        {
            "name": "main",
            "image": "i:1",
            "env": [{"name": "B", "value": "2"}],
            "terminationMessagePath": "/dev/termination-log",
        }
    ]
    assert "replicas" not in after["spec"]
    assert "labels" not in after["metadata"]


def test_what_another_manager_owns_too_stays() -> None:
    live = apply(apply(None, workload()), workload(), "other")
    less = workload()
    del less["spec"]["replicas"]
    after = apply(live, less)
    assert after["spec"]["replicas"] == 3
    assert "f:replicas" not in managers(after)["mcig-pool", "Apply"]["fieldsV1"]["f:spec"]


def test_two_managers_of_one_object_leave_each_other_alone() -> None:
    live = apply(None, workload())
    note = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "default", "annotations": {"networking.gke.io/export": "True"}},
    }
    live = apply(live, note, "mcig-export")
    live = apply(live, workload())
    assert live["metadata"]["annotations"] == {"networking.gke.io/export": "True"}
    bare = {**note, "metadata": {"name": "d", "namespace": "default"}}
    live = apply(live, bare, "mcig-export")
    assert "annotations" not in live["metadata"]
    assert live["spec"]["replicas"] == 3


def test_one_conflict_names_the_other_manager() -> None:
    live = apply(None, workload(), "helm")
    with pytest.raises(ApiError) as caught:
        apply(live, workload(image="i:2"))
    path = '.spec.template.spec.containers[name="main"].image'
    assert caught.value.message == f'Apply failed with 1 conflict: conflict with "helm": {path}'
    assert (caught.value.code, caught.value.reason) == (409, "Conflict")
    assert caught.value.details["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "helm"', "field": path}
    ]


def test_several_conflicts_are_listed_by_manager() -> None:
    live = apply(None, workload(), "helm")
    live = updated(
        SHAPE,
        live,
        {**live, "spec": {**live["spec"], "replicas": 5}},
        Manager("kubectl-scale", "Update", "apps/v1", "scale"),
        now=T2,
    )
    with pytest.raises(ApiError) as caught:
        apply(live, workload(image="i:2"))
    assert caught.value.message == (
        "Apply failed with 2 conflicts: "
        'conflicts with "helm":\n- .spec.template.spec.containers[name="main"].image\n'
        'conflicts with "kubectl-scale" with subresource "scale" using apps/v1:\n- .spec.replicas'
    )


def test_force_takes_the_field_over() -> None:
    live = apply(None, workload(), "helm")
    after = apply(live, workload(image="i:2"), force=True)
    assert after["spec"]["template"]["spec"]["containers"][0]["image"] == "i:2"
    theirs = managers(after)["helm", "Apply"]["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"]
    assert "f:image" not in theirs['k:{"name":"main"}']


def test_an_equal_value_is_shared_and_no_conflict() -> None:
    after = apply(apply(None, workload(), "helm"), workload())
    assert set(managers(after)) == {("helm", "Apply"), ("mcig-pool", "Apply")}


def test_the_time_of_a_manager_changes_with_its_fields_only() -> None:
    live = apply(None, workload())
    assert managers(apply(live, workload(), now=T2))["mcig-pool", "Apply"]["time"] == T1
    assert managers(apply(live, workload(args=["x"]), now=T2))["mcig-pool", "Apply"]["time"] == T2


def test_an_update_owns_what_it_changes_and_takes_it_from_others() -> None:
    live = apply(None, workload())
    after = updated(
        SHAPE,
        live,
        {**live, "spec": {**live["spec"], "replicas": 4}},
        Manager("hpa", "Update", "apps/v1"),
        now=T2,
    )
    assert managers(after)["hpa", "Update"]["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in managers(after)["mcig-pool", "Apply"]["fieldsV1"]["f:spec"]


def test_status_belongs_to_its_subresource() -> None:
    live = apply(None, {**workload(), "status": {"replicas": 9}})
    assert "status" not in live
    assert "f:status" not in managers(live)["mcig-pool", "Apply"]["fieldsV1"]


def test_unknown_fields_are_refused_by_path() -> None:
    schema = compiled(
        {
            "properties": {
                "spec": {
                    "type": "object",
                    "properties": {
                        "items": {
                            "type": "array",
                            "items": {"type": "object", "properties": {"name": {"type": "string"}}},
                        }
                    },
                }
            }
        }
    )
    config = {
        "apiVersion": "example.com/v1",
        "kind": "Thing",
        "metadata": {"name": "t", "namespace": "default"},
        "spec": {"items": [{"name": "a", "size": 1}]},
    }
    with pytest.raises(ApiError) as caught:
        applied(CustomRoot(schema), None, config, Manager("m", "Apply", "example.com/v1"), force=False, now=T1)
    assert caught.value.code == 500
    assert caught.value.message == (
        "failed to create typed patch object (default/t; example.com/v1, Kind=Thing): "
        ".spec.items[0].size: field not declared in schema"
    )


def test_keyed_lists_refuse_twins() -> None:
    twins = workload()
    twins["spec"]["template"]["spec"]["containers"] *= 2
    with pytest.raises(ApiError, match=r'duplicate entries for key \[name="main"\]'):
        apply(None, twins)
