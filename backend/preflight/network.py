"""The network: the VPC, its subnetworks, and room for proxy-only subnets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network

from backend.clients.google import Json
from backend.preflight.check import Check, Question, unread
from backend.preflight.findings import Finding, Topic, Verdict
from backend.preflight.readings import Gap
from backend.resources import subnets
from backend.rules import AUTO_MODE_RANGE
from backend.spec import ClusterSpec

TOPIC = Topic.NETWORK
POD_HOME = IPv4Network("10.0.0.0/8")
"""Where GKE takes the Pod ranges of new clusters from."""
VPC_WHY = "all clusters of a cross-region gateway share one VPC network"
RANGE_WHY = "a proxy-only subnet is refused where its range overlaps another one of the network"
SUBNET_WHY = "a cross-region gateway needs a global proxy-only subnet in each region, and a region has room for one"


def of_network(subnetworks: Iterable[Json], network: str) -> list[Json]:
    """The subnetworks of one VPC network."""
    return [one for one in subnetworks if str(one.get("network", "")).rpartition("/")[2] == network]


# --- the VPC ----------------------------------------------------------------------------------------------------------


async def _vpc(question: Question) -> Sequence[Finding]:
    networks, subnetworks = await asyncio.gather(question.readings.networks(), question.readings.subnetworks())
    return list(judge_vpc(networks, subnetworks, question))


def judge_vpc(
    networks: Sequence[Json] | Gap, subnetworks: Sequence[Json] | Gap, question: Question
) -> Iterator[Finding]:
    """Whether the VPC is there, and has an ordinary subnetwork for each cluster."""
    spec = question.spec
    name = spec.network.vpc
    if isinstance(networks, Gap):
        yield unread(f"network/{name}", networks, what="The VPC networks", why=VPC_WHY, topic=TOPIC)
        return
    found = next((one for one in networks if one.get("name") == name), None)
    if found is None:
        others = [str(one["name"]) for one in networks]
        text = f"there is no VPC network {name}; there is {', '.join(others) or 'none'}"
        fix = question.setting(network__vpc="default") if "default" in others else _make_network(name, question)
        yield Finding(f"network/{name}", Verdict.FAIL, text, VPC_WHY, fix, TOPIC)
        return
    auto = bool(found.get("autoCreateSubnetworks"))
    mode = "auto" if auto else "custom"
    yield Finding(f"network/{name}", Verdict.OK, f"VPC network {name} is there ({mode} mode)", VPC_WHY, None, TOPIC)
    if isinstance(subnetworks, Gap):
        what = f"The subnetworks of {name}"
        yield unread(f"network/{name}/subnetworks", subnetworks, what=what, why=VPC_WHY, topic=TOPIC)
        return
    here = of_network(subnetworks, name)
    kept = [one.proxy_subnet for one in spec.targets if isinstance(one.proxy_subnet, IPv4Network)]
    places = list(dict.fromkeys(cluster.region for cluster in spec.clusters))
    free = subnets.proposals(places, [*subnets.taken(here), *kept])
    for cluster in spec.clusters:
        yield _ordinary(cluster, here, free.get(cluster.region), auto=auto, question=question)


def _ordinary(
    cluster: ClusterSpec, subnetworks: Sequence[Json], free: IPv4Network | None, *, auto: bool, question: Question
) -> Finding:
    network = question.spec.network
    here = [
        str(one["name"])
        for one in subnetworks
        if subnets.in_region(one, cluster.region) and not str(one.get("purpose", "")).endswith("MANAGED_PROXY")
    ]
    identity = f"network/{network.vpc}/{cluster.region}"
    why = "a cluster's nodes are put into an ordinary subnetwork of its region"
    wanted = network.subnetwork or (network.vpc if auto else None)
    if wanted in here or (wanted is not None and auto and network.subnetwork is None and here):
        return Finding(identity, Verdict.OK, f"{cluster.region} has subnetwork {wanted}", why, None, TOPIC)
    if wanted is None and here:
        text = f"{network.vpc} is in custom mode, so network.subnetwork has to name one of {', '.join(here)}"
        return Finding(identity, Verdict.FAIL, text, why, question.setting(network__subnetwork=here[0]), TOPIC)
    missing = f"no subnetwork {wanted}" if wanted else "no ordinary subnetwork"
    text = f"{network.vpc} has {missing} in {cluster.region}"
    fix = (
        f"gcloud compute networks subnets create {wanted or network.vpc} --network={network.vpc} "
        f"--region={cluster.region} --range={free or 'A_FREE_RANGE'} --project={question.project}"
    )
    if wanted is None:
        fix += f" && {question.setting(network__subnetwork=network.vpc)}"
    return Finding(identity, Verdict.FAIL, text, why, fix, TOPIC)


def _make_network(name: str, question: Question) -> str:
    return f"gcloud compute networks create {name} --subnet-mode=auto --project={question.project}"


# --- proxy-only subnets -----------------------------------------------------------------------------------------------


async def _proxy_subnets(question: Question) -> Sequence[Finding]:
    subnetworks, clusters, networks = await asyncio.gather(
        question.readings.subnetworks(), question.readings.clusters(), question.readings.networks()
    )
    return list(judge_proxy_subnets(subnetworks, clusters, networks, question))


def judge_proxy_subnets(
    subnetworks: Sequence[Json] | Gap,
    clusters: Sequence[Json] | Gap,
    networks: Sequence[Json] | Gap,
    question: Question,
) -> Iterator[Finding]:
    """Whether each region has a proxy-only subnet, or room for the wanted one."""
    spec = question.spec
    for region in spec.regions:
        if isinstance(subnetworks, Gap):
            what = "The subnetworks"
            yield unread(f"subnet/{region}", subnetworks, what=what, why=SUBNET_WHY, topic=TOPIC)
    if isinstance(subnetworks, Gap):
        return
    here = of_network(subnetworks, spec.network.vpc)
    seen = () if isinstance(clusters, Gap) else clusters
    listed = () if isinstance(networks, Gap) else networks
    auto = any(one.get("name") == spec.network.vpc and one.get("autoCreateSubnetworks") for one in listed)
    held = [(str(one["name"]), block) for one in here for block in subnets.taken([one])]
    held += subnets.pod_ranges(seen, spec.network.vpc)
    planned = subnets.ranges(spec, here, seen)
    for cluster in spec.targets:
        there = _standing(cluster.region, here, question)
        yield there or _room(cluster, planned.get(cluster.region), held, auto=auto, question=question)


def _standing(region: str, here: Sequence[Json], question: Question) -> Finding | None:
    """The finding for a region that has a proxy-only subnet."""
    identity = f"subnet/{region}"
    active = subnets.active_proxy(here, region)
    if active is not None:
        text = f"{region} has the proxy-only subnet {active['name']} ({active.get('ipCidrRange')}), which is used"
        return Finding(identity, Verdict.OK, text, SUBNET_WHY, None, TOPIC)
    if regional := subnets.regional_proxy(here, region):
        text = f"{region} has {regional}, a proxy-only subnet for regional load balancers, which excludes a global one"
        fix = f"gcloud compute networks subnets delete {regional} --region={region} --project={question.project}"
        return Finding(identity, Verdict.FAIL, text, SUBNET_WHY, fix, TOPIC)
    return None


def _room(
    cluster: ClusterSpec,
    planned: IPv4Network | None,
    held: Sequence[tuple[str, IPv4Network]],
    *,
    auto: bool,
    question: Question,
) -> Finding:
    """Whether there is room for a region's proxy-only subnet; ``held`` are the ranges taken, by who holds them."""
    region, wanted = cluster.region, cluster.proxy_subnet
    identity = f"subnet/{region}"
    if not isinstance(wanted, IPv4Network):
        if planned is None:
            text = f"no /23 is left for a proxy-only subnet in {question.spec.network.vpc}"
            return Finding(identity, Verdict.FAIL, text, SUBNET_WHY, _another_vpc(question), TOPIC)
        return Finding(identity, Verdict.OK, f"{planned} is free for {region}", SUBNET_WHY, None, TOPIC)
    fix = question.setting(**{f"clusters__{cluster.name}__proxy_subnet": "auto"})
    if clash := next((f"{name} ({block})" for name, block in held if block.overlaps(wanted)), ""):
        return Finding(identity, Verdict.FAIL, f"{wanted} overlaps {clash}", RANGE_WHY, fix, TOPIC)
    if auto and wanted.overlaps(AUTO_MODE_RANGE):
        text = f"{wanted} lies in {AUTO_MODE_RANGE}, which a VPC in auto mode keeps for its own subnetworks"
        return Finding(identity, Verdict.FAIL, text, RANGE_WHY, fix, TOPIC)
    if wanted.subnet_of(POD_HOME):
        text = f"{wanted} is free now, and GKE may take it for the Pods of a cluster, as it takes ranges of {POD_HOME}"
        return Finding(identity, Verdict.WARN, text, SUBNET_WHY, fix, TOPIC)
    return Finding(identity, Verdict.OK, f"{wanted} is free for {region}", SUBNET_WHY, None, TOPIC)


def _another_vpc(question: Question) -> str:
    name = f"{question.spec.name[:58]}-vpc"
    return f"{_make_network(name, question)} && {question.setting(network__vpc=name)}"


CHECKS = (
    Check(
        "network/VPC",
        TOPIC,
        "the VPC network, its mode, and a subnetwork for each cluster",
        "'uses manual subnet mode and requires specifying a subnetwork'",
        _vpc,
    ),
    Check(
        "subnet/REGION",
        TOPIC,
        "all ranges of the network, those of GKE's Pods too",
        "a proxy-only subnet that is refused, or collides with Pods later",
        _proxy_subnets,
    ),
)
