"""Which Node a Pod gets, and the scheduler's words when it gets none."""

from __future__ import annotations

from typing import Any

import pytest

from backend.emulator.kube.controllers.scheduling import choose, tolerations

TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}


def node(name: str, gpus: int = 0, **labels: str) -> dict[str, Any]:
    allocatable = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    spec = {"taints": [TAINT]} if gpus else {}
    return {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": {"allocatable": allocatable}}


def pod(gpus: int = 0, on: str = "", **spec: Any) -> dict[str, Any]:
    resources = {"limits": {"nvidia.com/gpu": str(gpus)}} if gpus else {}
    containers = [{"name": "main", "image": "x", "resources": resources}]
    return {"metadata": {"name": "p"}, "spec": {"containers": containers, "nodeName": on, **spec}}


def test_gpus_that_are_taken_are_not_given_twice() -> None:
    nodes = [node("plain"), node("gpu-1", 2), node("gpu-2", 2)]
    assert choose(pod(2), nodes, [pod(1, "gpu-1")]) == ("gpu-2", "")
    place, message = choose(pod(2), nodes, [pod(1, "gpu-1"), pod(1, "gpu-2")])
    assert place is None
    assert message.startswith("0/3 nodes are available: 3 Insufficient nvidia.com/gpu.")


def test_pods_without_gpus_keep_off_gpu_nodes() -> None:
    assert choose(pod(), [node("gpu-1", 2), node("plain")], []) == ("plain", "")
    _, message = choose(pod(), [node("gpu-1", 2)], [])
    assert "1 node(s) had untolerated taint {nvidia.com/gpu: present}" in message
    assert "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling." in message


def test_no_nodes_at_all_is_said_so() -> None:
    assert choose(pod(), [], []) == (None, "no nodes available to schedule pods")


@pytest.mark.parametrize(
    ("spec", "chosen"),
    [
        ({"nodeSelector": {"zone": "b"}}, "two"),
        ({"nodeSelector": {"zone": "z"}}, None),
        (
            {
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [
                                {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["b", "c"]}]}
                            ]
                        }
                    }
                }
            },
            "two",
        ),
    ],
)
def test_selectors_and_affinity_choose_by_label(spec: dict[str, Any], chosen: str | None) -> None:
    assert choose(pod(**spec), [node("one", zone="a"), node("two", zone="b")], [])[0] == chosen


def test_pods_spread_over_the_least_busy_node() -> None:
    assert choose(pod(1), [node("a", 4), node("b", 4)], [pod(1, "a")])[0] == "b"


def test_admission_gives_the_gpu_toleration_once() -> None:
    gpu = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    assert tolerations(pod(1)["spec"]) == [gpu]
    assert tolerations(pod(1, tolerations=[gpu])["spec"]) == [gpu]
    assert tolerations(pod()["spec"]) == []


def test_a_node_takes_so_many_pods_and_no_more() -> None:
    one = {"metadata": {"name": "n"}, "spec": {}, "status": {"allocatable": {"pods": "1"}}}
    pod: dict[str, Any] = {"spec": {"containers": []}}
    assert choose(pod, [one], []) == ("n", "")
    name, message = choose(pod, [one], [{"spec": {"nodeName": "n", "containers": []}}])
    assert name is None
    assert message.startswith("0/1 nodes are available: 1 Too many pods. preemption: 0/1 nodes are available: 1 No")
