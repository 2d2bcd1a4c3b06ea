"""The row ``export@CLUSTER``: one annotation that makes a cluster's InferencePool known to the fleet.

Invariant: the export has a field manager of its own that owns this annotation and nothing else, so that applying the
pool again never withdraws it, and a pool that somebody else made is exported without touching anything else of it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backend import catalog
from backend.clients.kinds import INFERENCE_POOL, NAMESPACE, POOL_IMPORT
from backend.engine.resource import About, Change, Departure, Note, Resource, ResourceId, Step
from backend.errors import CloudError, NotFound, Unavailable
from backend.resources import leftovers, manifests, marks
from backend.resources.compare import ABSENT
from backend.resources.keys import kubectl
from backend.resources.manifests import labels_of
from backend.resources.objects import KubeObjects
from backend.resources.waiting import Watch
from backend.spec import ClusterSpec, GatewaySpec

if TYPE_CHECKING:
    from backend.clients import Clients
    from backend.clients.kube import Kube

EXPORT_MANAGER = "mcig-export"
IMPORT_TIMEOUT_S = 1200.0


@dataclass(frozen=True, slots=True)
class Exported:
    """How far an export has come."""

    ours: bool
    """Whether the annotation was set for this stack."""
    imported: bool
    """Whether the config cluster has the import."""
    other: str = ""
    """The other stack that the pool was made for; empty when there is none."""


class Export(Resource[Exported]):
    """The annotation that exports a cluster's InferencePool, and the import on the config cluster."""

    outside: str = "its network endpoint groups"

    def __init__(self, spec: GatewaySpec, cluster: ClusterSpec, clients: Clients) -> None:
        self.id = ResourceId(f"export@{cluster.name}")
        self.within = ResourceId(f"cluster/{cluster.name}")
        needs = [f"pool@{cluster.name}", "fleet-ingress", f"membership/{cluster.name}"]
        needs += [f"namespace@{spec.config_cluster}"] if _needs_namespace(spec) else []
        self.depends_on = frozenset(map(ResourceId, needs))
        self._spec, self._cluster, self._clients = spec, cluster, clients

    @property
    def about(self) -> About:
        """What can be said without asking any cloud."""
        spec = self._spec
        return About(
            title=f"Export the InferencePool of {self._cluster.name}",
            region=self._cluster.region,
            command=f"{kubectl(self._clients.project, self._cluster)} annotate inferencepool {spec.pool.name} "
            f'-n {spec.pool.namespace} {manifests.EXPORT_ANNOTATION}="{manifests.EXPORTED}"',
            permissions=("container.thirdPartyObjects.get", "container.thirdPartyObjects.update"),
            departures=(
                Departure(
                    document="goes on to the gateway at once",
                    mcig=f"waits for the GCPInferencePoolImport on {spec.config_cluster}",
                    because="it appears minutes later, and a route to an import that does not exist is refused",
                ),
            ),
            estimate_s=catalog.duration("export"),
        )

    async def observe(self) -> Exported | None:
        """Look at the annotation and the import; ``None`` when the pool is not exported."""
        try:
            found, imported = await asyncio.gather(self._annotated(self._cluster), self._imported())
        except NotFound:
            return None
        if found is None:
            return None
        return Exported(
            ours=self._owned(found), imported=imported, other=marks.other_stack(self._spec, labels_of(found))
        )

    def diff(self, observed: Exported | None) -> Step:
        """Annotate the pool, or wait for the import."""
        if observed is None:
            return self.create()
        if not observed.imported:
            return self.update(Change("GCPInferencePoolImport", ABSENT, "present"))
        adopted = f"adopted from the stack {observed.other}" if observed.other else "adopted"
        return self.no_op("" if observed.ours else adopted)

    def removal(self, observed: Exported | None) -> Step:
        """Withdraw what was exported for this stack."""
        if observed is not None and not observed.ours:
            return self.no_op(
                f"exported for the stack {observed.other}: left" if observed.other else "not exported by mcig: left"
            )
        return super().removal(observed)

    async def apply(self, step: Step, note: Note) -> None:
        """Set the annotation, and own nothing else."""
        if await self._annotated(self._cluster) is None:
            pool = await self._kube.get(INFERENCE_POOL, self._spec.pool.namespace, self._spec.pool.name)
            if pool is not None and (other := marks.other_stack(self._spec, labels_of(pool))):
                raise marks.refusal(other, f"InferencePool {self._spec.pool.name} on {self._cluster.name}")
            await self._kube.apply(manifests.exported(self._spec), manager=EXPORT_MANAGER)

    async def wait(self, note: Note) -> Exported:
        """Return once the config cluster has the import."""
        watch = self._watch(note, f"the import of {self._spec.pool.name}")

        async def imported() -> Exported | None:
            seen = await self.observe()
            if seen is not None and seen.imported:
                return seen
            watch.saw(f"waiting for GCPInferencePoolImport/{self._spec.pool.name} on {self._spec.config_cluster}")
            return None

        return await watch.until(imported)

    async def delete(self, note: Note) -> None:
        """Withdraw the annotation; return once import and endpoint groups are gone.

        An import that another cluster still exports stays, and is not waited for.
        """
        if await self._annotated(self._cluster) is not None:
            await self._kube.apply(manifests.exported(self._spec, export=False), manager=EXPORT_MANAGER)
        groups = await self._group_tie()
        watch = self._watch(note, f"withdrawing the import of {self._spec.pool.name}")

        async def withdrawn() -> bool | None:
            if not await self._imported():
                return True
            others = await asyncio.gather(*(self._annotated(other) for other in self._others()))
            if any(others):
                return True
            watch.saw(f"waiting until GCPInferencePoolImport/{self._spec.pool.name} is gone")
            return None

        try:
            await watch.until(withdrawn, patient=False)
        except Unavailable as error:
            note(f"the import is not waited for: {error.message}")
        if groups is not None:
            await leftovers.until_gone(watch, "network endpoint groups", lambda: self._groups_left(groups))

    async def _group_tie(self) -> Mapping[str, str] | None:
        """What GKE writes into the description of this pool's endpoint groups; ``None`` when it cannot be known."""
        try:
            system = await self._kube.get(NAMESPACE, None, "kube-system")
        except CloudError:
            return None
        if system is None:
            return None
        pool = self._spec.pool
        return {
            "cluster-uid": system["metadata"]["uid"],
            "namespace": pool.namespace,
            "service-name": pool.name,
        }

    async def _groups_left(self, tie: Mapping[str, str]) -> set[str]:
        return {str(group["name"]) for group in await self._clients.compute.endpoint_groups() if _tied(group, tie)}

    @property
    def _kube(self) -> Kube:
        return self._clients.kube(self._cluster.name)

    def _owned(self, pool: Mapping[str, Any]) -> bool:
        entries = pool["metadata"].get("managedFields") or ()
        by_mcig = any(entry.get("manager") == EXPORT_MANAGER for entry in entries)
        return by_mcig and not marks.other_stack(self._spec, labels_of(pool))

    def _others(self) -> list[ClusterSpec]:
        return [other for other in self._spec.targets if other.name != self._cluster.name]

    async def _annotated(self, cluster: ClusterSpec) -> Mapping[str, Any] | None:
        """The pool of a cluster if it is exported."""
        try:
            pools = await self._clients.kube(cluster.name).list(INFERENCE_POOL, self._spec.pool.namespace)
        except NotFound:
            return None
        for found in pools:
            annotations = found["metadata"].get("annotations") or {}
            exported = annotations.get(manifests.EXPORT_ANNOTATION, "").lower() == manifests.EXPORTED.lower()
            if found["metadata"]["name"] == self._spec.pool.name and exported:
                return found
        return None

    async def _imported(self) -> bool:
        try:
            imports = await self._clients.kube(self._spec.config_cluster).list(POOL_IMPORT, self._spec.pool.namespace)
        except NotFound:
            return False
        return any(found["metadata"]["name"] == self._spec.pool.name for found in imports)

    def _watch(self, note: Note, what: str) -> Watch:
        config = kubectl(self._clients.project, self._spec.config)
        look = f"{config} get gcpinferencepoolimports.networking.gke.io -n {self._spec.pool.namespace}"
        return Watch(note, what, timeout_s=IMPORT_TIMEOUT_S, look=look)


def config_namespace(spec: GatewaySpec, clients: Clients) -> list[KubeObjects]:
    """The row ``namespace@CONFIG``, where the gateway and the imports live; none where a Secret's row makes it."""
    if not _needs_namespace(spec):
        return []
    name, config = spec.pool.namespace, spec.config
    row = KubeObjects(
        f"namespace@{config.name}",
        spec,
        config,
        clients,
        manager="mcig-namespace",
        wanted=[manifests.namespace(spec)],
        about=About(
            title=f"Create the namespace {name} on {config.name}",
            region=config.region,
            command=f"{kubectl(clients.project, config)} create namespace {name}",
            permissions=("container.namespaces.get", "container.namespaces.create"),
            estimate_s=catalog.duration("secret"),
        ),
    )
    return [row]


def _needs_namespace(spec: GatewaySpec) -> bool:
    return spec.pool.namespace != "default" and not spec.config.is_target


def _tied(group: Mapping[str, Any], tie: Mapping[str, str]) -> bool:
    try:
        told = json.loads(group.get("description") or "{}")
    except ValueError:
        return False
    return isinstance(told, dict) and {**told, **tie} == told
