"""The row ``kubeconfig/CLUSTER``: a context for kubectl, as ``gcloud container clusters get-credentials`` writes it.

Invariants: the context has gcloud's name, so that both tools mean the same; other entries of the file, its comments and
its current context stay as they are; a file that cannot be read is never written; an entry is removed only while it
points at the cluster that is being deleted.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend import catalog
from backend.engine.resource import About, Change, Departure, Note, Resource, ResourceId, Step
from backend.errors import NotFound, UsageError
from backend.places import write_private
from backend.resources import marks
from backend.resources.compare import ABSENT
from backend.resources.keys import context
from backend.resources.kubeconfig_text import Json, Kubeconfig
from backend.resources.sharing import OWN, Teardown
from backend.spec import ClusterSpec, GatewaySpec

if TYPE_CHECKING:
    from backend.clients import Clients

CREDENTIALS: Json = {
    "exec": {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "gke-gcloud-auth-plugin",
        "installHint": "Install gke-gcloud-auth-plugin for use with kubectl by following "
        "https://cloud.google.com/kubernetes-engine/docs/how-to/cluster-access-for-kubectl#install_plugin",
        "provideClusterInfo": True,
    }
}
"""How kubectl gets a token, to the letter as gcloud writes it: no credentials are stored."""
SERVER, AUTHORITY = "server", "certificate-authority-data"
_WRITING = threading.Lock()
"""Clusters share the file, and a change of it is a read and a write."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the file has under the context's name."""

    points_at: Mapping[str, Any] | None
    """Content of the cluster entry that the context refers to; ``None`` when that is missing."""
    complete: bool
    """Whether the context's user exists too."""
    wanted: Mapping[str, str]
    """Server and authority of the cluster itself."""
    goes: bool
    """Whether a destroy deletes the cluster."""
    problem: UsageError | None = None
    """Why the file cannot be read."""

    @property
    def right(self) -> bool:
        """Whether the entry leads to the cluster."""
        return self.points_at is not None and {**self.points_at, **self.wanted} == dict(self.points_at)


class KubeconfigEntry(Resource[Entry]):
    """The context of one cluster in a kubeconfig."""

    def __init__(
        self, spec: GatewaySpec, cluster: ClusterSpec, clients: Clients, *, path: Path, teardown: Teardown = OWN
    ) -> None:
        self.id = ResourceId(f"kubeconfig/{cluster.name}")
        self.within = ResourceId(f"cluster/{cluster.name}")
        self._spec, self._cluster, self._clients = spec, cluster, clients
        self._path = path
        self._teardown = teardown
        self._name = context(clients.project, cluster)

    @property
    def about(self) -> About:
        """What can be said without asking any cloud."""
        cluster = self._cluster
        return About(
            title=f"Add {cluster.name} to {self._path}",
            region=cluster.region,
            command=f"KUBECONFIG={self._path} gcloud container clusters get-credentials {cluster.name} "
            f"--location={cluster.region} --project={self._clients.project}",
            permissions=("container.clusters.get",),
            departures=(
                Departure(
                    document="asks for credentials at a zone, and names contexts after it",
                    mcig="asks at the region and names the context gke_PROJECT_REGION_NAME",
                    because="a regional cluster is not found at a zone",
                ),
                Departure(
                    document="writes into the default kubeconfig and makes the cluster its current context",
                    mcig="writes into the file that the spec or KUBECONFIG names, else one of its own, and leaves a "
                    "current context that is set",
                    because="commands of other work would otherwise go to the new cluster",
                ),
            ),
            estimate_s=catalog.duration("kubeconfig"),
        )

    async def observe(self) -> Entry | None:
        """Read the file; ``None`` when it does not have the context."""
        try:
            cluster = await self._read_cluster()
        except NotFound:
            return None
        try:
            return await asyncio.to_thread(self._entry, cluster)
        except UsageError as problem:
            return Entry(None, False, {}, False, problem)

    def diff(self, observed: Entry | None) -> Step:
        """Add the context or lead it to the cluster; raises ``UsageError`` for a file that cannot be read."""
        if observed is None:
            return self.create()
        if observed.problem is not None:
            raise observed.problem
        seen = observed.points_at or {}
        changes = [Change(f, seen.get(f, ABSENT), to) for f, to in observed.wanted.items() if seen.get(f) != to]
        if not observed.complete:
            changes.append(Change("user", ABSENT, CREDENTIALS["exec"]["command"]))
        return self.update(*changes)

    def removal(self, observed: Entry | None) -> Step:
        """Take the context out when it still leads to a cluster that was made for this stack."""
        if observed is not None and observed.problem is not None:
            return self.no_op(f"left: {observed.problem.message}")
        if observed is not None and not observed.right:
            return self.no_op("points at another cluster: left")
        if observed is not None and not observed.goes:
            return self.no_op("the cluster stays, and so does its context")
        return super().removal(observed)

    async def apply(self, step: Step, note: Note) -> None:
        """Write cluster, context and user; what is right already is left alone."""
        wanted = _access(await self._read_cluster())

        def write(config: Kubeconfig) -> None:
            cluster = config.entry("clusters", self._name) or {}
            if {**cluster, **wanted} != cluster:
                config.put("clusters", self._name, wanted)
            known = config.entry("contexts", self._name) or {}
            if {**known, "cluster": self._name} != known or config.entry("users", known.get("user", "")) is None:
                config.put("contexts", self._name, known | {"cluster": self._name, "user": self._name})
                if config.entry("users", self._name) is None:
                    config.put("users", self._name, CREDENTIALS)
            if not config.current:
                config.set_current(self._name)

        await asyncio.to_thread(self._change, write)

    async def wait(self, note: Note) -> Entry:
        """Return the entry; it is there as soon as it was written."""
        seen = await self.observe()
        if seen is None or seen.problem is not None or not seen.right:
            raise UsageError(
                f"{self._path} does not lead to {self._cluster.name}",
                cause="something else writes the same file",
                fix="run the same command again",
            )
        return seen

    async def delete(self, note: Note) -> None:
        """Take cluster, context and user out, and the current context where it is this one."""
        seen = await self.observe()
        if seen is None or seen.problem is not None or not seen.right:
            return

        def write(config: Kubeconfig) -> None:
            for section in ("contexts", "clusters", "users"):
                config.remove(section, self._name)
            if config.current == self._name:
                config.set_current("")

        await asyncio.to_thread(self._change, write)

    def detail(self, observed: Entry) -> Mapping[str, Any]:
        """The file and the context's name."""
        return {"kubeconfig": str(self._path), "context": self._name}

    async def _read_cluster(self) -> Json:
        container, region, name = self._clients.container, self._cluster.region, self._cluster.name
        found = container.seen(region, name) or await container.cluster(region, name)
        if found is None or not found.get("endpoint"):
            raise NotFound(f"cluster {name} in {region} has no API server yet", fix="run `mcig plan`")
        return found

    def _entry(self, cluster: Json) -> Entry | None:
        config = self._load()
        found = config.entry("contexts", self._name)
        if found is None:
            return None
        return Entry(
            points_at=config.entry("clusters", found.get("cluster", "")),
            complete=config.entry("users", found.get("user", "")) is not None,
            wanted=_access(cluster),
            goes=marks.goes(self._spec, cluster.get("resourceLabels"), adopted_too=self._teardown.adopted),
        )

    def _change(self, write: Callable[[Kubeconfig], None]) -> None:
        with _WRITING:
            config = self._load()
            before = config.data
            write(config)
            if config.data != before:
                write_private(self._path.resolve(), config.text)

    def _load(self) -> Kubeconfig:
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            text = ""
        except (OSError, UnicodeDecodeError) as error:
            fix = "name another file: --set kubeconfig=FILE"
            raise UsageError(f"{self._path} cannot be read", cause=str(error), fix=fix) from error
        return Kubeconfig(text, path=str(self._path))


def _access(cluster: Json) -> dict[str, str]:
    authority = (cluster.get("masterAuth") or {}).get("clusterCaCertificate", "")
    return {AUTHORITY: authority, SERVER: f"https://{cluster['endpoint']}"}
