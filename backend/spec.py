"""What a user wants, as one frozen value.

``GatewaySpec`` holds every choice of the recipe and nothing else: no credentials, no state. Names of cloud objects
derive from it, so the cloud can be read back without a state file. Invariant: a ``GatewaySpec`` that exists is
well-formed field by field; ``problems(spec)`` lists what is wrong between fields, and callers refuse a spec that has
any. The Hugging Face token has no field here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from ipaddress import IPv4Network
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from backend.errors import Problem

DnsLabel = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$")]
"""A lower-case name as Kubernetes and Google Cloud take it."""
ClusterName = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$")]
"""GKE allows 40 characters for clusters and node pools."""
ProjectId = Annotated[str, Field(min_length=6, max_length=30, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])$")]
RegionName = Annotated[str, Field(pattern=r"^[a-z]+-[a-z]+[0-9]+$")]
ZoneName = Annotated[str, Field(pattern=r"^[a-z]+-[a-z]+[0-9]+-[a-z]$")]
Port = Annotated[int, Field(ge=1, le=65535)]

SMALLEST_PROXY_PREFIX, LARGEST_PROXY_PREFIX = 26, 23
"""Proxy-only subnets are taken from /23 (64 proxies and more) down to /26."""


class Target(StrEnum):
    """Where a stack lives."""

    GKE = "gke"
    """Google Cloud."""
    EMULATOR = "emulator"
    """The rehearsal cloud on this machine."""


class Provisioning(StrEnum):
    """How GPU nodes are bought."""

    SPOT = "spot"
    """Cheapest, and may be taken back at any time."""
    FLEX_START = "flex-start"
    """Queued until there are machines, which then stay for seven days at most."""
    ON_DEMAND = "on-demand"
    """At the list price, for as long as wanted."""
    RESERVATION = "reservation"
    """Out of a reservation that the project has."""


class BalancingMode(StrEnum):
    """How the load balancer measures how full a cluster is."""

    CUSTOM_METRICS = "CUSTOM_METRICS"
    """By the KV-cache utilisation that the model servers report."""
    IN_FLIGHT = "IN_FLIGHT"
    """By the number of requests in flight per endpoint."""


class OnStockout(StrEnum):
    """What to do when a zone has no GPUs to give."""

    ASK = "ask"
    """Ask, where there is a terminal; else stop."""
    NEXT_ZONE = "next-zone"
    """Try the next zone that has the GPU, without a question."""
    STOP = "stop"
    """Stop, and keep what was made."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, use_attribute_docstrings=True)


class Network(_Part):
    """The VPC that all clusters share."""

    vpc: DnsLabel = "default"
    """Name of the VPC network."""
    subnetwork: DnsLabel | None = None
    """Name of the ordinary subnetwork in each region; only custom-mode VPCs need it."""


class DefaultPool(_Part):
    """The small node pool for everything but model servers."""

    machine_type: str = "e2-standard-4"
    """Machine type of its nodes, such as ``e2-standard-4``."""
    disk_type: Literal["pd-standard", "pd-balanced", "pd-ssd", "hyperdisk-balanced"] = "pd-standard"
    """Type of the nodes' boot disks."""
    nodes_per_zone: int = Field(default=1, ge=1, le=15)
    """A regional cluster has this many nodes in each of its zones."""


class GpuPool(_Part):
    """The node pool that runs the model servers."""

    name: ClusterName = "gpu"
    """Name of the node pool."""
    zones: tuple[ZoneName, ...] = Field(min_length=1)
    """Zones of the cluster's region that have the GPU."""
    accelerator: str = Field(min_length=1)
    """GPU type as Compute Engine names it, such as ``nvidia-h100-80gb``."""
    accelerators_per_node: int = Field(ge=1, le=16)
    """GPUs in one machine; the machine type has its own number."""
    machine_type: str = Field(min_length=1)
    """Machine type with GPUs, such as ``a3-highgpu-2g``."""
    nodes: int = Field(ge=1, le=100)
    """Number of nodes in each zone."""
    provisioning: Provisioning = Provisioning.SPOT
    """How the machines are bought."""
    reservation: str | None = None
    """Name of the reservation to draw on; only with ``provisioning: reservation``."""

    @property
    def gpus(self) -> int:
        """GPUs of the whole pool."""
        return self.nodes * len(self.zones) * self.accelerators_per_node


class ClusterSpec(_Part):
    """One regional GKE cluster."""

    name: ClusterName
    """Name of the cluster, at most 40 characters."""
    region: RegionName
    """Region of the cluster, such as ``europe-west3``."""
    proxy_subnet: Literal["auto"] | IPv4Network = "auto"
    """Range of the proxy-only subnet in this region; ``auto`` takes a free /23 or reuses what is there."""
    default_pool: DefaultPool = DefaultPool()
    """The nodes for everything but model servers."""
    gpu_pool: GpuPool | None = None
    """The pool of the model servers; ``null`` makes a cluster that only holds the gateway."""

    @property
    def is_target(self) -> bool:
        """Whether the cluster serves the model."""
        return self.gpu_pool is not None

    @property
    def serving_pool(self) -> GpuPool:
        """The GPU pool of a cluster that serves the model; raises ``ValueError`` for one that does not."""
        if self.gpu_pool is None:
            raise ValueError(f"{self.name} has no GPU pool")
        return self.gpu_pool

    @property
    def proxy_subnet_name(self) -> str:
        """Name of the proxy-only subnet where mcig makes one; the document's own name for it."""
        return f"{self.region}-subnet"

    @field_validator("proxy_subnet", mode="after")
    @classmethod
    def _proxy_range(cls, value: Literal["auto"] | IPv4Network) -> Literal["auto"] | IPv4Network:
        if isinstance(value, IPv4Network):
            if not LARGEST_PROXY_PREFIX <= value.prefixlen <= SMALLEST_PROXY_PREFIX:
                raise ValueError("a proxy-only subnet is a range from /23 to /26, or auto")
            if not value.is_private:
                raise ValueError("a proxy-only subnet takes a private range, such as 192.168.0.0/23")
        return value


class Adapter(_Part):
    """A LoRA adapter that the model servers load beside the base model."""

    name: str = Field(min_length=1, max_length=128)
    """The model name that requests use."""
    source: str = Field(min_length=1)
    """Hugging Face repository of the adapter."""


class Model(_Part):
    """What is served, and by which server."""

    name: DnsLabel = "vllm-llama3-8b-instruct"
    """Name of the Deployment and value of the Pods' ``app`` label."""
    id: str = Field(default="meta-llama/Llama-3.1-8B-Instruct", pattern=r"^[\w.-]+/[\w.-]+$")
    """Hugging Face repository of the base model."""
    image: str = Field(default="vllm/vllm-openai:v0.8.5", pattern=r"^\S+:\S+$")
    """Container image with a tag; the tag decides the name of the KV-cache metric."""
    replicas: Literal["auto"] | Annotated[int, Field(ge=1, le=1000)] = "auto"
    """Pods per cluster; ``auto`` is one for each GPU of the pool."""
    max_model_len: int | None = Field(default=None, ge=256)
    """Longest context in tokens; ``null`` leaves the model's own."""
    adapters: tuple[Adapter, ...] = (Adapter(name="food-review-1", source="Kawon/llama3.1-food-finetune_v14_r8"),)
    """LoRA adapters of the base model; ``[]`` for none."""

    @property
    def version(self) -> tuple[int, int, int] | None:
        """The vLLM version in the image's tag; ``None`` when the tag is not a version."""
        found = re.search(r":v?(\d+)\.(\d+)(?:\.(\d+))?", self.image)
        return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None

    @property
    def kv_cache_metric(self) -> str:
        """The Prometheus name under which this vLLM reports KV-cache use (renamed in 0.9, vllm-project/vllm#18354)."""
        old = self.version is not None and self.version < (0, 9, 0)
        return "vllm:gpu_cache_usage_perc" if old else "vllm:kv_cache_usage_perc"

    @property
    def kv_cache_export(self) -> str:
        """The document's export name of that metric, as the load balancer then knows it."""
        return "kv-cache-old" if self.kv_cache_metric.startswith("vllm:gpu") else "kv-cache"


class Objective(_Part):
    """The InferenceObjective that requests may name in a header."""

    name: DnsLabel = "food-review"
    """Name that requests give in the header ``x-gateway-inference-objective``."""
    priority: int = Field(default=10, ge=-1000, le=1000)
    """Requests of a negative one are refused first when the servers are full."""


class Pool(_Part):
    """The InferencePool on every cluster, as the inferencepool chart renders it."""

    name: DnsLabel = "vllm-llama3-8b-instruct"
    """Name of the pool and of the Helm release whose objects it is made of."""
    namespace: DnsLabel = "default"
    """Namespace of everything that is not cluster-wide, on every cluster."""
    port: Port = 8000
    """Port of the model servers."""
    chart: Literal["v1.1.0"] = "v1.1.0"
    """Version of the chart whose objects are applied."""
    monitoring: bool = True
    """Whether the chart's seven monitoring objects are part of it."""


class Gateway(_Part):
    """The gateway on the config cluster."""

    name: DnsLabel = "cross-region-gateway"
    """Name of the Gateway."""
    gateway_class: Literal["gke-l7-cross-regional-internal-managed-mc"] = Field(
        default="gke-l7-cross-regional-internal-managed-mc", alias="class"
    )
    """The only class known to route to imported inference pools."""
    port: Port = 80
    """Port of its addresses."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


DEFAULT_UTILIZATION_PERCENT = 60
DEFAULT_IN_FLIGHT = 1000


class Balancing(_Part):
    """When a cluster counts as full, so that traffic spills over to the next one."""

    mode: BalancingMode = BalancingMode.CUSTOM_METRICS
    """How the load balancer measures how full a cluster is."""
    max_utilization_percent: int | None = Field(default=None, ge=1, le=100)
    """Target utilisation of the KV cache; only with CUSTOM_METRICS, 60 by default."""
    max_in_flight_requests_per_endpoint: int | None = Field(default=None, ge=1, le=1_000_000)
    """Requests in flight that one Pod takes; only with IN_FLIGHT, 1000 by default."""

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data = dict(data)
        mode = data.get("mode", BalancingMode.CUSTOM_METRICS)
        if mode == BalancingMode.CUSTOM_METRICS and data.get("max_utilization_percent") is None:
            data["max_utilization_percent"] = DEFAULT_UTILIZATION_PERCENT
        if mode == BalancingMode.IN_FLIGHT and data.get("max_in_flight_requests_per_endpoint") is None:
            data["max_in_flight_requests_per_endpoint"] = DEFAULT_IN_FLIGHT
        return data


class HealthCheck(_Part):
    """How the load balancer finds out that a Pod serves."""

    path: str = Field(default="/health", pattern=r"^/\S*$")
    """Path that answers with 200 while the Pod serves."""
    port: Port = 8000
    """Port that is asked; the model servers' own."""


class Versions(_Part):
    """Which GKE the clusters run."""

    gke: str = Field(default=">=1.34.1-gke.1127000", pattern=r"^(>=)?\d+\.\d+(\.\d+-gke\.\d+)?$")
    """An exact version, or the lowest acceptable one after ``>=``."""
    channel: Literal["rapid", "regular", "stable"] = "rapid"
    """Release channel of the clusters."""


class Guardrail(_Part):
    """The document's ValidatingAdmissionPolicy, for those who want it."""

    namespaces: tuple[DnsLabel, ...] = Field(min_length=1)
    """Namespaces whose Pods may tolerate the compute classes."""
    compute_classes: tuple[DnsLabel, ...] = Field(min_length=1)
    """Compute classes that only Pods of these namespaces may tolerate."""


class Guard(_Part):
    """Limits that warn and then offer to destroy."""

    usd: float | None = Field(default=None, gt=0)
    """Spent so far, in US dollars."""
    hours: float | None = Field(default=None, gt=0)
    """Age of the stack."""


class Rehearsal(_Part):
    """How the emulated cloud behaves; only read when mcig starts it."""

    speed: Annotated[float, Field(gt=0)] | Literal["max"] = 60.0
    """How many times faster than in life the control plane's durations pass."""
    seed: int = 7
    """Seed of its durations: the same one plays the same rehearsal."""
    faults: tuple[str, ...] = ()
    """Faults to play."""


class GatewaySpec(_Part):
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


def problems(spec: GatewaySpec) -> list[Problem]:
    """List what is wrong between the fields of a spec; empty when it can be carried out."""
    return [*_cluster_problems(spec), *_pool_problems(spec), *_traffic_problems(spec)]


def _cluster_problems(spec: GatewaySpec) -> Iterator[Problem]:
    if len(spec.targets) < 2:
        kind = "clusters" if len(spec.targets) == len(spec.clusters) else "clusters with a gpu_pool"
        yield Problem("clusters", f"a multi-cluster gateway needs two or more {kind}, got {len(spec.targets)}")
    for index, cluster in enumerate(spec.clusters):
        earlier = spec.clusters[:index]
        if cluster.name in {other.name for other in earlier}:
            yield Problem(f"clusters[{index}].name", f"{cluster.name} is taken by another cluster; names must differ")
        if cluster.is_target and cluster.region in {other.region for other in earlier if other.is_target}:
            yield Problem(
                f"clusters[{index}].region",
                f"{cluster.region} is taken by another cluster; each cluster needs a region of its own",
            )
        if not cluster.is_target and cluster.name != spec.config_cluster:
            yield Problem(
                f"clusters[{index}].gpu_pool", "only the config cluster may be without: the others serve the model"
            )
    names = [cluster.name for cluster in spec.clusters]
    if names and spec.config_cluster not in names:
        yield Problem("config_cluster", f"{spec.config_cluster} is none of the clusters: {', '.join(names)}")
    ranges = [
        (index, cluster.proxy_subnet)
        for index, cluster in enumerate(spec.clusters)
        if isinstance(cluster.proxy_subnet, IPv4Network)
    ]
    for position, (index, network) in enumerate(ranges):
        for other, taken in ranges[:position]:
            if network.overlaps(taken):
                yield Problem(f"clusters[{index}].proxy_subnet", f"{network} overlaps {taken} of clusters[{other}]")


def _pool_problems(spec: GatewaySpec) -> Iterator[Problem]:
    for index, cluster in enumerate(spec.clusters):
        pool, place = cluster.gpu_pool, f"clusters[{index}].gpu_pool"
        if pool is None:
            continue
        for position, zone in enumerate(pool.zones):
            if not zone.startswith(f"{cluster.region}-"):
                yield Problem(
                    f"{place}.zones[{position}]",
                    f"{zone} is not a zone of {cluster.region}, such as {cluster.region}-a",
                )
        if len(set(pool.zones)) != len(pool.zones):
            yield Problem(f"{place}.zones", "a zone is named twice")
        if (pool.provisioning is Provisioning.RESERVATION) != (pool.reservation is not None):
            yield Problem(
                f"{place}.reservation", "name the reservation with `provisioning: reservation`, and only then"
            )
        if pool.name == "default-pool":
            yield Problem(f"{place}.name", "default-pool is the cluster's own pool; take another name")
        if spec.model.replicas != "auto" and spec.model.replicas > pool.gpus:
            yield Problem(
                "model.replicas",
                f"{spec.model.replicas} model servers need as many GPUs, but {cluster.name} has {pool.gpus}",
            )


def _traffic_problems(spec: GatewaySpec) -> Iterator[Problem]:
    mode, balancing = spec.balancing.mode, spec.balancing
    foreign = {
        BalancingMode.CUSTOM_METRICS: "max_in_flight_requests_per_endpoint",
        BalancingMode.IN_FLIGHT: "max_utilization_percent",
    }[mode]
    if getattr(balancing, foreign) is not None:
        yield Problem(
            f"balancing.{foreign}",
            f"does not go with mode {mode}: the two balancing modes exclude each other; remove it",
        )
    if spec.pool.port != spec.health_check.port:
        yield Problem("health_check.port", f"model servers listen on pool.port {spec.pool.port}; make both the same")
    adapters = Counter(adapter.name for adapter in spec.model.adapters)
    for name, count in adapters.items():
        if count > 1:
            yield Problem("model.adapters", f"the adapter name {name} is used {count} times")
    if spec.target is Target.GKE and spec.rehearsal.faults:
        yield Problem("rehearsal.faults", "faults can only be played on the emulator; set target: emulator")
