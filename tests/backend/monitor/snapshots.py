"""Snapshots made by hand, for what reads them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from backend.monitor import (
    ClusterSnapshot,
    ConditionSnapshot,
    CostSnapshot,
    GatewaySnapshot,
    PodSnapshot,
    Snapshot,
)

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
GOOD = (
    ConditionSnapshot("Gateway/cross-region-gateway", "Programmed", "True", "Programmed", ""),
    ConditionSnapshot("HTTPRoute/default", "ResolvedRefs", "True", "ResolvedRefs", ""),
)


def pod(name: str, **figures: Any) -> PodSnapshot:
    told: dict[str, Any] = {"node": "gke-node", "ready": True, "phase": "Running", "restarts": 0, "kv_cache": 0.0}
    told |= {"running": 0.0, "waiting": 0.0, "requests_per_s": 0.0, "tokens_per_s": 0.0}
    return PodSnapshot(name=f"vllm-llama3-8b-instruct-2ldbs9pkjp-{name}", **(told | figures))


def cluster(name: str, region: str, *pods: PodSnapshot, **figures: Any) -> ClusterSnapshot:
    told: dict[str, Any] = {"ready": sum(one.ready for one in pods), "wanted": len(pods), "kv_cache": 0.0}
    told |= {"running": 0.0, "waiting": 0.0, "requests_per_s": 0.0, "tokens_per_s": 0.0}
    return ClusterSnapshot(name=name, region=region, pods=pods, **(told | figures))


def snapshot(at_s: float, *clusters: ClusterSnapshot, gateway: dict[str, Any] | None = None) -> Snapshot:
    told: dict[str, Any] = {
        "addresses": {"europe-west3": "10.156.13.38", "us-east4": "10.150.15.79"},
        "healthy": True,
        "mode": "CUSTOM_METRICS",
        "target": 0.6,
        "conditions": GOOD,
    }
    return Snapshot(
        NOON + timedelta(seconds=at_s),
        "rehearsal",
        clusters,
        GatewaySnapshot(**(told | (gateway or {}))),
        CostSnapshot(28.386, 2.31, rehearsed=True),
        "the emulated cloud",
    )


def spill(at_s: float) -> Snapshot:
    """A minute and a half of load: the near cluster fills up, the far one takes what is more."""
    near = min(0.62, at_s / 60)
    far = max(0.0, min(0.35, (at_s - 38) / 120))
    share = near / (near + far) if at_s else None
    west = [
        pod("kjqvd", kv_cache=near + 0.01, running=near * 120, requests_per_s=near * 20, tokens_per_s=near * 4000,
            ttft_p50_s=0.4, ttft_p95_s=1.31, inter_token_p50_s=0.031, adapters=("food-review",)),
        pod("wbsb7", kv_cache=near - 0.01, running=near * 110, requests_per_s=near * 18, tokens_per_s=near * 3800,
            ttft_p50_s=0.38, ttft_p95_s=1.2, inter_token_p50_s=0.03),
    ]  # fmt: skip
    east = [
        pod("7p2dv", kv_cache=far, running=far * 110, requests_per_s=far * 19, tokens_per_s=far * 3900,
            ttft_p50_s=0.5, ttft_p95_s=1.4, inter_token_p50_s=0.032),
        pod("cmc2h", kv_cache=None, running=None, waiting=None, ready=False, phase="CrashLoopBackOff", restarts=4,
            requests_per_s=None, tokens_per_s=None),
    ]  # fmt: skip
    return snapshot(
        at_s,
        cluster("gke-west", "europe-west3", *west, kv_cache=near, running=near * 230, share=share, ttft_p50_s=0.39,
                requests_per_s=near * 38, tokens_per_s=near * 7800, ttft_p95_s=1.3, inter_token_p50_s=0.03),
        cluster("gke-east", "us-east4", *east, kv_cache=far, running=far * 110,
                share=None if share is None else 1 - share, ttft_p50_s=0.5,
                requests_per_s=far * 19, tokens_per_s=far * 3900, ttft_p95_s=1.4, inter_token_p50_s=0.032),
    )  # fmt: skip
