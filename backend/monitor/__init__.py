"""A stack's traffic while it runs: snapshots, read side by side and without touching anything.

Front ends import from here. Invariant: what is shown is what the Pods and objects say of themselves, on every target.
"""

from backend.monitor.snapshot import (
    ClusterSnapshot,
    ConditionSnapshot,
    CostSnapshot,
    DriftedSnapshot,
    DriftSnapshot,
    GatewaySnapshot,
    PodSnapshot,
    Snapshot,
)
from backend.monitor.watch import Monitor

__all__ = [
    "ClusterSnapshot",
    "ConditionSnapshot",
    "CostSnapshot",
    "DriftSnapshot",
    "DriftedSnapshot",
    "GatewaySnapshot",
    "Monitor",
    "PodSnapshot",
    "Snapshot",
]
