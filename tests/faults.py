"""What `mcig status` says of each fault of the emulated cloud that can be seen in a stack that stands.

A journey plays them, and the table in docs/watching.md is written from here.
"""

from __future__ import annotations

from collections.abc import Mapping

FAULTS: Mapping[tuple[str, ...], str] = {
    ("membership-lost-connection region=us-east4",): "membership-lost",
    ("gateway-misconfigured",): "pool-extension-missing",
    ("metric-missing region=us-east4",): "metric-missing",
    ("pod-crashloop region=europe-west3",): "crash-loop",
    ("hf-gated", "spot-preemption region=us-east4"): "gated-model",
    ("hf-unauthorized", "spot-preemption region=europe-west3"): "gated-model",
    ("region-down region=us-east4",): "cluster-unreachable",
    ("stockout region=us-east4", "spot-preemption region=us-east4 times=2"): "no-gpu-node",
}
"""Faults that are added together -> the row of the table of causes that is named while they play."""
