"""The network: the VPC, its subnetworks, room for proxy-only subnets, and names that are taken."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network

from backend.clients.google import Json
from backend.preflight.check import Check, Question, unread
from backend.preflight.findings import Finding, Topic, Verdict
from backend.preflight.readings import Gap
from backend.resources import marks, subnets
from backend.rules import AUTO_MODE_RANGE
from backend.spec import ClusterSpec, GatewaySpec

TOPIC = Topic.NETWORK
POD_HOME = IPv4Network("10.0.0.0/8")
"""Where GKE takes the Pod ranges of new clusters from."""
VPC_WHY = "all clusters of a cross-region gateway share one VPC network"
RANGE_WHY = "a proxy-only subnet is refused where its range overlaps another one of the network"
SUBNET_WHY = "a cross-region gateway needs a global proxy-only subnet in each region, and a region has room for one"


def of_network(subnetworks: Iterable[Json], network: str) -> list[Json]:
    """The subnetworks of one VPC network."""
    return [one for one in subnetworks if str(one.get("network", "")).rpartition("/")[2] == network]


def pod_ranges(clusters: Iterable[Json], network: str) -> list[tuple[str, IPv4Network]]:
    """Ranges that clusters of a network hold for Pods and Services, each with the cluster's name."""
    found: list[tuple[str, IPv4Network]] = []
    for cluster in clusters:
        if str(cluster.get("network", "default")).rpartition("/")[2] != network:
            continue
        policy = cluster.get("ipAllocationPolicy") or {}
        texts = {
            cluster.get("clusterIpv4Cidr"),
            cluster.get("servicesIpv4Cidr"),
            policy.get("clusterIpv4CidrBlock"),
            policy.get("servicesIpv4CidrBlock"),
        }
        found += [(str(cluster.get("name")), IPv4Network(text, strict=False)) for text in texts if text]
    return found


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
    for cluster in spec.clusters:
        yield _ordinary(cluster, of_network(subnetworks, name), auto=auto, question=question)


def _ordinary(cluster: ClusterSpec, subnetworks: Sequence[Json], *, auto: bool, question: Question) -> Finding:
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
    free = next(iter(subnets.proposals([cluster.region], subnets.taken(subnetworks)).values()), None)
    fix = (
        f"gcloud compute networks subnets create {wanted or network.vpc} --network={network.vpc} "
        f"--region={cluster.region} --range={free} --project={question.project}"
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
    for cluster in spec.targets:
        yield _proxy_subnet(cluster, here, pod_ranges(seen, spec.network.vpc), auto=auto, question=question)


def _proxy_subnet(
    cluster: ClusterSpec,
    here: Sequence[Json],
    pods: Sequence[tuple[str, IPv4Network]],
    *,
    auto: bool,
    question: Question,
) -> Finding:
    region, wanted = cluster.region, cluster.proxy_subnet
    identity = f"subnet/{region}"
    active = subnets.active_proxy(here, region)
    if active is not None:
        text = f"{region} has the proxy-only subnet {active['name']} ({active.get('ipCidrRange')}), which is used"
        return Finding(identity, Verdict.OK, text, SUBNET_WHY, None, TOPIC)
    if regional := subnets.regional_proxy(here, region):
        text = f"{region} has {regional}, a proxy-only subnet for regional load balancers, which excludes a global one"
        fix = f"gcloud compute networks subnets delete {regional} --region={region} --project={question.project}"
        return Finding(identity, Verdict.FAIL, text, SUBNET_WHY, fix, TOPIC)
    held = [*((str(one["name"]), block) for one in here for block in subnets.taken([one])), *pods]
    if not isinstance(wanted, IPv4Network):
        free = subnets.proposals([region], [block for _, block in held]).get(region)
        if free is None:
            text = f"no /23 is left for a proxy-only subnet in {question.spec.network.vpc}"
            return Finding(identity, Verdict.FAIL, text, SUBNET_WHY, _another_vpc(question), TOPIC)
        return Finding(identity, Verdict.OK, f"{free} is free for {region}", SUBNET_WHY, None, TOPIC)
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


# --- names that are taken ---------------------------------------------------------------------------------------------


async def _names(question: Question) -> Sequence[Finding]:
    clusters, memberships, features = await asyncio.gather(
        question.readings.clusters(), question.readings.memberships(), question.readings.features()
    )
    found = list(judge_clusters(clusters, question))
    found += judge_memberships(memberships, question)
    found.append(judge_feature(features, memberships, question))
    return found


def judge_clusters(clusters: Sequence[Json] | Gap, question: Question) -> Iterator[Finding]:
    """Whether a cluster's name is free, or belongs to a cluster that can be adopted."""
    spec = question.spec
    why = "a cluster of the same name is taken for the one that is wanted"
    for cluster in spec.clusters:
        identity = f"name/cluster/{cluster.name}"
        if isinstance(clusters, Gap):
            yield unread(identity, clusters, what="The clusters", why=why, topic=TOPIC)
            continue
        place = (cluster.region, cluster.name)
        seen = next((one for one in clusters if (one.get("location"), one.get("name")) == place), None)
        if seen is None:
            yield Finding(identity, Verdict.OK, f"{cluster.name} is free in {cluster.region}", why, None, TOPIC)
        elif str(seen.get("network", "default")).rpartition("/")[2] != spec.network.vpc:
            text = f"{cluster.name} exists in the VPC network {seen.get('network')}, which cannot be changed"
            yield Finding(identity, Verdict.FAIL, text, why, _other_name(spec, cluster, question), TOPIC)
        elif marks.ours(spec, seen.get("resourceLabels")):
            yield Finding(identity, Verdict.OK, f"{cluster.name} exists and is this stack's", why, None, TOPIC)
        else:
            text = f"{cluster.name} exists and was not made for this stack: it is adopted, and destroy leaves it"
            yield Finding(identity, Verdict.WARN, text, why, _other_name(spec, cluster, question), TOPIC)


def _other_name(spec: GatewaySpec, cluster: ClusterSpec, question: Question) -> str:
    taken = {one.name for one in spec.clusters}
    name = next(f"{cluster.name[:37]}-{number}" for number in range(2, 99) if f"{cluster.name}-{number}" not in taken)
    changed = {f"clusters__{cluster.name}__name": name}
    if spec.config_cluster == cluster.name:
        changed = {"config_cluster": name} | changed
    return question.setting(**changed)


def judge_memberships(memberships: Sequence[Json] | Gap, question: Question) -> Iterator[Finding]:
    """Whether a fleet membership of the same name belongs to another cluster."""
    why = "a membership of the same name keeps the cluster out of the fleet"
    for cluster in question.spec.clusters:
        identity = f"name/membership/{cluster.name}"
        if isinstance(memberships, Gap):
            yield unread(identity, memberships, what="The fleet memberships", why=why, topic=TOPIC)
            continue
        own = f"/locations/{cluster.region}/clusters/{cluster.name}"
        other = next(
            (
                link
                for one in memberships
                if str(one.get("name", "")).endswith(f"/locations/global/memberships/{cluster.name}")
                and (link := _link(one))
                and not link.endswith(own)
            ),
            "",
        )
        if other:
            text = f"the membership {cluster.name} belongs to {other.partition('/projects/')[2] or other}"
            fix = f"gcloud container fleet memberships delete {cluster.name} --project={question.project}"
            yield Finding(identity, Verdict.FAIL, text, why, fix, TOPIC)
        else:
            text = f"the membership {cluster.name} is free or this cluster's"
            yield Finding(identity, Verdict.OK, text, why, None, TOPIC)


def judge_feature(features: Sequence[Json] | Gap, memberships: Sequence[Json] | Gap, question: Question) -> Finding:
    """Whether the fleet's one config cluster is another one already."""
    identity, spec = "fleet/config-cluster", question.spec
    why = "a fleet has one config cluster, and mcig never moves it away from others"
    if isinstance(features, Gap):
        return unread(identity, features, what="The fleet's features", why=why, topic=TOPIC)
    feature = next((one for one in features if str(one.get("name", "")).endswith("/multiclusteringress")), None)
    if feature is None:
        return Finding(identity, Verdict.OK, "the fleet has no config cluster yet", why, None, TOPIC)
    points_at = _config_membership(feature)
    links = {str(one.get("name")): _link(one) for one in (() if isinstance(memberships, Gap) else memberships)}
    tail = points_at.partition("/locations/")[2]
    linked = next((link for name, link in links.items() if name.partition("/locations/")[2] == tail), "")
    own = f"/locations/{spec.config.region}/clusters/{spec.config.name}"
    short = points_at.rpartition("/")[2]
    if linked.endswith(own) if linked else short == spec.config.name:
        return Finding(identity, Verdict.OK, f"{spec.config.name} is the fleet's config cluster", why, None, TOPIC)
    text = f"the fleet's config cluster is {short or 'unknown'}, not {spec.config.name}"
    if short in {cluster.name for cluster in spec.clusters}:
        return Finding(identity, Verdict.FAIL, text, why, question.setting(config_cluster=short), TOPIC)
    text += "; who has set it up can say whether it is still used"
    fix = f"gcloud container fleet ingress describe --project={question.project}"
    return Finding(identity, Verdict.FAIL, text, why, fix, TOPIC)


def _config_membership(feature: Mapping[str, object]) -> str:
    spec = feature.get("spec")
    ingress = spec.get("multiclusteringress") if isinstance(spec, dict) else None
    return str(ingress.get("configMembership", "")) if isinstance(ingress, dict) else ""


def _link(membership: Json) -> str:
    return str(((membership.get("endpoint") or {}).get("gkeCluster") or {}).get("resourceLink", ""))


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
    Check(
        "name/KIND/NAME, fleet/config-cluster",
        TOPIC,
        "clusters, fleet memberships, the fleet's config cluster",
        "things of others under the same name",
        _names,
    ),
)
