"""The rows ``membership/NAME``: each cluster in the project's fleet.

Invariant: a membership is known by the cluster that it links to, wherever and under whichever name it is.
"""

from __future__ import annotations

from backend import catalog
from backend.clients import Clients
from backend.clients.google import Json
from backend.engine.resource import About, Change, Departure, Note, Resource, ResourceId, Step
from backend.errors import AlreadyExists, ServiceDisabled
from backend.resources import cluster as cluster_row
from backend.resources import marks
from backend.resources.gke import dig
from backend.resources.operations import until_done
from backend.resources.removal import remove
from backend.resources.sharing import OWN, Teardown
from backend.resources.waiting import Watch
from backend.spec import ClusterSpec, GatewaySpec

INGRESS_ID = ResourceId("fleet-ingress")
TIMEOUT_S = 20 * 60.0
UNSAID = "CODE_UNSPECIFIED"
"""State of a membership or feature of which nothing was said yet; an answer may also leave it out."""
USABLE = frozenset({"READY", "UPDATING", "SERVICE_UPDATING"})
"""States of a membership that works."""
UNDER_WAY = {
    "absent": "is not there yet",
    UNSAID: "has not said yet how it is",
    "CREATING": "is being made",
    "DELETING": "is being deleted",
    "DISABLING": "is being disabled",
    "ENABLING": "is being enabled",
}
"""States in which nothing is wrong yet, in words."""


def membership_id(name: str) -> ResourceId:
    """Id of the row of a cluster's membership."""
    return ResourceId(f"membership/{name}")


def link_path(project: str, cluster: ClusterSpec) -> str:
    """The part of a membership's link that names the cluster; what stands before it is the API's origin."""
    return f"projects/{project}/locations/{cluster.region}/clusters/{cluster.name}"


def linked(memberships: list[Json], project: str, cluster: ClusterSpec) -> Json | None:
    """The membership of a cluster, in whatever location; ``None`` when it is not registered."""
    path = link_path(project, cluster)
    for membership in memberships:
        link = dig(membership, "endpoint.gkeCluster.resourceLink") or ""
        if link == path or link.endswith(f"/{path}"):
            return membership
    return None


def in_words(state: str) -> str:
    """What is told of a membership or feature while it is not ready."""
    return UNDER_WAY.get(state, f"is {state}")


async def follow(clients: Clients, watch: Watch, operation: str, doing: str) -> None:
    """Return once a fleet operation has ended well, or is no longer known; raises ``OperationFailed``."""
    await until_done(watch, lambda: clients.fleet.operation(operation), doing=doing, project=clients.project)


class Membership(Resource[Json]):
    """One cluster's membership in the project's fleet."""

    def __init__(self, spec: GatewaySpec, cluster: ClusterSpec, clients: Clients, teardown: Teardown = OWN) -> None:
        self._teardown = teardown
        self.id = membership_id(cluster.name)
        self.depends_on = frozenset({cluster_row.resource_id(cluster.name)})
        self.delete_after = frozenset({INGRESS_ID})
        self._spec = spec
        self._cluster = cluster
        self._name = cluster.name
        self._clients = clients
        self._operation: str | None = None

    @property
    def about(self) -> About:
        """What can be said without asking any cloud."""
        return About(
            title=f"Register {self._name} with the fleet",
            region=self._cluster.region,
            command=(
                f"gcloud container fleet memberships register {self._name} "
                f"--gke-cluster={self._cluster.region}/{self._name} --location=global "
                f"--project={self._clients.project}"
            ),
            permissions=(
                "gkehub.memberships.list",
                "gkehub.memberships.create",
                "gkehub.memberships.get",
                "gkehub.memberships.delete",
                "gkehub.operations.get",
                "container.clusters.get",
            ),
            departures=(
                Departure(
                    document="registers the cluster as ZONE/NAME",
                    mcig="registers it as REGION/NAME, and uses a membership that is there",
                    because="the link is not checked, so a zone would register a cluster that does not exist",
                ),
            ),
            estimate_s=catalog.duration("membership"),
        )

    async def observe(self) -> Json | None:
        """Give the membership that links to the cluster."""
        self.unread = None
        try:
            return linked(await self._clients.fleet.memberships(), self._clients.project, self._cluster)
        except ServiceDisabled as error:
            self.unread = error
            return None

    def diff(self, observed: Json | None) -> Step:
        """Register the cluster, or use the membership that it has."""
        if observed is None:
            return self.create()
        state = dig(observed, "state.code") or UNSAID
        if state == "CREATING":
            return self.create("already under way")
        if state == "DELETING":
            return self.create("the old one is being deleted")
        if state == UNSAID:
            return self.update(Change("state.code", "not known yet", "READY"))
        adopted = marks.adopted(self._spec, observed.get("labels"))
        return self.no_op(adopted and f"{adopted}: {short(observed['name'])}")

    def removal(self, observed: Json | None) -> Step:
        """Delete it when it was made for this stack, or when its adopted cluster goes."""
        if observed is not None:
            labels = observed.get("labels")
            if not marks.goes(self._spec, labels, adopted_too=self._teardown.adopted):
                return self.no_op(f"{marks.whose(self._spec, labels)}: left")
        return super().removal(observed)

    async def apply(self, step: Step, note: Note) -> None:
        """Ask for the membership."""
        seen = await self.observe()
        if seen is not None and dig(seen, "state.code") == "DELETING":
            await self._watch(note, f"deleting membership {self._name}").until_gone(self.observe)
            seen = None
        if seen is not None:
            return
        project = self._clients.project
        link = f"//container.googleapis.com/{link_path(project, self._cluster)}"
        wanted = {"endpoint": {"gkeCluster": {"resourceLink": link}}, "labels": marks.labels(self._spec)}
        try:
            operation = await self._clients.fleet.create_membership(self._name, wanted)
        except AlreadyExists as error:
            await self._second_look(error)
        else:
            self._operation = operation["name"]
            note(f"registering {self._name}", operation=operation["name"])

    async def wait(self, note: Note) -> Json:
        """Return once the membership is ready."""
        doing = f"registering {self._name} with the fleet"
        watch = self._watch(note, doing)
        if self._operation is not None:
            await follow(self._clients, watch, self._operation, doing)
            self._operation = None

        async def ready() -> Json | None:
            seen = await self.observe()
            state = dig(seen, "state.code") or "absent"
            if state in USABLE:
                return seen
            watch.saw(f"the membership {in_words(state)}")
            return None

        return await watch.until(ready)

    async def delete(self, note: Note) -> None:
        """Take the cluster out of the fleet and return once that is done."""
        doing = f"taking {self._name} out of the fleet"
        watch = self._watch(note, doing)
        seen = await self.observe()
        if seen is None:
            return
        await remove(
            watch,
            doing,
            going=dig(seen, "state.code") == "DELETING",
            begun=self._operation,
            ask=lambda: self._clients.fleet.delete_membership(seen["name"]),
            ended=lambda name: follow(self._clients, watch, name, doing),
        )
        await watch.until_gone(self.observe)

    def _ours(self, observed: Json) -> bool:
        return marks.ours(self._spec, observed.get("labels"))

    async def _second_look(self, error: AlreadyExists) -> None:
        name = self._clients.fleet.membership_name(self._name)
        holder = await self._clients.fleet.membership(name)
        if holder is None or linked([holder], self._clients.project, self._cluster) is not None:
            return
        link = dig(holder, "endpoint.gkeCluster.resourceLink") or "no GKE cluster"
        raise AlreadyExists(
            f"the fleet has a membership {self._name} already, and it is another cluster's: {link}",
            cause="membership names are unique in the fleet, and a cluster of the same name may have been deleted",
            fix=(
                f"give the cluster another name, or, when that cluster is gone, `gcloud container fleet memberships "
                f"delete {self._name} --location=global --project={self._clients.project}`"
            ),
        ) from error

    def _watch(self, note: Note, what: str) -> Watch:
        look = f"gcloud container fleet memberships list --project={self._clients.project}"
        return Watch(note, what, timeout_s=TIMEOUT_S, look=look)


def short(name: str) -> str:
    """A membership's resource name without its project: ``LOCATION/NAME``."""
    parts = name.split("/")
    return f"{parts[3]}/{parts[5]}" if len(parts) == 6 else name or "none"
