"""What the gateway serves, as data: addresses, the backend service behind each, and its Pods.

Invariant: names of resources in Envoy and of doors follow from what a frontend is, so they stay the same over restarts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from backend.emulator.serving.balance import Terms
from backend.emulator.serving.envoy_routes import Share
from backend.emulator.serving.regions import nearest_first


@dataclass(frozen=True, slots=True)
class Backend:
    """One ready Pod endpoint on loopback and where it is supposed to be."""

    cluster: str
    region: str
    host: str
    port: int
    pod: str
    terms: Terms = field(default_factory=Terms)


@dataclass(frozen=True, slots=True)
class Check:
    """How often endpoints are asked whether they are well; real seconds."""

    interval_s: float = 1
    timeout_s: float = 1
    healthy: int = 1
    """Good answers in a row that make a sick endpoint well."""
    unhealthy: int = 2
    """Bad answers in a row that make an endpoint sick."""


@dataclass(frozen=True, slots=True)
class Frontend:
    """One backend service behind one address of a Gateway.

    Without `health_path` the check is GET /, which model servers fail, as on Google's.
    """

    gateway: str
    region: str
    vip: str
    port: int
    timeout_s: float
    health_path: str | None
    backends: tuple[Backend, ...]
    objectives: tuple[tuple[str, str, int], ...] = ()
    """(cluster, name, priority) of the InferenceObjectives of the pools behind it."""
    check: Check = field(default_factory=Check)
    service: str = ""
    """What tells it apart from others behind the same address, NAMESPACE/NAME."""
    shares: tuple[Share, ...] = (Share(),)
    """Which requests it gets; none when empty."""
    namespace: str = "default"
    """Of the Gateway."""

    @property
    def listener(self) -> str:
        """Name of the address's resources in Envoy."""
        return f"vip-{self.vip.replace('.', '-').replace(':', '-')}-{self.port}"

    @property
    def name(self) -> str:
        """Name of this frontend's resources in Envoy."""
        service = self.service.replace("/", "_").replace(".", "-")
        return f"{self.listener}-{service}" if service else self.listener

    @property
    def key(self) -> str:
        """Stable name of the door, for keeping its port over restarts."""
        owner = self.gateway if self.namespace == "default" else f"{self.namespace}/{self.gateway}"
        return f"{owner}|{self.region}|{self.port}"

    @property
    def order(self) -> list[str]:
        """The regions of its backends, the nearest first."""
        return nearest_first(self.region, {backend.region for backend in self.backends})
