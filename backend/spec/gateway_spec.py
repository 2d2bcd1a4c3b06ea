"""The whole specification: every part of it, and what holds for all of them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from backend.spec.clusters import ClusterSpec, Network
from backend.spec.part import ClusterName, DnsLabel, Part, ProjectId
from backend.spec.serving import Model, Objective, Pool
from backend.spec.traffic import Balancing, Gateway, HealthCheck


class Target(StrEnum):
    """Where a stack lives."""

    GKE = "gke"
    """Google Cloud."""
    EMULATOR = "emulator"
    """The rehearsal cloud on this machine."""


class OnStockout(StrEnum):
    """What to do when a zone has no GPUs to give."""

    ASK = "ask"
    """Ask, where there is a terminal; else stop."""
    NEXT_ZONE = "next-zone"
    """Try the next zone that has the GPU, without a question."""
    STOP = "stop"
    """Stop, and keep what was made."""


class Versions(Part):
    """Which GKE the clusters run."""

    gke: str = Field(default=">=1.34.1-gke.1127000", pattern=r"^(>=)?\d+\.\d+(\.\d+-gke\.\d+)?$")
    """An exact version, or the lowest acceptable one after ``>=``."""
    channel: Literal["rapid", "regular", "stable"] = "rapid"
    """Release channel of the clusters."""


class Guardrail(Part):
    """The document's ValidatingAdmissionPolicy, for those who want it."""

    namespaces: tuple[DnsLabel, ...] = Field(min_length=1)
    """Namespaces whose Pods may tolerate the compute classes."""
    compute_classes: tuple[DnsLabel, ...] = Field(min_length=1)
    """Compute classes that only Pods of these namespaces may tolerate."""


class Guard(Part):
    """Limits that warn and then offer to destroy."""

    usd: float | None = Field(default=None, gt=0)
    """Spent so far, in US dollars."""
    hours: float | None = Field(default=None, gt=0)
    """Age of the stack."""


class Rehearsal(Part):
    """How the emulated cloud behaves; only read when mcig starts it."""

    speed: Annotated[float, Field(gt=0)] | Literal["max"] = 60.0
    """How many times faster than real time the control plane's durations pass."""
    seed: int = 7
    """Seed of its durations: the same one plays the same rehearsal."""
    faults: tuple[str, ...] = ()
    """Faults to play."""


class GatewaySpec(Part):
    """A whole multi-cluster Inference Gateway, as wanted."""

    name: DnsLabel = Field(max_length=40)
    """The stack's name; marks everything that is made for it."""
    description: str = ""
    """One line that says who a preset is for."""
    target: Target = Target.GKE
    """Where the stack lives: Google Cloud, or the rehearsal cloud on this machine."""
    project: ProjectId | None = None
    """Google Cloud project id; ``null`` takes it from the environment."""
    network: Network = Network()
    """The VPC network that all clusters share."""
    config_cluster: ClusterName
    """Name of the cluster that holds the gateway."""
    clusters: tuple[ClusterSpec, ...]
    """Two or more that serve the model, each in a region of its own; one more may hold the gateway only."""
    model: Model = Model()
    """The model, its server and its adapters."""
    objective: Objective = Objective()
    """What requests may name to be given a priority."""
    pool: Pool = Pool()
    """The InferencePool that groups the model servers of a cluster."""
    gateway: Gateway = Gateway()
    """The way in."""
    balancing: Balancing = Balancing.model_validate({})
    """When traffic spills over to the next region."""
    timeout_s: int = Field(default=100, ge=1, le=3600)
    """Seconds the load balancer waits for an answer: at least twice the expected P99."""
    health_check: HealthCheck = HealthCheck()
    """How the load balancer finds out that a Pod serves."""
    versions: Versions = Versions()
    """Which GKE the clusters run."""
    guardrail: Guardrail | None = None
    """The document's admission policy for compute classes; ``null`` leaves it out."""
    guard: Guard | None = None
    """Limits of cost and age; ``null`` for none."""
    on_stockout: OnStockout = OnStockout.ASK
    """What to do when a zone has no GPUs to give."""
    beyond_catalog: bool = False
    """Ask the cloud even for what the dated catalogue says cannot be had: zones, ways to buy, a model on a GPU."""
    kubeconfig: str | None = None
    """File that gets the clusters' contexts; ``null`` takes ``$KUBECONFIG``, else a file of mcig's own."""
    rehearsal: Rehearsal = Rehearsal()
    """How the emulated cloud behaves."""

    @property
    def config(self) -> ClusterSpec:
        """The config cluster."""
        return next(cluster for cluster in self.clusters if cluster.name == self.config_cluster)

    @property
    def targets(self) -> tuple[ClusterSpec, ...]:
        """The clusters that serve the model; the config cluster is one of them unless it has no GPU pool."""
        return tuple(cluster for cluster in self.clusters if cluster.is_target)

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions that serve the model, in the order of the clusters; each gets an address of the gateway."""
        return tuple(cluster.region for cluster in self.targets)

    def replicas(self, cluster: ClusterSpec) -> int:
        """Model servers on a cluster: as asked, else one for each GPU."""
        if cluster.gpu_pool is None:
            return 0
        return cluster.gpu_pool.gpus if self.model.replicas == "auto" else self.model.replicas

    def to_data(self) -> dict[str, Any]:
        """Give the spec as plain data, every field spelled as in YAML."""
        return self.model_dump(mode="json", by_alias=True)
