"""What a user wants, as one frozen value.

``GatewaySpec`` holds every choice of the recipe and nothing else: no credentials, no state. Names of cloud objects
derive from it, so the cloud can be read back without a state file. Invariant: a ``GatewaySpec`` that exists is
well-formed field by field; ``problems(spec)`` lists what is wrong between fields, and callers refuse a spec that has
any. The Hugging Face token has no field here.
"""

from backend.spec.clusters import ClusterSpec, DefaultPool, GpuPool, Network, Provisioning
from backend.spec.contradictions import problems
from backend.spec.gateway_spec import GatewaySpec, Guard, Guardrail, OnStockout, Rehearsal, Target, Versions
from backend.spec.serving import Adapter, Model, Objective, Pool
from backend.spec.traffic import (
    DEFAULT_IN_FLIGHT,
    DEFAULT_UTILIZATION_PERCENT,
    Balancing,
    BalancingMode,
    Gateway,
    HealthCheck,
)

__all__ = [
    "DEFAULT_IN_FLIGHT",
    "DEFAULT_UTILIZATION_PERCENT",
    "Adapter",
    "Balancing",
    "BalancingMode",
    "ClusterSpec",
    "DefaultPool",
    "Gateway",
    "GatewaySpec",
    "GpuPool",
    "Guard",
    "Guardrail",
    "HealthCheck",
    "Model",
    "Network",
    "Objective",
    "OnStockout",
    "Pool",
    "Provisioning",
    "Rehearsal",
    "Target",
    "Versions",
    "problems",
]
