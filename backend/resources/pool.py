"""The rows ``crd/inferenceobjective@C``, ``pool@C`` and ``objective@C``: one cluster's InferencePool.

Invariant: a pool that somebody else made, as Helm does, is used as it is: nothing of the chart's is added to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from backend import catalog
from backend.clients.kinds import CUSTOM_RESOURCE_DEFINITION, DEPLOYMENT, INFERENCE_POOL
from backend.engine.resource import About, Departure
from backend.resources import manifests
from backend.resources.conditions import deployment_lacking, lacking
from backend.resources.keys import Key, kubectl
from backend.resources.manifests import crd
from backend.resources.manifests.chart import PICKER_METRIC, epp_name, pool_objects
from backend.resources.objects import KubeObjects, Seen
from backend.spec import ClusterSpec, GatewaySpec

if TYPE_CHECKING:
    from backend.clients import Clients


def objective_crd(spec: GatewaySpec, cluster: ClusterSpec, clients: Clients) -> KubeObjects:
    """The row ``crd/inferenceobjective@CLUSTER``."""
    key = Key(CUSTOM_RESOURCE_DEFINITION, None, crd.NAME)

    def lacks(seen: Seen) -> str | None:
        status = seen.objects[key].get("status") or {}
        return lacking(status.get("conditions"), ("NamesAccepted", "Established"), None)

    return KubeObjects(
        f"crd/inferenceobjective@{cluster.name}",
        spec,
        cluster,
        clients,
        manager="mcig-crd",
        wanted=[crd.inference_objective_crd()],
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
                Departure(
                    document="applies definition and model server from web addresses of release v1.1.0",
                    mcig="sends objects of its own that say the same",
                    because="later releases dropped both files, and what an address serves can change",
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
                *_metric_departure(spec),
            ),
            estimate_s=catalog.duration("pool"),
        ),
        depends_on=(f"crd/inferenceobjective@{cluster.name}", *namespace),
        lacks=lambda seen: deployment_lacking(seen.objects.get(picker), "endpoint pickers"),
        anchor=Key(INFERENCE_POOL, spec.pool.namespace, spec.pool.name),
    )


def _metric_departure(spec: GatewaySpec) -> Iterator[Departure]:
    if spec.model.kv_cache_metric != PICKER_METRIC:
        yield Departure(
            document="leaves the endpoint picker's metric at its default",
            mcig=f"sets --kv-cache-usage-percentage-metric {spec.model.kv_cache_metric}",
            because=f"the default is {PICKER_METRIC}, which {spec.model.image} may not report any more",
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


def _apply(clients: Clients, cluster: ClusterSpec, manager: str, file: str) -> str:
    return f"{kubectl(clients.project, cluster)} apply --server-side --field-manager={manager} -f {file}"


def _helm(spec: GatewaySpec, cluster: ClusterSpec, clients: Clients) -> str:
    context = kubectl(clients.project, cluster).rpartition(" ")[2]
    metric = spec.model.kv_cache_metric
    flags = (("v", "1"), ("kv-cache-usage-percentage-metric", metric)) if metric != PICKER_METRIC else ()
    values = [
        "provider.name=gke",
        f"inferencePool.targetPorts[0].number={spec.pool.port}",
        f"inferencePool.targetPortNumber={spec.pool.port}",
        f"inferenceExtension.monitoring.gke.enabled={str(spec.pool.monitoring).lower()}",
        *(
            f"inferenceExtension.flags[{number}].{part}={value}"
            for number, flag in enumerate(flags)
            for part, value in zip(("name", "value"), flag, strict=True)
        ),
    ]
    sets = " ".join(f"--set '{value}'" for value in values)
    label = f"--set-string 'inferencePool.modelServers.matchLabels.app={spec.model.name}'"
    return (
        f"helm install {spec.pool.name} --kube-context {context} -n {spec.pool.namespace} {label} {sets} "
        f"--version {spec.pool.chart} oci://registry.k8s.io/gateway-api-inference-extension/charts/inferencepool"
    )
