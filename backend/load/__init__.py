"""Load tests and drills: traffic from inside the VPC, and what the Pods say it did to them.

Front ends import from here. Invariant: traffic comes from a Kubernetes Job with vLLM's own client, on every target; the
split is read from the Pods' own counters and never guessed.
"""

from backend.load.drill import Drill, DrillResult
from backend.load.job import Load
from backend.load.report import Latency, Report
from backend.load.result import ClusterLoad, ClusterPoint, LoadResult, Point

__all__ = [
    "ClusterLoad",
    "ClusterPoint",
    "Drill",
    "DrillResult",
    "Latency",
    "Load",
    "LoadResult",
    "Point",
    "Report",
]
