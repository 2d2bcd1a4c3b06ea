"""Subnetworks: one automatic per region in an auto-mode network, and what people add to any.

The rules that bite a multi-cluster gateway: ranges of a network never overlap (clusters' Pod ranges count, and so
does the automatic 10.128.0.0/9), one ACTIVE proxy-only subnetwork per region and network, and none is deleted under a
Gateway that uses it.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
import re
from collections.abc import Iterator
from typing import Any

from backend.emulator.google import geography, messages, networks, operations
from backend.emulator.google.compute import BASE, CREATED, aggregated, identity, link, listing, not_found, routes
from backend.emulator.google.compute_operations import API, operation_view
from backend.emulator.google.errors import ApiError
from backend.emulator.google.operations import stamp
from backend.emulator.google.routing import Call
from backend.emulator.world import World

Json = dict[str, Any]
_AUTO_BLOCK = ipaddress.IPv4Network("10.128.0.0/9")
PROXY_ONLY = ("REGIONAL_MANAGED_PROXY", "GLOBAL_MANAGED_PROXY", "INTERNAL_HTTPS_LOAD_BALANCER")
_PURPOSES = (*PROXY_ONLY, "PRIVATE", "PRIVATE_RFC_1918", "PRIVATE_SERVICE_CONNECT", "PRIVATE_NAT")
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


def refused(field: str, value: Any, why: str) -> ApiError:
    """400 for a field that cannot have a value, in the words of Compute Engine."""
    return ApiError(400, f"Invalid value for field 'resource.{field}': '{value}'. {why}", reason="invalid")


def fingerprint(subnet: Json) -> str:
    """The mark that a change of a subnetwork must name."""
    fields = {name: value for name, value in subnet.items() if name != "fingerprint"}
    return base64.b64encode(hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).digest()[:8]).decode()


def _automatic(world: World, region: str, network: str) -> Json:
    cidr = geography.AUTO_SUBNETS[region]
    subnet: Json = {
        "kind": "compute#subnetwork",
        "id": identity(f"{region}/{network}"),
        "creationTimestamp": stamp(CREATED),
        "name": network,
        "network": link(world, f"global/networks/{network}"),
        "ipCidrRange": cidr,
        "gatewayAddress": str(ipaddress.IPv4Network(cidr)[1]),
        "region": link(world, f"regions/{region}"),
        "selfLink": link(world, f"regions/{region}/subnetworks/{network}"),
        "privateIpGoogleAccess": False,
        "privateIpv6GoogleAccess": "DISABLE_GOOGLE_ACCESS",
        "purpose": "PRIVATE",
        "stackType": "IPV4_ONLY",
    }
    return _with_pods(world, region, subnet | world.tables["subnetworkChanges"].get(f"{region}/{network}", {}))


def _with_pods(world: World, region: str, subnet: Json) -> Json:
    """The subnetwork with the Pod ranges of the clusters that are in it."""
    ranges = [
        {"rangeName": one["ipAllocationPolicy"]["clusterSecondaryRangeName"], "ipCidrRange": one["clusterIpv4Cidr"]}
        for one in world.tables["clusters"].values()
        if geography.region_of(one["location"]) == region
        and one["subnetwork"] == subnet["name"]
        and one["network"] == networks.bare(subnet["network"])
    ]
    if not ranges:
        return subnet if "fingerprint" in subnet else subnet | {"fingerprint": fingerprint(subnet)}
    shown = subnet | {"secondaryIpRanges": [*subnet.get("secondaryIpRanges", ()), *ranges]}
    return shown | {"fingerprint": fingerprint(shown)}


def ranges(world: World, network: str = networks.DEFAULT) -> Iterator[tuple[ipaddress.IPv4Network, str, str]]:
    """Every range that is taken in a network, with the subnetwork's name and region."""
    for region in geography.AUTO_SUBNETS:
        for subnet in _of_region(world, region):
            if networks.bare(subnet["network"]) != network:
                continue
            for cidr in (subnet["ipCidrRange"], *(one["ipCidrRange"] for one in subnet.get("secondaryIpRanges", []))):
                yield ipaddress.IPv4Network(cidr), subnet["name"], region


def _given(world: World, of: str) -> bool:
    """Whether a subnetwork is one that its network made by itself."""
    return of not in world.tables["subnetworks"] and of.partition("/")[2] in networks.rows(world)


def free_range(world: World, prefix: int, network: str = networks.DEFAULT) -> str:
    """The first range of 10.0.0.0/8 of this prefix length that overlaps nothing; raises ApiError when there is none."""
    taken = [taken for taken, _, _ in ranges(world, network)] + [_AUTO_BLOCK]
    for candidate in ipaddress.IPv4Network("10.0.0.0/8").subnets(new_prefix=prefix):
        if not any(candidate.overlaps(one) for one in taken):
            return str(candidate)
    raise ApiError(400, f'Network "{network}" has no free range of size /{prefix}.', reason="badRequest")


def _of_region(world: World, region: str) -> list[Json]:
    if region not in geography.REGIONS:
        raise not_found(world, f"regions/{region}")
    given = [_automatic(world, region, name) for name, row in networks.rows(world).items() if row["auto"]]
    own = [subnet for key, subnet in world.tables["subnetworks"].items() if key.startswith(f"{region}/")]
    return [*given, *(_with_pods(world, region, subnet) for subnet in own)]


def found(call: Call) -> Json:
    """The subnetwork that the path names; raises ApiError without it."""
    region, name = call.path["region"], call.path["subnet"]
    for subnet in _of_region(call.world, region):
        if subnet["name"] == name:
            return subnet
    raise not_found(call.world, f"regions/{region}/subnetworks/{name}")


@routes.add("GET", "/projects/{project}/regions/{region}/subnetworks", "compute.subnetworks.list")
def list_subnets(call: Call) -> Json:
    """Subnetworks of a region."""
    region = call.path["region"]
    return listing(call, _of_region(call.world, region), "subnetworkList", f"regions/{region}/subnetworks")


@routes.add("GET", "/projects/{project}/aggregated/subnetworks", "compute.subnetworks.list")
def aggregated_subnets(call: Call) -> Json:
    """Subnetworks of all regions."""
    scopes = {f"regions/{region}": _of_region(call.world, region) for region in sorted(geography.REGIONS)}
    return aggregated(call, "subnetworkAggregatedList", "aggregated/subnetworks", scopes, "subnetworks")


@routes.add("GET", "/projects/{project}/regions/{region}/subnetworks/{subnet}", "compute.subnetworks.get")
def get_subnet(call: Call) -> Json:
    """One subnetwork."""
    return found(call)


@routes.add(
    "POST", "/projects/{project}/regions/{region}/subnetworks", "compute.subnetworks.create", messages.SUBNETWORK
)
def insert_subnet(call: Call) -> Json:
    """Make a subnetwork."""
    world, body, region = call.world, call.body, call.path["region"]
    existing = _of_region(world, region)
    name = str(body.get("name", ""))
    if not _NAME.fullmatch(name):
        raise refused("name", name, f"Must be a match of regex '(?:{_NAME.pattern})'")
    if any(one["name"] == name for one in existing):
        raise ApiError(
            409, f"The resource 'projects/{world.project}/regions/{region}/subnetworks/{name}' already exists"
        )
    wanted = str(body.get("network", ""))
    network = networks.bare(wanted)
    if network not in networks.rows(world) or not wanted.endswith(
        f"projects/{world.project}/global/networks/{network}"
    ):
        raise refused("network", wanted, "The referenced network resource cannot be found.")
    _check_purpose(body, [one for one in existing if networks.bare(one["network"]) == network])
    cidr = check_range(world, str(body.get("ipCidrRange", "")), network)
    purpose = body.get("purpose", "PRIVATE")
    subnet: Json = {
        "kind": "compute#subnetwork",
        "id": identity(f"{region}/{name}/{world.now()}"),
        "creationTimestamp": stamp(world.now()),
        "name": name,
        **({"description": body["description"]} if body.get("description") else {}),
        "network": link(world, f"global/networks/{network}"),
        "ipCidrRange": str(cidr),
        "gatewayAddress": str(cidr[1]),
        "region": link(world, f"regions/{region}"),
        "selfLink": link(world, f"regions/{region}/subnetworks/{name}"),
        "privateIpGoogleAccess": bool(body.get("privateIpGoogleAccess", False)),
        "privateIpv6GoogleAccess": "DISABLE_GOOGLE_ACCESS",
        "purpose": purpose,
        "stackType": "IPV4_ONLY",
    }
    if purpose in PROXY_ONLY:
        subnet["role"] = body["role"]
    subnet["fingerprint"] = fingerprint(subnet)
    world.tables["subnetworks"][f"{region}/{name}"] = subnet
    return begin(world, "insert", "subnet.create", region, name)


def _check_purpose(body: Json, existing: list[Json]) -> None:
    purpose, role = body.get("purpose", "PRIVATE"), body.get("role", "UNSPECIFIED_ROLE")
    if purpose not in _PURPOSES:
        raise refused("purpose", purpose, f"Must be one of {', '.join(_PURPOSES)}")
    if purpose not in PROXY_ONLY:
        return
    if role not in {"ACTIVE", "BACKUP"}:
        raise refused("role", role, f"Subnetwork role must be specified when purpose set to {purpose}.")
    if "logConfig" in body:
        raise refused(
            "logConfig", json.dumps(body["logConfig"]), f"Invalid field set in subnetwork with purpose {purpose}."
        )
    for one in existing:
        if one["purpose"] in PROXY_ONLY and (one["purpose"] != purpose or one["role"] == role):
            other = one["selfLink"].removeprefix(f"{BASE}/")
            why = f"A proxy-only subnetwork '{other}' with purpose {one['purpose']} and role {one['role']} exists."
            raise refused("purpose", purpose, why)


def check_range(world: World, text: str, network: str, *, of: str = "") -> ipaddress.IPv4Network:
    """The range that a text means; raises ApiError where it cannot be, or is taken by another than ``of``.

    ``of`` is ``REGION/NAME`` of the subnetwork that the range is for.
    """
    try:
        cidr = ipaddress.IPv4Network(text)
    except ValueError:
        raise refused(
            "ipCidrRange", text, f"Must be a CIDR address range that is contained in the RFC1918 space: '{text}'."
        ) from None
    if not 4 <= cidr.prefixlen <= 29:
        raise refused("ipCidrRange", text, "The prefix length must be between 4 and 29.")
    if cidr.overlaps(_AUTO_BLOCK) and networks.automatic(world, network) and not _given(world, of):
        raise refused(
            "ipCidrRange", text, f"Extended subnetworks in auto subnet mode networks cannot overlap with {_AUTO_BLOCK}."
        )
    for taken, name, where in ranges(world, network):
        if cidr.overlaps(taken) and f"{where}/{name}" != of:
            why = f"Invalid IPCidrRange: {text} conflicts with existing subnetwork '{name}' in region '{where}'."
            raise refused("ipCidrRange", text, why)
    return cidr


@routes.add("DELETE", "/projects/{project}/regions/{region}/subnetworks/{subnet}", "compute.subnetworks.delete")
def delete_subnet(call: Call) -> Json:
    """Delete a subnetwork that nothing uses."""
    world, region, subnet = call.world, call.path["region"], found(call)
    path = f"projects/{world.project}/regions/{region}/subnetworks/{subnet['name']}"
    if f"{region}/{subnet['name']}" not in world.tables["subnetworks"]:
        raise ApiError(400, "Cannot delete auto subnetwork from an auto subnet mode network.", reason="badRequest")
    user = next(_users(world, region, subnet), None)
    if user is not None:
        message = f"The subnetwork resource '{path}' is already being used by '{user}'"
        raise ApiError(400, message, reason="resourceInUseByAnotherResource")
    if next(operations.running(world, API, f"{region}/{subnet['name']}"), None):
        raise ApiError(400, f"The resource '{path}' is not ready", reason="resourceNotReady")
    return begin(world, "delete", "subnet.delete", region, subnet["name"])


def _users(world: World, region: str, subnet: Json) -> Iterator[str]:
    """What keeps a subnetwork: forwarding rules whose proxies have their addresses in it, and clusters."""
    network = networks.bare(subnet["network"])
    if subnet["purpose"] == "GLOBAL_MANAGED_PROXY":
        for rule in world.tables["forwardingRules"].values():
            internal = rule.get("loadBalancingScheme") == "INTERNAL_MANAGED"
            here = f"/regions/{region}/" in rule.get("subnetwork", "")
            if internal and here and networks.bare(rule.get("network", network)) == network:
                yield rule["selfLink"].removeprefix(f"{BASE}/")
    for cluster in world.tables["clusters"].values():
        inside = (cluster["network"], cluster["subnetwork"]) == (network, subnet["name"])
        if inside and geography.region_of(cluster["location"]) == region:
            yield cluster["selfLink"].partition("/v1/")[2]


def begin(world: World, kind: str, what: str, region: str, name: str, *, pace: str = "", **view: Any) -> Json:
    """Start an operation on a subnetwork and show it."""
    target = link(world, f"regions/{region}/subnetworks/{name}")
    record = operations.start(
        world, api=API, location=region, what=what, key=f"{region}/{name}", pace=pace, type=kind, target=target, **view
    )
    return operation_view(world, record)


@operations.effect("subnet.create")
def _created(world: World, record: Json) -> None:
    subnet = world.tables["subnetworks"][record["key"]]
    if subnet["purpose"] in PROXY_ONLY:
        subnet["state"] = "READY"
        subnet["fingerprint"] = fingerprint(subnet)


@operations.effect("subnet.delete")
def _deleted(world: World, record: Json) -> None:
    world.tables["subnetworks"].pop(record["key"], None)
