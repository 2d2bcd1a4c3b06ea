"""JSON, merge and strategic merge patches."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from backend.emulator.kube.errors import ApiError
from backend.emulator.kube.patch import json_patch, merge_patch, strategic_merge

LIVE: dict[str, Any] = {
    "metadata": {"name": "d", "labels": {"a": "1", "b": "2"}, "finalizers": ["x"]},
    "spec": {
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "main",
                        "image": "i:1",
                        "args": ["--one"],
                        "ports": [{"containerPort": 80, "name": "http"}],
                        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                    },
                    {"name": "side", "image": "s:1"},
                ],
                "tolerations": [{"key": "a"}],
            }
        }
    },
}


def pod(patch: dict[str, Any]) -> dict[str, Any]:
    before = copy.deepcopy(LIVE)
    result = strategic_merge(LIVE, {"spec": {"template": {"spec": patch}}})
    assert before == LIVE
    found: dict[str, Any] = result["spec"]["template"]["spec"]
    return found


def test_merge_patch_removes_by_null_and_replaces_lists() -> None:
    result = merge_patch(LIVE, {"metadata": {"labels": {"a": None, "c": "3"}, "finalizers": ["y"]}})
    assert result["metadata"] == {"name": "d", "labels": {"b": "2", "c": "3"}, "finalizers": ["y"]}
    assert LIVE["metadata"]["labels"] == {"a": "1", "b": "2"}


def test_json_patch_operations() -> None:
    result = json_patch(
        LIVE,
        [
            {"op": "test", "path": "/metadata/name", "value": "d"},
            {"op": "add", "path": "/metadata/labels/example.com~1c", "value": "3"},
            {"op": "remove", "path": "/metadata/labels/a"},
            {"op": "replace", "path": "/spec/template/spec/containers/1/image", "value": "s:2"},
            {"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--two"},
            {"op": "copy", "from": "/metadata/name", "path": "/metadata/labels/copied"},
        ],
    )
    assert result["metadata"]["labels"] == {"b": "2", "example.com/c": "3", "copied": "d"}
    containers = result["spec"]["template"]["spec"]["containers"]
    assert containers[1]["image"] == "s:2"
    assert containers[0]["args"] == ["--one", "--two"]


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/metadata/name", "value": "other"},
        {"op": "remove", "path": "/metadata/absent"},
        {"op": "replace", "path": "/spec/absent", "value": 1},
        {"op": "add", "path": "/metadata/finalizers/7", "value": "z"},
        {"op": "spin", "path": "/metadata"},
    ],
)
def test_json_patches_that_do_not_fit_are_unprocessable(operation: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as caught:
        json_patch(LIVE, [operation])
    assert caught.value.code == 422


def test_strategic_merge_goes_item_by_item() -> None:
    result = pod({"containers": [{"name": "main", "image": "i:2", "env": [{"name": "B", "value": "3"}]}]})
    main, side = result["containers"]
    assert (main["image"], main["args"], side["image"]) == ("i:2", ["--one"], "s:1")
    assert main["env"] == [{"name": "A", "value": "1"}, {"name": "B", "value": "3"}]


def test_strategic_merge_deletes_and_replaces_where_told() -> None:
    result = pod(
        {
            "containers": [
                {"name": "side", "$patch": "delete"},
                {"name": "main", "env": [{"$patch": "replace"}, {"name": "C", "value": "9"}]},
            ]
        }
    )
    assert [one["name"] for one in result["containers"]] == ["main"]
    assert result["containers"][0]["env"] == [{"name": "C", "value": "9"}]


def test_strategic_merge_merges_ports_by_number_and_replaces_atomic_lists() -> None:
    result = pod(
        {
            "containers": [
                {"name": "main", "ports": [{"containerPort": 81}, {"containerPort": 80, "protocol": "UDP"}]}
            ],
            "tolerations": [{"key": "b"}],
        }
    )
    assert result["containers"][0]["ports"] == [
        {"containerPort": 80, "name": "http", "protocol": "UDP"},
        {"containerPort": 81},
    ]
    assert result["tolerations"] == [{"key": "b"}]


def test_strategic_merge_keeps_the_order_it_is_given() -> None:
    result = pod(
        {
            "$setElementOrder/containers": [{"name": "side"}, {"name": "main"}],
            "containers": [{"name": "side", "image": "s:2"}],
        }
    )
    assert [one["name"] for one in result["containers"]] == ["side", "main"]


def test_finalizers_are_a_set() -> None:
    assert strategic_merge(LIVE, {"metadata": {"finalizers": ["x", "y"]}})["metadata"]["finalizers"] == ["x", "y"]
    removed = strategic_merge(LIVE, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["x"]}})
    assert removed["metadata"]["finalizers"] == []
