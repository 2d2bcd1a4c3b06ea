"""The rows ``subnet/REGION``: the proxy-only subnet that a cross-region internal load balancer needs in each region.

A region of a VPC network takes only one active proxy-only subnet for Envoy-based load balancers, so one that is there
is used, whoever made it. Invariant: ``proposals`` is a pure function of what is taken; clusters that are planned
together get different ranges, and a second run proposes what the first one did.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network

from backend import catalog
from backend.clients import Clients
from backend.clients.failures import operation_failed
from backend.clients.google import Json
from backend.engine.resource import About, Departure, Note, Resource, ResourceId, Step
from backend.errors import AlreadyExists, InvalidRequest, NotFound, ServiceDisabled
from backend.resources import marks, services
from backend.resources.waiting import Watch
from backend.spec import ClusterSpec, GatewaySpec

GLOBAL_PROXY = "GLOBAL_MANAGED_PROXY"
REGIONAL_PROXY = frozenset({"REGIONAL_MANAGED_PROXY", "INTERNAL_HTTPS_LOAD_BALANCER"})
"""Purposes that exclude the global one in a region; the second is the older name of the first."""
PREFIX = 23
HOMES = (IPv4Network("192.168.0.0/16"), IPv4Network("172.24.0.0/13"), IPv4Network("172.20.0.0/14"))
"""Where ranges are proposed, each from its top.

All lie outside 10.0.0.0/8, out of which GKE takes the /14 of a cluster's Pods and an auto-mode network its
10.128.0.0/9; and clear of 172.16.0.0/16 and 172.17.0.0/16, which control planes and container runtimes like to use.
"""
TIMEOUT_S = 20 * 60.0
DELETE_TIMEOUT_S = 40 * 60.0
"""A load balancer lets go of its proxies only minutes after it is gone."""


def resource_id(region: str) -> ResourceId:
    """Id of a region's row."""
    return ResourceId(f"subnet/{region}")


def taken(subnetworks: Iterable[Json]) -> list[IPv4Network]:
    """All ranges that subnetworks hold, primary and secondary."""
    ranges = []
    for subnetwork in subnetworks:
        ranges += [subnetwork.get("ipCidrRange")]
        ranges += [second.get("ipCidrRange") for second in subnetwork.get("secondaryIpRanges", ())]
    return [IPv4Network(text) for text in ranges if text]


def active_proxy(subnetworks: Iterable[Json], region: str) -> Json | None:
    """The active global proxy-only subnet of a region; ``None`` when there is none."""
    for subnetwork in subnetworks:
        if (
            subnetwork.get("purpose") == GLOBAL_PROXY
            and subnetwork.get("role", "ACTIVE") == "ACTIVE"
            and (in_region(subnetwork, region))
        ):
            return subnetwork
    return None


def in_region(subnetwork: Json, region: str) -> bool:
    """Say whether a subnetwork lies in a region."""
    return str(subnetwork.get("region", "")).rpartition("/")[2] == region


def proposals(regions: Sequence[str], occupied: Iterable[IPv4Network]) -> Mapping[str, IPv4Network]:
    """Give each region a free range of its own, in order; regions for which nothing is left are missing."""
    held = list(occupied)
    found: dict[str, IPv4Network] = {}
    candidates = _candidates()
    for region in regions:
        for candidate in candidates:
            if not any(candidate.overlaps(other) for other in held):
                found[region] = candidate
                break
    return found


def _candidates() -> Iterator[IPv4Network]:
    for home in HOMES:
        top, size = int(home.broadcast_address) + 1, 2 ** (32 - PREFIX)
        for start in range(top - size, int(home.network_address) - 1, -size):
            yield IPv4Network((start, PREFIX))


class ProxySubnet(Resource[Json]):
    """The proxy-only subnet of one cluster's region."""

    def __init__(self, spec: GatewaySpec, cluster: ClusterSpec, clients: Clients) -> None:
        self.id = resource_id(cluster.region)
        self.depends_on = frozenset({services.ID})
        self._spec = spec
        self._cluster = cluster
        self._region = cluster.region
        self._name = cluster.proxy_subnet_name
        self._clients = clients
        self._operation: str | None = None

    @property
    def about(self) -> About:
        """What can be said without asking any cloud."""
        wanted = self._cluster.proxy_subnet
        return About(
            title=f"Create the proxy-only subnet of {self._region}",
            region=self._region,
            command=(
                f"gcloud compute networks subnets create {self._name} --purpose={GLOBAL_PROXY} --role=ACTIVE "
                f"--region={self._region} --network={self._spec.network.vpc} "
                f"--range={'A_FREE_RANGE/23' if wanted == 'auto' else wanted} "
                f"--description='{marks.description(self._spec)}' --project={self._clients.project}"
            ),
            permissions=(
                "compute.subnetworks.list",
                "compute.subnetworks.create",
                "compute.subnetworks.get",
                "compute.subnetworks.delete",
                "compute.networks.updatePolicy",
                "compute.regionOperations.get",
            ),
            departures=(
                Departure(
                    document="takes 10.0.0.0/23 and 10.5.0.0/23, after the clusters",
                    mcig="takes a free range outside 10.0.0.0/8, before the clusters; uses an active one that is there",
                    because="GKE takes Pod ranges out of 10.0.0.0/8, and a region has room for one such subnet only",
                ),
            ),
            estimate_s=catalog.duration("subnet"),
        )

    async def observe(self) -> Json | None:
        """Give the region's active global proxy-only subnet, whoever made it."""
        try:
            return active_proxy(await self._all(), self._region)
        except ServiceDisabled:
            return None

    def diff(self, observed: Json | None) -> Step:
        """Create it, or use what is there."""
        if observed is None:
            return self.create()
        wanted, has = self._cluster.proxy_subnet, observed.get("ipCidrRange", "")
        why = "" if marks.ours(self._spec, observed.get("description")) else f"adopted: {observed['name']}, {has}"
        if wanted != "auto" and str(wanted) != has:
            why = f"{observed['name']} keeps its range {has}: a region has room for one such subnet only"
        return self.no_op(why)

    def removal(self, observed: Json | None) -> Step:
        """Delete it when it was made for this stack."""
        if observed is not None and not marks.ours(self._spec, observed.get("description")):
            return self.no_op("not made by mcig: left")
        return super().removal(observed)

    async def apply(self, step: Step, note: Note) -> None:
        """Ask for the subnet in a free range."""
        subnetworks = await self._all()
        if active_proxy(subnetworks, self._region) is not None:
            return
        self._refuse_regional(subnetworks)
        wanted = self._range(subnetworks)
        body = {
            "name": self._name,
            "ipCidrRange": str(wanted),
            "purpose": GLOBAL_PROXY,
            "role": "ACTIVE",
            "network": self._clients.compute.network_url(self._spec.network.vpc),
            "description": marks.description(self._spec),
        }
        try:
            operation = await self._clients.compute.create_subnetwork(self._region, body)
        except AlreadyExists:
            await self._second_look()
        else:
            self._operation = operation["name"]
            note(f"creating {self._name} with {wanted}", operation=operation["name"])

    async def wait(self, note: Note) -> Json:
        """Return once the subnet is there."""
        watch = self._watch(note, f"creating subnet {self._name}", TIMEOUT_S)
        operation = self._operation
        if operation is not None:
            await watch.until(lambda: self._done(operation, f"creating subnet {self._name}"))
        return await watch.until(self.observe)

    async def delete(self, note: Note) -> None:
        """Delete it as soon as no load balancer uses it, and return once it is gone."""
        seen = await self.observe()
        if seen is None:
            return
        name = seen["name"]
        watch = self._watch(note, f"deleting subnet {name}", DELETE_TIMEOUT_S)
        try:
            operation = await watch.when_free(lambda: self._clients.compute.delete_subnetwork(self._region, name))
        except NotFound:
            return
        note(f"deleting {name}", operation=operation["name"])
        await watch.until(lambda: self._done(operation["name"], f"deleting subnet {name}"))

    async def _all(self) -> list[Json]:
        return await self._clients.compute.subnetworks(self._spec.network.vpc)

    def _watch(self, note: Note, what: str, timeout_s: float) -> Watch:
        look = (
            f"gcloud compute networks subnets list --regions={self._region} --network={self._spec.network.vpc} "
            f"--project={self._clients.project}"
        )
        return Watch(note, what, timeout_s=timeout_s, look=look)

    def _refuse_regional(self, subnetworks: Iterable[Json]) -> None:
        for subnetwork in subnetworks:
            if subnetwork.get("purpose") in REGIONAL_PROXY and in_region(subnetwork, self._region):
                name = subnetwork["name"]
                raise InvalidRequest(
                    f"{self._region} has the regional proxy-only subnet {name}; a cross-region gateway needs a global "
                    "one",
                    cause=(
                        f"a region of VPC {self._spec.network.vpc} has room for one proxy-only subnet, regional or "
                        "global, and regional load balancers may be using this one"
                    ),
                    fix=(
                        "choose another region or VPC network; or, when nothing uses it, `gcloud compute networks "
                        f"subnets delete {name} --region={self._region} --project={self._clients.project}`"
                    ),
                )

    def _range(self, subnetworks: Sequence[Json]) -> IPv4Network:
        wanted = self._cluster.proxy_subnet
        if isinstance(wanted, IPv4Network):
            return wanted
        lacking = [
            cluster
            for cluster in self._spec.targets
            if cluster is self._cluster or active_proxy(subnetworks, cluster.region) is None
        ]
        fixed = [cluster.proxy_subnet for cluster in lacking if isinstance(cluster.proxy_subnet, IPv4Network)]
        free = [cluster.region for cluster in lacking if cluster.proxy_subnet == "auto"]
        found = proposals(free, [*taken(subnetworks), *fixed]).get(self._region)
        if found is None:
            raise InvalidRequest(
                f"no free /{PREFIX} for {self._region} was found in VPC {self._spec.network.vpc}",
                cause=f"{', '.join(str(home) for home in HOMES)} are taken",
                fix="set clusters[N].proxy_subnet to a free range from /23 to /26",
            )
        return found

    async def _second_look(self) -> None:
        same = await self._clients.compute.subnetwork(self._region, self._name)
        if same is not None and same.get("purpose") != GLOBAL_PROXY:
            raise AlreadyExists(
                f"{self._region} has a subnet {self._name} already, and it is no global proxy-only subnet",
                cause=f"its purpose is {same.get('purpose', 'PRIVATE')}",
                fix="rename or delete it, then `mcig apply` again",
            )

    async def _done(self, name: str, doing: str) -> bool | None:
        try:
            operation = await self._clients.compute.operation(self._region, name)
        except NotFound:
            return True
        errors = operation.get("error", {}).get("errors", ())
        if errors:
            told = "; ".join(f"{error.get('message') or error.get('code')}" for error in errors)
            raise operation_failed(doing, told, project=self._clients.project)
        return True if operation.get("status") == "DONE" else None
