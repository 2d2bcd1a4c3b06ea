"""The rows ``node-pool/CLUSTER/POOL``: the GPU machines that run the model servers.

The size is asked for at creation only: Google does not tell a pool's present size, and autoscalers change it.
"""

from __future__ import annotations

from collections.abc import Iterator

from backend import catalog
from backend.clients import Clients
from backend.clients.google import Json
from backend.clients.kinds import NODE
from backend.engine.resource import About, Change, Departure, Note, Resource, ResourceId, Step
from backend.errors import AlreadyExists, InvalidRequest, NotFound, OperationFailed, ServiceDisabled
from backend.resources import cluster as cluster_row
from backend.resources import marks
from backend.resources.gke import POOL_DEFAULTS, SCOPES, WORKING, dig, follow
from backend.resources.waiting import Watch
from backend.spec import ClusterSpec, GatewaySpec, GpuPool, Provisioning

TIMEOUT_S = 60 * 60.0
POOL_LABEL = "cloud.google.com/gke-nodepool"
"""Label that GKE gives nodes: the name of their pool."""
STATUS = "status"

_DEPARTURES = (
    Departure(
        document="asks for the pool at the location of a zone",
        mcig="asks at the cluster's region and names the zones with --node-locations",
        because="a regional cluster is not found at a zone: 404",
    ),
)


def resource_id(cluster: ClusterSpec) -> ResourceId:
    """Id of the row of a cluster's GPU pool."""
    return ResourceId(f"node-pool/{cluster.name}/{cluster.serving_pool.name}")


def body(spec: GatewaySpec, pool: GpuPool) -> Json:
    """The node pool as Kubernetes Engine is asked for it."""
    config: Json = {
        "machineType": pool.machine_type,
        "oauthScopes": SCOPES,
        "accelerators": [
            {
                "acceleratorCount": str(pool.accelerators_per_node),
                "acceleratorType": pool.accelerator,
                "gpuDriverInstallationConfig": {"gpuDriverVersion": "LATEST"},
            }
        ],
        "resourceLabels": marks.labels(spec),
    }
    wanted: Json = {
        "name": pool.name,
        "initialNodeCount": pool.nodes,
        "locations": list(pool.zones),
        **POOL_DEFAULTS,
        "config": config,
    }
    match pool.provisioning:
        case Provisioning.SPOT:
            config["spot"] = True
        case Provisioning.FLEX_START:
            config["flexStart"] = True
            config["reservationAffinity"] = {"consumeReservationType": "NO_RESERVATION"}
            wanted |= {
                "initialNodeCount": 0,
                "management": {"autoRepair": False, "autoUpgrade": True},
                "autoscaling": {
                    "enabled": True,
                    "totalMaxNodeCount": pool.nodes * len(pool.zones),
                    "locationPolicy": "ANY",
                },
            }
        case Provisioning.RESERVATION:
            config["reservationAffinity"] = {
                "consumeReservationType": "SPECIFIC_RESERVATION",
                "key": "compute.googleapis.com/reservation-name",
                "values": [pool.reservation],
            }
        case Provisioning.ON_DEMAND:
            pass
    return wanted


def flags(pool: GpuPool) -> str:
    """The part of gcloud's command line that says how nodes are bought, and how many."""
    match pool.provisioning:
        case Provisioning.SPOT:
            return f"--num-nodes={pool.nodes} --spot"
        case Provisioning.FLEX_START:
            return (
                "--num-nodes=0 --flex-start --enable-autoscaling --total-min-nodes=0 "
                f"--total-max-nodes={pool.nodes * len(pool.zones)} --location-policy=ANY --reservation-affinity=none "
                "--no-enable-autorepair"
            )
        case Provisioning.RESERVATION:
            return f"--num-nodes={pool.nodes} --reservation-affinity=specific --reservation={pool.reservation}"
        case Provisioning.ON_DEMAND:
            return f"--num-nodes={pool.nodes}"


def differences(pool: GpuPool, seen: Json) -> Iterator[Change]:
    """Where an existing pool is another than is wanted; none of these can be changed in place."""
    accelerator: Json = next(iter(dig(seen, "config.accelerators") or ()), {})
    pairs = {
        "config.machineType": (dig(seen, "config.machineType"), pool.machine_type),
        "config.accelerators.acceleratorType": (accelerator.get("acceleratorType"), pool.accelerator),
        "config.accelerators.acceleratorCount": (
            int(accelerator.get("acceleratorCount", 0)),
            pool.accelerators_per_node,
        ),
        "config.spot": (bool(dig(seen, "config.spot")), pool.provisioning is Provisioning.SPOT),
        "locations": (sorted(seen.get("locations", ())), sorted(pool.zones)),
    }
    for path, (before, after) in pairs.items():
        if before != after:
            yield Change(path, before, after)


class NodePool(Resource[Json]):
    """One cluster's GPU node pool."""

    def __init__(self, spec: GatewaySpec, cluster: ClusterSpec, clients: Clients) -> None:
        self.id = resource_id(cluster)
        self.within = cluster_row.resource_id(cluster.name)
        self._spec = spec
        self._cluster = cluster.name
        self._region = cluster.region
        self._pool = cluster.serving_pool
        self._clients = clients
        self._operation: str | None = None

    @property
    def about(self) -> About:
        """What can be said without asking any cloud."""
        pool = self._pool
        nodes = pool.nodes * len(pool.zones)
        machine = catalog.price(pool.machine_type, self._region, pool.provisioning) or 0.0
        return About(
            title=f"Create node pool {pool.name} of {self._cluster}: {nodes} x {pool.machine_type}",
            region=self._region,
            command=(
                f"gcloud container node-pools create {pool.name} --cluster={self._cluster} --location={self._region} "
                f"--project={self._clients.project} --node-locations={','.join(pool.zones)} "
                f"--machine-type={pool.machine_type} --accelerator=type={pool.accelerator},"
                f"count={pool.accelerators_per_node},gpu-driver-version=latest {flags(pool)} "
                f"--labels={marks.flag(self._spec)}"
            ),
            permissions=(
                "container.clusters.get",
                "container.clusters.update",
                "container.operations.get",
                "iam.serviceAccounts.actAs",
            ),
            departures=_DEPARTURES,
            estimate_s=catalog.duration("node-pool"),
            usd_per_hour=machine * nodes,
        )

    async def observe(self) -> Json | None:
        """Give the node pool in Google's JSON form."""
        try:
            return await self._clients.container.node_pool(self._region, self._cluster, self._pool.name)
        except ServiceDisabled:
            return None

    def diff(self, observed: Json | None) -> Step:
        """Create it, go on waiting for it, or say where it differs."""
        if observed is None:
            return self.create()
        status = observed.get("status", "")
        if status == "PROVISIONING":
            return self.create("already under way")
        if status == "STOPPING":
            return self.create("the old one is being deleted")
        changes = list(differences(self._pool, observed))
        if status not in WORKING:
            changes.insert(0, Change(STATUS, status, "RUNNING"))
        return self.update(*changes, reason="" if self._ours(observed) else "adopted")

    def removal(self, observed: Json | None) -> Step:
        """Delete it when it was made for this stack."""
        if observed is not None and not self._ours(observed):
            return self.no_op("not made by mcig: left")
        return super().removal(observed)

    async def apply(self, step: Step, note: Note) -> None:
        """Ask for the pool as soon as the cluster takes requests."""
        watch = self._watch(note, f"creating node pool {self._pool.name}")
        seen = await self.observe()
        if seen is not None and seen.get("status") == "STOPPING":
            await self._gone(watch)
            seen = None
        if seen is not None:
            self._refuse_other(seen)
            return
        wanted = body(self._spec, self._pool)
        try:
            operation = await watch.when_free(
                lambda: self._clients.container.create_node_pool(self._region, self._cluster, wanted)
            )
        except AlreadyExists:
            return
        self._operation = operation["name"]
        watch.saw(f"creating node pool {self._pool.name}", operation=operation["name"])

    async def wait(self, note: Note) -> Json:
        """Return once the pool runs and its nodes are ready; a flex-start pool has none until Pods ask for them."""
        doing = f"creating node pool {self._pool.name} of {self._cluster}"
        watch = self._watch(note, doing)
        if self._operation is not None:
            await follow(self._clients, watch, self._region, self._operation, doing=doing, places=self._pool.zones)
            self._operation = None

        async def runs() -> Json | None:
            seen = await self.observe()
            status = "absent" if seen is None else seen.get("status", "")
            if seen is None or status in {"ERROR", "STOPPING"}:
                raise OperationFailed(
                    f"{doing}: the pool is {status}",
                    cause="Google could not make the machines, or somebody deleted the pool",
                    fix=(
                        f"gcloud container node-pools delete {self._pool.name} --cluster={self._cluster} "
                        f"--location={self._region} --project={self._clients.project}, then `mcig apply` again"
                    ),
                )
            if status in WORKING:
                return seen
            watch.saw(f"the pool is {status}")
            return None

        seen = await watch.until(runs)
        if self._pool.provisioning is not Provisioning.FLEX_START:
            await watch.until(lambda: self._nodes_ready(watch, int(seen.get("initialNodeCount", 0))))
        return seen

    async def delete(self, note: Note) -> None:
        """Delete it and return once it is gone."""
        doing = f"deleting node pool {self._pool.name} of {self._cluster}"
        watch = self._watch(note, doing)
        seen = await self.observe()
        if seen is None:
            return
        if seen.get("status") != "STOPPING":
            try:
                operation = await watch.when_free(
                    lambda: self._clients.container.delete_node_pool(self._region, self._cluster, self._pool.name)
                )
            except NotFound:
                return
            watch.saw(doing, operation=operation["name"])
            await follow(self._clients, watch, self._region, operation["name"], doing=doing)
        await self._gone(watch)

    def _ours(self, observed: Json) -> bool:
        return marks.ours(self._spec, dig(observed, "config.resourceLabels"))

    def _refuse_other(self, seen: Json) -> None:
        changes = list(differences(self._pool, seen))
        if changes:
            told = "; ".join(f"{change.field} is {change.before}, not {change.after}" for change in changes)
            raise InvalidRequest(
                f"node pool {self._pool.name} of {self._cluster} is another than is wanted: {told}",
                cause="the machines of a pool cannot be changed",
                fix="give gpu_pool another name to have a new pool beside it, or change the spec to what is there",
            )

    async def _nodes_ready(self, watch: Watch, nodes_per_zone: int) -> bool | None:
        wanted = min(self._pool.nodes, nodes_per_zone) * len(self._pool.zones)
        nodes = await self._clients.kube(self._cluster).list(NODE, labels={POOL_LABEL: self._pool.name})
        ready = sum(_ready(node) for node in nodes)
        if ready >= wanted:
            return True
        watch.saw(f"{ready} of {wanted} nodes are ready")
        return None

    async def _gone(self, watch: Watch) -> None:
        async def gone() -> bool | None:
            return True if await self.observe() is None else None

        await watch.until(gone)

    def _watch(self, note: Note, what: str) -> Watch:
        look = (
            f"gcloud container node-pools describe {self._pool.name} --cluster={self._cluster} "
            f"--location={self._region} --project={self._clients.project}"
        )
        return Watch(note, what, timeout_s=TIMEOUT_S, look=look)


def _ready(node: Json) -> bool:
    conditions = dig(node, "status.conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)
