"""What a VPC network's subnetworks leave room for: which ranges are free, and what excludes a proxy-only subnet.

Invariant: everything here is a pure function of what is there; clusters that are planned together get different
ranges, and a second run proposes what the first one did.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network

from backend.clients.google import Json
from backend.spec import GatewaySpec

GLOBAL_PROXY = "GLOBAL_MANAGED_PROXY"
REGIONAL_PROXY = frozenset({"REGIONAL_MANAGED_PROXY", "INTERNAL_HTTPS_LOAD_BALANCER"})
"""Purposes that exclude the global one in a region; the second is the older name of the first."""
PREFIX = 23
HOMES = (IPv4Network("192.168.0.0/16"), IPv4Network("172.24.0.0/13"), IPv4Network("172.20.0.0/14"))
"""Where ranges are proposed, each from its top.

All lie outside 10.0.0.0/8, out of which GKE takes the /14 of a cluster's Pods and an auto-mode network its
10.128.0.0/9; and clear of 172.16.0.0/16 and 172.17.0.0/16, which control planes and container runtimes like to use.
"""


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


def regional_proxy(subnetworks: Iterable[Json], region: str) -> str:
    """Name of a region's proxy-only subnet for regional load balancers, which excludes a global one; else empty."""
    for subnetwork in subnetworks:
        if subnetwork.get("purpose") in REGIONAL_PROXY and in_region(subnetwork, region):
            return str(subnetwork["name"])
    return ""


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


def ranges(spec: GatewaySpec, subnetworks: Iterable[Json], clusters: Iterable[Json]) -> Mapping[str, IPv4Network]:
    """The range of each proxy-only subnet that has to be made, by region; where nothing is left, none.

    ``subnetworks`` are those of the specification's network, ``clusters`` those of the project. A range that the
    specification names is given as it is; free ones keep clear of it.
    """
    here = list(subnetworks)
    lacking = [cluster for cluster in spec.targets if active_proxy(here, cluster.region) is None]
    named = {one.region: one.proxy_subnet for one in lacking if isinstance(one.proxy_subnet, IPv4Network)}
    free = [cluster.region for cluster in lacking if cluster.region not in named]
    pods = [block for _, block in pod_ranges(clusters, spec.network.vpc)]
    return named | dict(proposals(free, [*taken(here), *pods, *named.values()]))


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
