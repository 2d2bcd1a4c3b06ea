"""What the serving parts need of the world around them; the emulator's `World` fits."""

from pathlib import Path
from typing import Protocol


class Vpc(Protocol):
    """The network between Pods and gateways."""

    def vpc_port(self) -> int:
        """Loopback port of the HTTP proxy through which VIPs can be reached."""
        ...


class KubeletWorld(Protocol):
    """What the kubelet needs of the world it works in."""

    @property
    def home(self) -> Path:
        """Private folder; scripts run below it."""
        ...

    @property
    def hub(self) -> str | None:
        """Where model servers find Hugging Face, a URL; None: their models are there already."""
        ...

    @property
    def gateway(self) -> Vpc:
        """Asked when a script starts."""
        ...

    def now(self) -> float:
        """Unix time of log lines."""
        ...

    def touch(self) -> None:
        """Called when a Pod's state changes."""
        ...


class GatewayWorld(Protocol):
    """What the data plane needs of the world it works in."""

    @property
    def home(self) -> Path:
        """Private folder; Envoy's files live below it."""
        ...

    def touch(self) -> None:
        """Called when the health of an address changes or Envoy has ended."""
        ...

    def seen(self) -> None:
        """Called when requests have gone through; a cloud that is used does not end itself."""
        ...
