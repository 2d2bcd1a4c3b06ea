"""The rows ``cluster/NAME``: one regional cluster each, with a small default pool.

Invariant: a cluster that mcig did not make is used as it is when it fits, gets what it lacks one change at a time, and
is never deleted.
"""

from __future__ import annotations

from backend import catalog
from backend.clients import Clients
from backend.clients.google import Json
from backend.engine.events import Action
from backend.engine.resource import STATUS, About, Change, Departure, Note, Resource, ResourceId, Step
from backend.errors import AlreadyExists, InvalidRequest, OperationFailed, ServiceDisabled
from backend.resources import marks, network, services, versions, vpc
from backend.resources.cluster_shape import NETWORK, VERSION, body, differences, update, usd_per_hour
from backend.resources.gke import NODE_ACCOUNT, WORKING, follow, node_flags
from backend.resources.removal import remove
from backend.resources.sharing import OWN, Teardown
from backend.resources.waiting import Watch
from backend.spec import ClusterSpec, GatewaySpec, Provisioning

TIMEOUT_S = 60 * 60.0
ADOPTED = "not made by mcig"
"""How the reason begins for which a cluster that was found and used is left, or goes."""
RESTARTS = (
    "changed one thing at a time; none restarts nodes, and node pools that are there keep their metadata server and "
    "service account"
)

_DEPARTURES = (
    Departure(
        document="hard-codes the second cluster's name and breaks its command by a comment of two lines",
        mcig="takes every name from the specification",
        because="the shell would run the comment's second line, and a renamed cluster would not be found again",
    ),
    Departure(
        document="creates the cluster without a workload pool",
        mcig="creates it with --workload-pool=PROJECT.svc.id.goog",
        because="multi-cluster gateways need Workload Identity Federation",
    ),
    Departure(
        document="names no size for the default pool, which makes three nodes in each zone",
        mcig="makes as many as default_pool.nodes_per_zone says",
        because="nine large machines a cluster cost about nine dollars an hour and do nothing",
    ),
    Departure(
        document="lets nodes run as the project's default account with narrow scopes",
        mcig="lets them run as the stack's own account with scope cloud-platform and metadata by GKE_METADATA",
        because="roles then decide alone what nodes may do, and Pods cannot borrow the nodes' credentials",
    ),
    Departure(
        document="asks for whatever version the channel gives",
        mcig="asks for one that the region offers and that knows the inference gateway",
        because="multi-cluster inference gateways need GKE 1.34.1-gke.1127000 or later",
    ),
    Departure(
        document="goes on with --async before the cluster runs",
        mcig="waits for the operation",
        because="node pools, credentials and registration are refused until the cluster runs",
    ),
)


def resource_id(name: str) -> ResourceId:
    """Id of a cluster's row."""
    return ResourceId(f"cluster/{name}")


class GkeCluster(Resource[Json]):
    """One regional cluster."""

    def __init__(self, spec: GatewaySpec, cluster: ClusterSpec, clients: Clients, teardown: Teardown = OWN) -> None:
        self.id = resource_id(cluster.name)
        subnets = {network.resource_id(region) for region in spec.regions if region == cluster.region}
        self.depends_on = frozenset({services.ID, NODE_ACCOUNT, *subnets})
        self._teardown = teardown
        self._spec = spec
        self._cluster = cluster
        self._name, self._region = cluster.name, cluster.region
        self._clients = clients
        self._operation: str | None = None

    @property
    def about(self) -> About:
        """What can be said without asking any cloud."""
        pool = self._cluster.default_pool
        machine = catalog.price(pool.machine_type, self._region, Provisioning.ON_DEMAND) or 0.0
        return About(
            title=f"Create cluster {self._name}",
            region=self._region,
            command=self._command(),
            permissions=(
                "container.clusters.create",
                "container.clusters.get",
                "container.clusters.list",
                "container.clusters.update",
                "container.clusters.delete",
                "container.operations.get",
                "compute.networks.get",
                "compute.networks.use",
                "compute.subnetworks.use",
                "iam.serviceAccounts.actAs",
            ),
            departures=_DEPARTURES,
            estimate_s=catalog.duration("cluster"),
            usd_per_hour=catalog.cluster_fee() + machine * pool.nodes_per_zone * catalog.ZONES_PER_REGION,
        )

    async def observe(self) -> Json | None:
        """Give the cluster in Google's JSON form; all clusters of a stack share one request."""
        try:
            listed = await self._clients.container.clusters()
        except ServiceDisabled:
            return None
        if any(location.startswith(self._region) for location in listed.unknown):
            return await self._read()
        return listed.found.get((self._region, self._name))

    def diff(self, observed: Json | None) -> Step:
        """Create it, go on waiting for it, or give it what it lacks."""
        if observed is None:
            return self.create()
        status = observed.get("status", "")
        if status == "PROVISIONING":
            return self.create("already under way")
        if status == "STOPPING":
            return self.create("the old one is being deleted")
        changes = list(differences(self._spec, observed, project=self._clients.project))
        labels = observed.get("resourceLabels")
        adopted = marks.adopted(self._spec, labels)
        if adopted and changes:
            other = marks.other_stack(self._spec, labels)
            adopted = marks.refused(other) if other else f"{adopted}; {RESTARTS}"
        if fixed := [change.field for change in changes if change.field in {NETWORK, VERSION}]:
            adopted = f"mcig does not change {' and '.join(fixed)}: `mcig doctor` says what to do"
        if status not in WORKING:
            changes.insert(0, Change(STATUS, status, "RUNNING"))
        return self.update(*changes, reason=adopted)

    def removal(self, observed: Json | None) -> Step:
        """Delete it when it was made for this stack, or when the user wants adopted clusters to go as well."""
        if observed is None or self._ours(observed):
            return super().removal(observed)
        if other := marks.other_stack(self._spec, observed.get("resourceLabels")):
            return self.no_op(f"made for the stack {other}: left; `mcig destroy {other}` takes it")
        if self._teardown.adopted:
            cost = f"about {usd_per_hour(observed):.2f} USD/h"
            return Step(self.id, Action.DELETE, reason=f"{ADOPTED}: it costs {cost}, with everything that runs in it")
        pools = [pool for pool in observed.get("nodePools", ()) if not marks.pool_goes(self._spec, pool)]
        cost = f"about {usd_per_hour(observed | {'nodePools': pools}):.2f} USD/h"
        return self.no_op(f"{ADOPTED}: left, at {cost}; `{self._delete_command()}` deletes it")

    async def apply(self, step: Step, note: Note) -> None:
        """Ask for the cluster, or for what an existing one lacks."""
        watch = self._watch(note, f"creating cluster {self._name}")
        seen = await self._read()
        if seen is not None and seen.get("status") == "STOPPING":
            await self._gone(watch)
            seen = None
        if seen is None:
            await self._create(watch)
        elif seen.get("status") != "PROVISIONING":
            await self._change(seen, watch)

    async def wait(self, note: Note) -> Json:
        """Return once the cluster runs."""
        doing = f"creating cluster {self._name}"
        watch = self._watch(note, doing)
        if self._operation is not None:
            await follow(self._clients, watch, self._region, self._operation, doing=doing)
            self._operation = None

        async def runs() -> Json | None:
            seen = await self._read()
            status = "absent" if seen is None else seen.get("status", "")
            if seen is None or status in {"ERROR", "STOPPING"}:
                raise OperationFailed(
                    f"{doing}: the cluster is {status}{_said(seen)}",
                    cause="Google accepted the request and could not carry it out, or somebody deleted the cluster",
                    fix=f"`{self._delete_command()}` clears what is left, then `mcig apply` again",
                )
            if status in WORKING:
                return seen
            watch.saw(f"the cluster is {status}{_said(seen)}")
            return None

        return await watch.until(runs)

    async def delete(self, note: Note) -> None:
        """Delete it with all its node pools and return once it is gone."""
        doing = f"deleting cluster {self._name}"
        watch = self._watch(note, doing)
        seen = await self._read()
        if seen is None:
            return
        await remove(
            watch,
            doing,
            going=seen.get("status") == "STOPPING",
            begun=self._operation,
            ask=lambda: self._clients.container.delete_cluster(self._region, self._name),
            ended=lambda name: follow(self._clients, watch, self._region, name, doing=doing),
        )
        await self._gone(watch)
        await self._clients.forget(self._name)

    def _ours(self, observed: Json) -> bool:
        return marks.ours(self._spec, observed.get("resourceLabels"))

    async def _read(self) -> Json | None:
        return await self._clients.container.cluster(self._region, self._name)

    async def _create(self, watch: Watch) -> None:
        await vpc.check_ordinary(self._spec, self._clients, self._region)
        config = await self._clients.container.server_config(self._region)
        version = versions.resolve(self._spec.versions.gke, config, self._spec.versions.channel)
        wanted = body(self._spec, self._cluster, project=self._clients.project, version=version)
        try:
            operation = await watch.when_free(lambda: self._clients.container.create_cluster(self._region, wanted))
        except AlreadyExists:
            return
        self._operation = operation["name"]
        watch.saw(f"creating cluster {self._name} with GKE {version}", operation=operation["name"])

    async def _change(self, seen: Json, watch: Watch) -> None:
        other = marks.other_stack(self._spec, seen.get("resourceLabels"))
        for change in differences(self._spec, seen, project=self._clients.project):
            if other:
                raise marks.refusal(other, f"cluster {self._name}")
            if change.field in {NETWORK, VERSION}:
                raise self._elsewhere(change) if change.field == NETWORK else await self._too_old(change, seen)
            await self._change_one(change, watch)

    async def _change_one(self, change: Change, watch: Watch) -> None:
        doing = f"changing {change.field} of {self._name}"
        wanted = update(change, await self._read() or {})
        operation = await watch.when_free(
            lambda: self._clients.container.update_cluster(self._region, self._name, wanted)
        )
        watch.saw(f"{doing} to {change.after}", operation=operation["name"])
        await follow(self._clients, watch, self._region, operation["name"], doing=doing)

    def _elsewhere(self, change: Change) -> InvalidRequest:
        return InvalidRequest(
            f"cluster {self._name} is in VPC network {change.before}, not in {change.after}",
            cause="all clusters of one gateway share a VPC network, and a cluster cannot move",
            fix="set network.vpc to the cluster's, or choose another name for the cluster",
        )

    async def _too_old(self, change: Change, seen: Json) -> InvalidRequest:
        offered = await self._clients.container.server_config(self._region)
        about = self._name, self._region, self._spec.versions.gke, offered, versions.channel_of(seen)
        return InvalidRequest(
            f"cluster {self._name} runs GKE {change.before}, and {change.after} is needed",
            cause=versions.TOO_OLD,
            fix=versions.upgrade_command(*about, project=self._clients.project),
        )

    async def _gone(self, watch: Watch) -> None:
        await watch.until_gone(self._read, f"waiting until {self._name} is gone")

    def _watch(self, note: Note, what: str) -> Watch:
        look = (
            f"gcloud container clusters describe {self._name} --location={self._region} "
            f"--project={self._clients.project}"
        )
        return Watch(note, what, timeout_s=TIMEOUT_S, look=look)

    def _command(self) -> str:
        spec, pool, project = self._spec, self._cluster.default_pool, self._clients.project
        vpc, subnetwork = spec.network.vpc, spec.network.subnetwork
        place = [] if vpc == "default" and subnetwork is None else [f"--network={vpc}"]
        place += [] if subnetwork is None else [f"--subnetwork={subnetwork}"]
        return " ".join(
            [
                f"gcloud container clusters create {self._name} --region={self._region} --project={project}",
                f"--release-channel={spec.versions.channel} --cluster-version={versions.lowest(spec.versions.gke)}",
                "--gateway-api=standard --hpa-profile=performance --monitoring=SYSTEM,DCGM",
                f"--enable-managed-prometheus --workload-pool={project}.svc.id.goog",
                f"--machine-type={pool.machine_type} --disk-type={pool.disk_type} --num-nodes={pool.nodes_per_zone}",
                node_flags(spec, project),
                *place,
                f"--labels={marks.flag(spec)}",
            ]
        )

    def _delete_command(self) -> str:
        return (
            f"gcloud container clusters delete {self._name} --location={self._region} --project={self._clients.project}"
        )


def _said(cluster: Json | None) -> str:
    if cluster is None:
        return ""
    told = cluster.get("statusMessage") or "; ".join(
        one["message"] for one in cluster.get("conditions", ()) if one.get("message")
    )
    return f": {told}" if told else ""
