"""One client for each API, over one connection.

Invariants: importing this loads neither Google's SDK nor the Kubernetes client; a client is made at its first use.
"""

from __future__ import annotations

import base64
from functools import cached_property
from typing import TYPE_CHECKING

from backend.clients.access import Access
from backend.clients.compute import Compute
from backend.clients.container import Container
from backend.clients.fleet import Fleet
from backend.clients.google import Google
from backend.clients.huggingface import HuggingFace
from backend.clients.iam import Iam
from backend.clients.machines import Machines
from backend.clients.projects import Projects
from backend.clients.quotas import Quotas
from backend.clients.services import Services
from backend.errors import NotFound, UsageError

if TYPE_CHECKING:
    from backend.clients.connect import Connection
    from backend.clients.kube import Kube
    from backend.spec import GatewaySpec


class Clients:
    """All clients that a stack needs; close it when done."""

    def __init__(
        self, connection: Connection, spec: GatewaySpec | None = None, *, google: Google | None = None
    ) -> None:
        self.connection = connection
        self.project = connection.project
        """Id of the project that everything is in."""
        self._google = google or Google(connection)
        self._regions = {} if spec is None else {cluster.name: cluster.region for cluster in spec.clusters}
        self._kubes: dict[str, Kube] = {}

    @cached_property
    def services(self) -> Services:
        """Which APIs are enabled."""
        return Services(self._google)

    @cached_property
    def compute(self) -> Compute:
        """Networks, subnetworks and the parts of load balancers."""
        return Compute(self._google)

    @cached_property
    def container(self) -> Container:
        """Clusters and node pools."""
        return Container(self._google)

    @cached_property
    def fleet(self) -> Fleet:
        """Memberships and fleet features."""
        return Fleet(self._google)

    @cached_property
    def projects(self) -> Projects:
        """The project itself and its IAM policy."""
        return Projects(self._google)

    @cached_property
    def iam(self) -> Iam:
        """Service accounts."""
        return Iam(self._google)

    @cached_property
    def access(self) -> Access:
        """What the caller may do, billing, organisation policies."""
        return Access(self._google)

    @cached_property
    def quotas(self) -> Quotas:
        """Quotas of Compute Engine, and requests for more."""
        return Quotas(self._google)

    @cached_property
    def machines(self) -> Machines:
        """Machine types by zone, and advice on capacity."""
        return Machines(self._google)

    @cached_property
    def huggingface(self) -> HuggingFace:
        """The hub that models come from."""
        return HuggingFace(self.connection)

    @cached_property
    def brief(self) -> Clients:
        """Google's APIs for somebody who would rather have no answer than wait long for one; closed with these."""
        return Clients(self.connection, google=self._google.brief())

    def kube(self, cluster: str) -> Kube:
        """The Kubernetes API of a cluster of the spec; its calls raise ``NotFound`` until the cluster has one."""
        if cluster not in self._regions:
            raise UsageError(f"{cluster} is none of the stack's clusters: {', '.join(self._regions)}")
        if cluster not in self._kubes:
            from backend.clients.kube import Kube

            async def locate(anew: bool) -> tuple[str, bytes]:
                return await self._locate(cluster, anew=anew)

            self._kubes[cluster] = Kube.lazily(
                locate,
                self.token,
                cluster=cluster,
                unreachable_fix=self.connection.unreachable_fix,
                patience_s=self.connection.patience_s,
            )
        return self._kubes[cluster]

    def know(self, spec: GatewaySpec) -> None:
        """Serve the clusters of another specification, too; those that are known already keep their region."""
        self._regions = {cluster.name: cluster.region for cluster in spec.clusters} | self._regions

    async def forget(self, cluster: str) -> None:
        """Drop what is known of a cluster's API server, because the cluster is gone."""
        self.container.forget(self._regions[cluster], cluster)
        kube = self._kubes.pop(cluster, None)
        if kube is not None:
            await kube.close()

    async def token(self) -> str:
        """The current bearer token, refreshed when it is due."""
        return await self._google.token()

    async def close(self) -> None:
        """Give all connections and threads back."""
        while self._kubes:
            _, kube = self._kubes.popitem()
            await kube.close()
        if "huggingface" in self.__dict__:
            await self.huggingface.close()
        await self._google.close()

    async def _locate(self, name: str, *, anew: bool) -> tuple[str, bytes]:
        region = self._regions[name]
        known = None if anew else self.container.seen(region, name)
        cluster = known or await self.container.cluster(region, name)
        endpoint = (cluster or {}).get("endpoint")
        authority = (cluster or {}).get("masterAuth", {}).get("clusterCaCertificate")
        if cluster is None or not endpoint or not authority or cluster.get("status") == "PROVISIONING":
            state = "does not exist" if cluster is None else f"is {cluster.get('status', 'not ready')}"
            raise NotFound(
                f"the API server of cluster {name} in {region} cannot be asked: the cluster {state}",
                cause="it is not made yet, or was deleted",
                fix="mcig plan shows what is there; mcig apply makes what is missing",
            )
        return f"https://{endpoint}", base64.b64decode(authority)
