"""One emulated GKE cluster's Kubernetes side: its API server on a loopback port, its certificates and its objects.

Invariant: the objects are plain data that survive a restart, as do the port and the authority if they are given back;
values of Secrets never leave the process, a dump has keyed digests in their place.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from aiohttp import web

from backend.emulator.kube import managed
from backend.emulator.kube.api import ApiServer
from backend.emulator.kube.managed import ClusterFeatures
from backend.emulator.kube.objects import Object
from backend.emulator.kube.pki import Authority
from backend.emulator.kube.registry import CRDS
from backend.emulator.kube.store import NAMESPACES, Store

_DIGEST = b"hmac-sha256:"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_ADDON = "kube-addon-manager"
_SYSTEM = "kube-controller-manager"


class WorldLike(Protocol):
    """What a cluster needs of the world it is in; a ``kubelet`` attribute is used where there is one."""

    token: str

    def seen(self) -> None:
        """A request arrived: the emulator is in use."""
        ...

    def now(self) -> float:
        """Unix time in seconds."""
        ...

    def touch(self) -> None:
        """Something changed."""
        ...


class KubeCluster:
    """A cluster's API server and objects; ``key`` is ``LOCATION/NAME``, ``version`` such as 1.34.1-gke.1127000.

    ``allows`` says whether the caller has an IAM permission, ``unreported`` which metrics no process reports,
    ``down`` whether nobody reaches the cluster.
    """

    def __init__(
        self,
        world: WorldLike,
        *,
        key: str,
        version: str,
        features: ClusterFeatures,
        ca: Authority,
        allows: Callable[[str], bool] = lambda _permission: True,
        unreported: Callable[[], tuple[str, ...]] = tuple,
        down: Callable[[], bool] = lambda: False,
    ) -> None:
        self.key = key
        self.version = version
        self.features = features
        self.store = Store(now=world.now, touch=world.touch)
        self._world = world
        self._ca = ca
        self._allows = allows
        self.unreported = unreported
        """Names of metrics that no process behind a Pod reports."""
        self.down = down
        """Whether nobody reaches the cluster."""
        self._runner: web.AppRunner | None = None
        self._port = 0
        self._seed()

    @property
    def ca_pem(self) -> bytes:
        """The certificate that clients trust."""
        return self._ca.cert_pem

    @property
    def endpoint(self) -> str:
        """``127.0.0.1:PORT``, once started."""
        return f"127.0.0.1:{self._port}"

    @property
    def port(self) -> int:
        """The TCP port, 0 before the first start."""
        return self._port

    @property
    def token(self) -> str:
        """The bearer token that is let in."""
        return self._world.token

    def seen(self) -> None:
        """A request arrived."""
        self._world.seen()

    def denies(self, permission: str) -> bool:
        """Whether an IAM permission is taken away from the caller."""
        return not self._allows(permission)

    @property
    def kubelet(self) -> Any:
        """Who runs the Pods' processes, or None."""
        return getattr(self._world, "kubelet", None)

    async def start(self, port: int = 0) -> None:
        """Serves on 127.0.0.1, on a free port when 0; raises OSError when the port is taken."""
        app = web.Application(client_max_size=4 * 1024 * 1024)
        server = ApiServer(self)
        app.router.add_route("*", "/{path:.*}", server.handle)
        app.on_cleanup.append(lambda _app: server.close())
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
        await runner.setup()
        context: ssl.SSLContext = self._ca.server_context()
        site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=context)
        try:
            await site.start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self._port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Ends the watches and the server; the objects stay."""
        self.store.history.close()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def dump(self) -> dict[str, Any]:
        """The objects, JSON-able, with a keyed digest in place of every Secret value."""
        data = self.store.dump()
        objects = data["objects"]
        if "/secrets" in objects:
            data["objects"] = {**objects, "/secrets": [self._digested(secret) for secret in objects["/secrets"]]}
        return data

    def load(self, data: Mapping[str, Any]) -> None:
        """Puts dumped objects in place of all that is here."""
        self.store.load(data)

    def install(self, features: ClusterFeatures, version: str = "") -> None:
        """Installs the CustomResourceDefinitions of features that were turned on after the cluster was created.

        With another ``version`` the control plane is upgraded to it, and its definitions take the forms of that one.
        """
        self.features, self.version = features, version or self.version
        for crd in managed.definitions(features, self.version):
            live = self.store.get(CRDS, None, crd["metadata"]["name"])
            if live is None:
                self.store.create(CRDS, crd, manager=_ADDON)
            elif version:
                self.store.replace(CRDS, {**live, "spec": crd["spec"]}, manager=_ADDON)

    def _seed(self) -> None:
        for name in NAMESPACES:
            self.store.create("/namespaces", {"metadata": {"name": name}}, manager="kube-apiserver")
        for name in NAMESPACES:
            account = {"metadata": {"name": "default", "namespace": name}}
            self.store.create("/serviceaccounts", account, manager=_SYSTEM)
        service = {
            "metadata": {
                "name": "kubernetes",
                "namespace": "default",
                "labels": {"component": "apiserver", "provider": "kubernetes"},
            },
            "spec": {"ports": [{"name": "https", "port": 443, "targetPort": 443}]},
        }
        self.store.create("/services", service, manager="kube-apiserver")
        self.install(self.features)

    def _digested(self, secret: Object) -> Object:
        found: Object = {**secret}
        if secret.get("data"):
            found["data"] = {name: self._digest(value) for name, value in secret["data"].items()}
        annotations = secret["metadata"].get("annotations") or {}
        if _LAST_APPLIED in annotations:
            kept = {name: text for name, text in annotations.items() if name != _LAST_APPLIED}
            found["metadata"] = {**secret["metadata"], "annotations": kept}
        return found

    def _digest(self, value: str) -> str:
        content = base64.b64decode(value or "")
        if content.startswith(_DIGEST):
            return value
        digest = hmac.new(self.token.encode(), content, hashlib.sha256).hexdigest()
        return base64.b64encode(_DIGEST + digest.encode()).decode()
