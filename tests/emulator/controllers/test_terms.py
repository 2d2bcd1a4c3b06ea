"""What a policy means for one endpoint."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from backend.emulator.kube.controllers.terms import exports, gauges_of, scoped

POD: dict[str, Any] = {"metadata": {"name": "p", "namespace": "default", "labels": {"app": "vllm"}}, "spec": {}}
SELECTOR = {"matchLabels": {"app": "vllm"}}
ENDPOINTS = {
    "selector": SELECTOR,
    "endpoints": [{"port": 8000, "path": "/metrics", "metrics": [{"name": "vllm:kv", "exportName": "kv-cache"}]}],
}
PODS = {
    "metrics": [
        {
            "pod": {
                "selector": SELECTOR,
                "containers": [
                    {
                        "endpoint": {"port": 8000},
                        "metrics": [{"gauge": {"name": "kv-cache", "prometheusMetricName": "vllm:kv"}}],
                    }
                ],
            }
        },
        {"promql": {"name": "other", "query": "up"}},
    ]
}


def cluster(*specs: dict[str, Any]) -> Any:
    found = [{"metadata": {"name": "m", "namespace": "default"}, "spec": spec} for spec in specs]
    return SimpleNamespace(store=SimpleNamespace(list=lambda *_: found))


@pytest.mark.parametrize("spec", [ENDPOINTS, PODS], ids=["GKE 1.34", "GKE 1.35"])
def test_both_shapes_of_the_metric_say_where_it_is_read(spec: dict[str, Any]) -> None:
    assert list(exports(cluster(spec), POD)) == [(8000, "/metrics", "vllm:kv", "kv-cache")]


def test_a_metric_of_other_pods_is_not_exported_from_this_one() -> None:
    stranger = {**POD, "metadata": {**POD["metadata"], "labels": {"app": "other"}}}
    assert list(exports(cluster(ENDPOINTS, PODS), stranger)) == []


def test_the_first_scope_that_selects_the_endpoint_counts() -> None:
    policy = {
        "timeoutSec": 100,
        "scopes": [
            {"selector": {"gke.io/zone": "us-east4-a", "gke.io/region": "us-east4"}, "capacityScalerPercent": 0},
            {"selector": {"gke.io/region": "us-east4"}, "capacityScalerPercent": 50},
        ],
    }
    assert scoped(policy, {"gke.io/region": "us-east4", "gke.io/zone": "us-east4-a"})["capacityScalerPercent"] == 0
    assert scoped(policy, {"gke.io/region": "us-east4", "gke.io/zone": "us-east4-b"})["capacityScalerPercent"] == 50
    assert "capacityScalerPercent" not in scoped(policy, {"gke.io/region": "europe-west3", "gke.io/zone": "x"})


def test_a_metric_that_is_not_reported_leaves_the_policy_blind() -> None:
    world: Any = SimpleNamespace(
        tables={"faults": {}},
        now=lambda: 1.0,
        kubelet=SimpleNamespace(address=lambda *_: ("127.0.0.1", 8080)),
    )
    here = cluster(ENDPOINTS)
    here.key = "us-east4/gke-east"
    metric = {"name": "gke.named_metrics.kv-cache"}
    assert [gauge.series for gauge in gauges_of(world, here, POD, metric)] == ["vllm:kv"]
    fault = {"kind": "metric-missing", "region": "us-east4", "metric": "vllm:kv", "since": 0, "left": None}
    world.tables["faults"]["one"] = fault
    assert list(gauges_of(world, here, POD, metric)) == []
    fault["region"] = "europe-west3"
    assert len(list(gauges_of(world, here, POD, metric))) == 1
