"""What the controllers need from the rest of the emulator, and nothing more.

The controllers see a world through these protocols, so that they can be run against the real world and against a few
lines of test double alike. Invariant: a controller never imports the HTTP server, a process or a socket.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from backend.emulator.kube.registry import Registry
    from backend.emulator.serving.envoy import Frontend

Object: TypeAlias = dict[str, Any]


class History(Protocol):
    """Those who watch a store."""

    def close(self) -> None: ...


class Store(Protocol):
    """The objects of one cluster; `resource` is "GROUP/PLURAL", with an empty group for the core ones ("/pods")."""

    @property
    def history(self) -> History: ...

    @property
    def registry(self) -> Registry: ...
    def get(self, resource: str, namespace: str | None, name: str) -> Object | None: ...
    def list(
        self, resource: str, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Sequence[Object]: ...
    def create(self, resource: str, obj: Object, *, manager: str) -> Object: ...
    def replace(self, resource: str, obj: Object, *, manager: str) -> Object: ...
    def set_status(
        self, resource: str, namespace: str | None, name: str, status: Object, *, manager: str
    ) -> Object: ...
    def annotate(
        self, resource: str, namespace: str | None, name: str, annotations: Mapping[str, str | None], *, manager: str
    ) -> Object: ...
    def delete(self, resource: str, namespace: str | None, name: str) -> object: ...
    def finalize_delete(self, resource: str, namespace: str | None, name: str) -> None: ...
    def add_finalizer(self, resource: str, namespace: str | None, name: str, finalizer: str) -> None: ...
    def drop_finalizer(self, resource: str, namespace: str | None, name: str, finalizer: str) -> None: ...


class Cluster(Protocol):
    """One running Kubernetes cluster."""

    @property
    def key(self) -> str:
        """ "LOCATION/NAME"."""

    @property
    def store(self) -> Store: ...


class Pace(Protocol):
    """How long the control plane takes."""

    def seconds(self, what: str, key: str) -> float:
        """Real seconds from the start of `what` on `key` to its end."""
        ...

    def played(self, seconds: float) -> float:
        """Real seconds that so many seconds of life take."""
        ...


class PodState(Protocol):
    """What the kubelet knows of the process behind a Pod."""

    @property
    def running(self) -> bool: ...
    @property
    def ready(self) -> bool: ...
    @property
    def exit_code(self) -> int | None: ...
    @property
    def message(self) -> str: ...


class Kubelet(Protocol):
    """Runs the processes behind Pods."""

    async def run(self, cluster_key: str, pod: Object, files: Mapping[str, Mapping[str, str]]) -> None: ...
    async def end(self, cluster_key: str, uid: str) -> None: ...
    def state(self, cluster_key: str, uid: str) -> PodState: ...
    def address(self, cluster_key: str, namespace: str, pod: str, port: int) -> tuple[str, int] | None: ...
    def pace(self, cluster_key: str, slowness: float) -> None: ...


class DataPlane(Protocol):
    """The gateway's proxy."""

    async def apply(self, frontends: Sequence[Frontend]) -> None: ...
    def healthy(self, vip: str) -> bool | None: ...


class World(Protocol):
    """The emulated cloud as the controllers see it."""

    @property
    def project(self) -> str: ...
    @property
    def project_number(self) -> str: ...
    @property
    def tables(self) -> dict[str, dict[str, Any]]: ...
    @property
    def kube(self) -> Mapping[str, Cluster]: ...
    @property
    def pace(self) -> Pace: ...
    @property
    def kubelet(self) -> Kubelet: ...
    @property
    def gateway(self) -> DataPlane: ...
    def now(self) -> float: ...
    def touch(self) -> None: ...
