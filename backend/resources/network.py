"""The rows ``subnet/REGION``: the proxy-only subnet that a cross-region internal load balancer needs in each region.

A region of a VPC network takes only one active proxy-only subnet for Envoy-based load balancers, so one that is there
is used, whoever made it. Invariant: a subnet that anybody else uses, or made, is never deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from backend import catalog
from backend.clients import Clients
from backend.clients.google import Json
from backend.engine.resource import About, Departure, Note, Resource, ResourceId, Step
from backend.errors import AlreadyExists, Conflict, InvalidRequest, NotFound, ServiceDisabled, StepTimeout
from backend.resources import leftovers, marks, services, vpc
from backend.resources.operations import until_done
from backend.resources.subnets import (
    GLOBAL_PROXY,
    HOMES,
    PREFIX,
    active_proxy,
    ranges,
    regional_proxy,
)
from backend.resources.waiting import Watch
from backend.spec import ClusterSpec, GatewaySpec

TIMEOUT_S = 20 * 60.0
LEFT_TIMEOUT_S = 3 * 60.0
"""By now the Gateway and the clusters are gone, so that hardly anything clears up what is still there."""
DELETE_TIMEOUT_S = 40 * 60.0
"""A load balancer lets go of its proxies only minutes after it is gone."""


def resource_id(region: str) -> ResourceId:
    """Id of a region's row."""
    return ResourceId(f"subnet/{region}")


@dataclass(frozen=True, slots=True)
class Proxies:
    """What a region has in the way of proxy-only subnets."""

    subnet: Json | None
    """The active global one, whoever made it."""
    regional: str = ""
    """Name of a regional one, which excludes a global one."""
    users: tuple[str, ...] = ()
    """Others than this stack that use a subnet of ours, in words."""


class ProxySubnet(Resource[Proxies]):
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
                "compute.networks.get",
                "compute.networks.updatePolicy",
                "compute.globalForwardingRules.list",
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

    async def observe(self) -> Proxies | None:
        """Give the region's active global proxy-only subnet, or what is in its way."""
        self.unread = None
        try:
            subnetworks = await self._all()
        except ServiceDisabled as error:
            self.unread = error
            return None
        subnet = active_proxy(subnetworks, self._region)
        regional = regional_proxy(subnetworks, self._region)
        if subnet is None:
            return Proxies(None, regional) if regional else None
        return Proxies(subnet, regional, await self._users() if self._ours(subnet) else ())

    def diff(self, observed: Proxies | None) -> Step:
        """Create it, or use what is there."""
        if observed is None:
            return self.create()
        if observed.subnet is None:
            return self.create(f"refused: the regional proxy-only subnet {observed.regional} is in its place")
        wanted, name, has = self._cluster.proxy_subnet, observed.subnet["name"], observed.subnet.get("ipCidrRange", "")
        adopted = marks.adopted(self._spec, observed.subnet.get("description", ""))
        why = adopted and f"{adopted}: {name}, {has}"
        if wanted != "auto" and str(wanted) != has:
            why = f"{name} keeps its range {has}: a region has room for one such subnet only"
        return self.no_op(why)

    def removal(self, observed: Proxies | None) -> Step:
        """Delete it when it was made for this stack and nobody else uses it."""
        if observed is None or observed.subnet is None:
            return self.no_op("absent")
        if not self._ours(observed.subnet):
            return self.no_op(f"{marks.whose(self._spec, observed.subnet.get('description', ''))}: left")
        if observed.users:
            undo = self._delete_command(observed.subnet["name"])
            return self.no_op(f"left: {', '.join(observed.users)} uses it; `{undo}` once nobody does")
        return super().removal(observed)

    async def apply(self, step: Step, note: Note) -> None:
        """Ask for the subnet in a free range."""
        subnetworks = await self._all()
        if active_proxy(subnetworks, self._region) is not None:
            return
        if regional := regional_proxy(subnetworks, self._region):
            raise self._excluded(regional)
        await vpc.check_ordinary(self._spec, self._clients, self._region)
        wanted = await self._range(subnetworks)
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

    async def wait(self, note: Note) -> Proxies:
        """Return once the subnet is there."""
        watch = self._watch(note, f"creating subnet {self._name}", TIMEOUT_S)
        if (begun := self._operation) is not None:
            await self._follow(watch, begun, f"creating subnet {self._name}")

        async def there() -> Proxies | None:
            seen = await self.observe()
            return None if seen is None or seen.subnet is None else seen

        return await watch.until(there)

    async def delete(self, note: Note) -> None:
        """Delete it as soon as no load balancer uses it, and return once it is gone."""
        subnet = active_proxy(await self._all(), self._region)
        if subnet is None:
            return
        name = subnet["name"]
        watch = self._watch(note, f"deleting subnet {name}", DELETE_TIMEOUT_S)
        if (begun := self._operation) is not None:
            await self._follow(watch, begun, f"deleting subnet {name}")
        await self._unused(note, name)
        try:
            operation = await watch.when_free(lambda: self._clients.compute.delete_subnetwork(self._region, name))
        except NotFound:
            return
        note(f"deleting {name}", operation=operation["name"])
        await self._follow(watch, operation["name"], f"deleting subnet {name}")

    async def _unused(self, note: Note, name: str) -> None:
        """Return once no forwarding rule of the stack's Gateway is left; raises ``Conflict`` when none clears it."""
        watch = self._watch(note, f"clearing subnet {name}", LEFT_TIMEOUT_S)
        left: list[Json] = []

        async def gone() -> bool | None:
            left[:] = [
                rule
                for rule in await self._clients.compute.list_global_forwarding_rules()
                if leftovers.rule_region(rule) == self._region and leftovers.probably_ours(self._spec, rule)
            ]
            if not left:
                return True
            watch.saw(f"waiting until forwarding rule {left[0]['name']} is gone")
            return None

        try:
            await watch.until(gone)
        except StepTimeout as late:
            rules = ", ".join(rule["name"] for rule in left)
            raise Conflict(
                f"subnet {name} is used by forwarding rules {rules}",
                cause="a Gateway that vanished before its controller could clear up probably left them",
                fix="; ".join(
                    f"gcloud compute forwarding-rules delete {rule['name']} --global --project={self._clients.project}"
                    for rule in left
                )
                + "; then `mcig destroy` again",
            ) from late

    async def _users(self) -> tuple[str, ...]:
        rules, listed = await asyncio.gather(
            self._clients.compute.list_global_forwarding_rules(), self._clients.container.clusters()
        )
        found = [f"forwarding rule {name}" for name in leftovers.foreign_rules(self._spec, rules, self._region)]
        for (location, name), cluster in sorted(listed.found.items()):
            labels = cluster.get("resourceLabels") or {}
            theirs = labels.get(marks.MANAGED_BY) == marks.MANAGER and not marks.ours(self._spec, labels)
            if theirs and location == self._region and cluster.get("network") == self._spec.network.vpc:
                found.append(f"cluster {name} of stack {labels.get(marks.STACK, '')}")
        return tuple(found)

    def _ours(self, subnet: Json) -> bool:
        return marks.ours(self._spec, subnet.get("description"))

    def _delete_command(self, name: str) -> str:
        return (
            f"gcloud compute networks subnets delete {name} --region={self._region} --project={self._clients.project}"
        )

    async def _all(self) -> list[Json]:
        return await self._clients.compute.subnetworks(self._spec.network.vpc)

    def _watch(self, note: Note, what: str, timeout_s: float) -> Watch:
        look = (
            f"gcloud compute networks subnets list --regions={self._region} --network={self._spec.network.vpc} "
            f"--project={self._clients.project}"
        )
        return Watch(note, what, timeout_s=timeout_s, look=look)

    def _excluded(self, regional: str) -> InvalidRequest:
        return InvalidRequest(
            f"{self._region} has the regional proxy-only subnet {regional}; a cross-region gateway needs a global one",
            cause=(
                f"a region of VPC {self._spec.network.vpc} has room for one proxy-only subnet, regional or global, "
                "and regional load balancers may be using this one"
            ),
            fix=f"choose another region or VPC network; or, when nothing uses it, `{self._delete_command(regional)}`",
        )

    async def _range(self, subnetworks: Sequence[Json]) -> IPv4Network:
        listed = await self._clients.container.clusters()
        found = ranges(self._spec, subnetworks, listed.found.values()).get(self._region)
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

    async def _follow(self, watch: Watch, name: str, doing: str) -> None:
        clients, region = self._clients, self._region
        await until_done(watch, lambda: clients.compute.operation(region, name), doing=doing, project=clients.project)
