"""The clusters, their nodes and the network that they share."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Network
from typing import Literal

from pydantic import Field, field_validator

from backend.spec.part import ClusterName, DnsLabel, Part, RegionName, ZoneName

SMALLEST_PROXY_PREFIX, LARGEST_PROXY_PREFIX = 26, 23
"""Proxy-only subnets are taken from /23 (64 proxies and more) down to /26."""


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


class Network(Part):
    """The VPC that all clusters share."""

    vpc: DnsLabel = "default"
    """Name of the VPC network."""
    subnetwork: DnsLabel | None = None
    """Name of the ordinary subnetwork in each region; only custom-mode VPCs need it."""


class DefaultPool(Part):
    """The small node pool for everything but model servers."""

    machine_type: str = "e2-standard-4"
    """Machine type of its nodes, such as ``e2-standard-4``."""
    disk_type: Literal["pd-standard", "pd-balanced", "pd-ssd", "hyperdisk-balanced"] = "pd-standard"
    """Type of the nodes' boot disks."""
    nodes_per_zone: int = Field(default=1, ge=1, le=15)
    """A regional cluster has this many nodes in each of its zones."""


class GpuPool(Part):
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


class ClusterSpec(Part):
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
