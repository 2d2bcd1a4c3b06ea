"""The cluster as its API server and what it passes requests on to see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from backend.emulator.kube.store import Store


class Serving(Protocol):
    """What the API server needs to know of its cluster."""

    key: str
    version: str
    store: Store
    unreported: Callable[[], tuple[str, ...]]
    """Names of metrics that no process behind a Pod reports."""
    down: Callable[[], bool]
    """Whether nobody reaches the cluster: connections break off without an answer."""

    @property
    def token(self) -> str:
        """The bearer token that is let in."""
        ...

    def seen(self) -> None:
        """A request arrived."""
        ...

    def denies(self, permission: str) -> bool:
        """Whether an IAM permission such as ``container.pods.exec`` is taken away from the caller."""
        ...

    @property
    def kubelet(self) -> Any:
        """Who runs the Pods' processes, or None."""
        ...
