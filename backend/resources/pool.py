"""The rows ``crd/inferenceobjective@C``, ``pool@C``, ``objective@C`` and ``export@C``: one cluster's InferencePool.

Invariant: the export has a field manager of its own that owns one annotation, so that applying the pool again never
withdraws it, and a pool that somebody else made is exported without touching anything else of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backend import catalog
from backend.clients.kinds import CUSTOM_RESOURCE_DEFINITION, DEPLOYMENT, INFERENCE_POOL, POOL_IMPORT
from backend.engine.resource import About, Change, Departure, Note, Resource, ResourceId, Step
from backend.errors import NotFound, RateLimited, Unavailable
from backend.resources import manifests, manifests_crd
from backend.resources.chart import epp_name, pool_objects
from backend.resources.compare import ABSENT
from backend.resources.conditions import deployment_lacking, lacking
from backend.resources.objects import Key, KubeObjects, Seen, kubectl
from backend.resources.waiting import Watch
from backend.spec import ClusterSpec, GatewaySpec

if TYPE_CHECKING:
    from backend.clients import Clients
    from backend.clients.kube import Kube

EXPORT_MANAGER = "mcig-export"
IMPORT_TIMEOUT_S = 1200.0


def objective_crd(spec: GatewaySpec, cluster: ClusterSpec, clients: Clients) -> KubeObjects:
    """The row ``crd/inferenceobjective@CLUSTER``."""
    key = Key(CUSTOM_RESOURCE_DEFINITION, None, manifests_crd.NAME)

    def lacks(seen: Seen) -> str | None:
        status = seen.objects[key].get("status") or {}
        return lacking(status.get("conditions"), ("NamesAccepted", "Established"), None)

    return KubeObjects(
        f"crd/inferenceobjective@{cluster.name}",
        spec,
        cluster,
        clients,
        manager="mcig-crd",
        wanted=[manifests_crd.inference_objective_crd()],
        about=About(
            title=f"Teach {cluster.name} the kind InferenceObjective",
            region=cluster.region,
            command=_apply(clients, cluster, "mcig-crd", "inferenceobjective-crd.yaml"),
            permissions=(
                "container.customResourceDefinitions.get",
                "container.customResourceDefinitions.create",
                "container.customResourceDefinitions.update",
            ),
            departures=(
                Departure(
                    document="shows a ValidatingAdmissionPolicy in place of the definition",
                    mcig="applies the definition alone",
                    because="the policy has nothing to do with it, and with its placeholders it would refuse Pods",
                ),
            ),
            estimate_s=catalog.duration("crd"),
        ),
        lacks=lacks,
    )


def pool(spec: GatewaySpec, cluster: ClusterSpec, clients: Clients) -> KubeObjects:
    """The row ``pool@CLUSTER``: the inferencepool chart's objects."""
    picker = Key(DEPLOYMENT, spec.pool.namespace, epp_name(spec.pool.name))
    namespace = (f"secret/hf-token@{cluster.name}",) if spec.pool.namespace != "default" else ()
    return KubeObjects(
        f"pool@{cluster.name}",
        spec,
        cluster,
        clients,
        manager="mcig-pool",
        wanted=pool_objects(spec),
        about=About(
            title=f"Create the InferencePool and its endpoint picker on {cluster.name}",
            region=cluster.region,
            command=_helm(spec, cluster, clients),
            permissions=(
                "container.thirdPartyObjects.create",
                "container.thirdPartyObjects.update",
                "container.deployments.create",
                "container.services.create",
                "container.configMaps.create",
                "container.serviceAccounts.create",
                "container.secrets.create",
                "container.roles.create",
                "container.roleBindings.create",
                "container.clusterRoles.create",
                "container.clusterRoleBindings.create",
            ),
            departures=(
                Departure(
                    document="installs the chart with Helm, with monitoring on the second cluster only",
                    mcig=f"applies the objects that the chart renders, {'with' if spec.pool.monitoring else 'without'} "
                    "monitoring, the same on every cluster",
                    because="what differs between clusters is not seen in what they report, and no Helm is needed",
                ),
            ),
            estimate_s=catalog.duration("pool"),
        ),
        depends_on=(f"crd/inferenceobjective@{cluster.name}", *namespace),
        lacks=lambda seen: deployment_lacking(seen.objects[picker], "endpoint pickers"),
    )


def objective(spec: GatewaySpec, cluster: ClusterSpec, clients: Clients) -> KubeObjects:
    """The row ``objective@CLUSTER``."""
    return KubeObjects(
        f"objective@{cluster.name}",
        spec,
        cluster,
        clients,
        manager="mcig-objective",
        wanted=[manifests.objective(spec)],
        about=About(
            title=f"Create the InferenceObjective {spec.objective.name} on {cluster.name}",
            region=cluster.region,
            command=_apply(clients, cluster, "mcig-objective", "inference-objective.yaml"),
            permissions=("container.thirdPartyObjects.create", "container.thirdPartyObjects.update"),
            departures=(
                Departure(
                    document="refers to a pool called llama3-8b-instruct",
                    mcig=f"refers to {spec.pool.name}, the pool's name",
                    because="the endpoint picker silently passes over objectives of other pools",
                ),
            ),
            estimate_s=catalog.duration("objective"),
        ),
        depends_on=(f"pool@{cluster.name}",),
    )


@dataclass(frozen=True, slots=True)
class Exported:
    """How far an export has come."""

    by_mcig: bool
    """Whether the annotation was set by mcig."""
    imported: bool
    """Whether the config cluster has the import."""


class Export(Resource[Exported]):
    """The annotation that exports a cluster's InferencePool, and the import on the config cluster."""

    def __init__(self, spec: GatewaySpec, cluster: ClusterSpec, clients: Clients) -> None:
        self.id = ResourceId(f"export@{cluster.name}")
        self.within = ResourceId(f"cluster/{cluster.name}")
        self.depends_on = frozenset(
            ResourceId(name) for name in (f"pool@{cluster.name}", "fleet-ingress", f"membership/{cluster.name}")
        )
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
        return Exported(by_mcig=_owned(found), imported=imported)

    def diff(self, observed: Exported | None) -> Step:
        """Annotate the pool, or wait for the import."""
        if observed is None:
            return self.create()
        if not observed.imported:
            return self.update(Change("GCPInferencePoolImport", ABSENT, "present"))
        return self.no_op("" if observed.by_mcig else "adopted")

    def removal(self, observed: Exported | None) -> Step:
        """Withdraw what mcig exported."""
        if observed is not None and not observed.by_mcig:
            return self.no_op("not exported by mcig: left")
        return super().removal(observed)

    async def apply(self, step: Step, note: Note) -> None:
        """Set the annotation, and own nothing else."""
        if await self._annotated(self._cluster) is None:
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
        """Withdraw the annotation; return once the import is gone, or while another cluster still exports."""
        found = await self._annotated(self._cluster)
        if found is not None:
            await self._kube.apply(manifests.exported(self._spec, export=False), manager=EXPORT_MANAGER)
        watch = self._watch(note, f"withdrawing the import of {self._spec.pool.name}")

        async def withdrawn() -> bool | None:
            try:
                if not await self._imported():
                    return True
                others = await asyncio.gather(*(self._annotated(other) for other in self._others()))
            except (Unavailable, RateLimited) as error:
                watch.saw(f"no answer: {error.cause or error.message}")
                return None
            if any(others):
                return True
            watch.saw(f"waiting until GCPInferencePoolImport/{self._spec.pool.name} is gone")
            return None

        await watch.until(withdrawn)

    @property
    def _kube(self) -> Kube:
        return self._clients.kube(self._cluster.name)

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


def _owned(found: Mapping[str, Any]) -> bool:
    return any(entry.get("manager") == EXPORT_MANAGER for entry in found["metadata"].get("managedFields") or ())


def _apply(clients: Clients, cluster: ClusterSpec, manager: str, file: str) -> str:
    return f"{kubectl(clients.project, cluster)} apply --server-side --field-manager={manager} -f {file}"


def _helm(spec: GatewaySpec, cluster: ClusterSpec, clients: Clients) -> str:
    context = kubectl(clients.project, cluster).rpartition(" ")[2]
    values = [
        f"inferencePool.modelServers.matchLabels.app={spec.model.name}",
        "provider.name=gke",
        f"inferencePool.targetPorts[0].number={spec.pool.port}",
        f"inferencePool.targetPortNumber={spec.pool.port}",
        f"inferenceExtension.monitoring.gke.enabled={str(spec.pool.monitoring).lower()}",
    ]
    sets = " ".join(f"--set '{value}'" for value in values)
    return (
        f"helm install {spec.pool.name} --kube-context {context} -n {spec.pool.namespace} {sets} "
        f"--version {spec.pool.chart} oci://registry.k8s.io/gateway-api-inference-extension/charts/inferencepool"
    )
