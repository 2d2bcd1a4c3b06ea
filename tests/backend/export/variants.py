"""Specifications of many shapes, for what has to hold for each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.spec import GatewaySpec

Json = Any


def cluster(name: str, region: str, **pool: Json) -> dict[str, Json]:
    """A cluster with one H100 machine."""
    gpus = {
        "name": "gpus",
        "zones": [f"{region}-c"],
        "accelerator": "nvidia-h100-80gb",
        "accelerators_per_node": 1,
        "machine_type": "a3-highgpu-1g",
        "nodes": 2,
    }
    return {"name": name, "region": region, "gpu_pool": gpus | pool}


WEST, EAST = cluster("gke-west", "europe-west3"), cluster("gke-east", "us-east4")
PLAIN: dict[str, Json] = {
    "name": "demo",
    "project": "my-project",
    "config_cluster": "gke-west",
    "clusters": [WEST, EAST],
}
VARIANTS: Mapping[str, dict[str, Json]] = {
    "plain": {},
    "in-flight": {"balancing": {"mode": "IN_FLIGHT"}},
    "three clusters": {"clusters": [WEST, EAST, cluster("gke-asia", "asia-southeast1")]},
    "config only": {
        "clusters": [WEST, EAST, {"name": "gke-config", "region": "us-central1"}],
        "config_cluster": "gke-config",
        "pool": {"namespace": "serving"},
    },
    "flex-start": {"clusters": [cluster("gke-west", "europe-west3", provisioning="flex-start"), EAST]},
    "reservation": {
        "clusters": [cluster("gke-west", "europe-west3", provisioning="reservation", reservation="mine"), EAST]
    },
    "on-demand": {"clusters": [WEST, cluster("gke-east", "us-east4", provisioning="on-demand")]},
    "guardrail": {"guardrail": {"namespaces": ["default", "team-a"], "compute_classes": ["gold"]}},
    "no adapters": {"model": {"adapters": []}},
    "many adapters": {
        "model": {"adapters": [{"name": f"adapter's {n}", "source": f"me/adapter-{n}"} for n in range(9)]}
    },
    "no monitoring": {"pool": {"monitoring": False}},
    "own namespace": {
        "pool": {"namespace": "serving", "name": "my-pool", "port": 9000},
        "health_check": {"port": 9000},
    },
    "exact version": {"versions": {"gke": "1.35.1-gke.1396000", "channel": "regular"}},
    "own network": {"network": {"vpc": "lan", "subnetwork": "nodes"}, "kubeconfig": "~/kube configs/demo"},
    "fixed range": {"clusters": [WEST | {"proxy_subnet": "192.168.8.0/24"}, EAST]},
    "newer vLLM": {"model": {"image": "vllm/vllm-openai:v0.10.2"}},
}
"""What is another than in the plain one, by name."""


def spec_of(name: str) -> GatewaySpec:
    """The specification of a variant."""
    return GatewaySpec.model_validate(PLAIN | VARIANTS[name])
