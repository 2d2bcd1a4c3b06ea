"""Subnetworks: what can be changed of one that exists: its size, access to Google's APIs, role and secondary ranges.

Invariants: a range only grows; a change names the fingerprint of what it was read from; of two proxy-only subnetworks
of a region one is active, and Pod ranges of clusters stay as long as their clusters.
"""

from __future__ import annotations

import ipaddress
import json
from typing import Any

from backend.emulator.google import messages, networks, operations
from backend.emulator.google.compute import routes
from backend.emulator.google.errors import ApiError
from backend.emulator.google.routing import Call
from backend.emulator.google.subnetworks import PROXY_ONLY, begin, check_range, fingerprint, found, refused
from backend.emulator.world import World

Json = dict[str, Any]
_AT = "/projects/{project}/regions/{region}/subnetworks/{subnet}"
_PATCHED = frozenset({"role", "secondaryIpRanges", "privateIpGoogleAccess"})
_SAME = frozenset({"fingerprint", "name", "network", "region", "purpose", "kind", "id", "selfLink"})
"""Fields that a patch may repeat."""
_STANDARD = str.maketrans("-_", "+/")
"""gcloud gives back in base64url what it got in base64."""


@routes.add(
    "POST",
    f"{_AT}/setPrivateIpGoogleAccess",
    "compute.subnetworks.setPrivateIpGoogleAccess",
    messages.SET_PRIVATE_ACCESS,
)
def set_access(call: Call) -> Json:
    """Open or close the way to Google's APIs for machines without a public address."""
    return _begin(
        call, "setPrivateIpGoogleAccess", {"privateIpGoogleAccess": bool(call.body.get("privateIpGoogleAccess"))}
    )


@routes.add("POST", f"{_AT}/expandIpCidrRange", "compute.subnetworks.expandIpCidrRange", messages.EXPAND_RANGE)
def expand(call: Call) -> Json:
    """Make the range larger; there is no way back."""
    subnet, text = found(call), str(call.body.get("ipCidrRange", ""))
    network = networks.bare(subnet["network"])
    cidr = check_range(call.world, text, network, of=_key(call))
    now = ipaddress.IPv4Network(subnet["ipCidrRange"])
    if subnet["purpose"] in PROXY_ONLY:
        raise refused("ipCidrRange", text, f"A subnetwork with purpose {subnet['purpose']} cannot be expanded.")
    if cidr == now or not cidr.supernet_of(now):
        raise refused("ipCidrRange", text, f"New IP CIDR range must contain and be larger than the present one, {now}.")
    return _begin(call, "expandIpCidrRange", {"ipCidrRange": str(cidr), "gatewayAddress": str(cidr[1])})


@routes.add("PATCH", _AT, "compute.subnetworks.update", messages.SUBNETWORK)
def patch(call: Call) -> Json:
    """Change role, secondary ranges or the way to Google's APIs."""
    subnet, wanted = found(call), call.body
    for field in sorted(wanted.keys() - _PATCHED - _SAME):
        raise ApiError(501, f"The emulated Compute Engine does not update {field} of a subnetwork.")
    if str(wanted.get("fingerprint")).translate(_STANDARD) != subnet["fingerprint"]:
        raise ApiError(412, "Supplied fingerprint does not match current metadata fingerprint.")
    change = {field: wanted[field] for field in sorted(_PATCHED & wanted.keys())}
    if not change:
        raise ApiError(400, "At least one of the fields of the subnetwork must be specified.", reason="required")
    if "role" in change:
        _check_role(subnet, str(change["role"]))
    if "secondaryIpRanges" in change:
        change["secondaryIpRanges"] = _secondary(call, subnet, change["secondaryIpRanges"])
    return _begin(call, "patch", change)


def _check_role(subnet: Json, role: str) -> None:
    if subnet["purpose"] not in PROXY_ONLY:
        raise refused("role", role, f"A subnetwork with purpose {subnet['purpose']} has no role.")
    if role != "ACTIVE":
        raise refused("role", role, "Role can only be updated from BACKUP to ACTIVE.")


def _secondary(call: Call, subnet: Json, wanted: list[Json]) -> list[Json]:
    """The ranges that are kept beside those of clusters, which go with their clusters only."""
    of_clusters = [
        {"rangeName": one["ipAllocationPolicy"]["clusterSecondaryRangeName"], "ipCidrRange": one["clusterIpv4Cidr"]}
        for one in call.world.tables["clusters"].values()
    ]
    present = subnet.get("secondaryIpRanges", [])
    for one in present:
        if one in of_clusters and one not in wanted:
            why = f"The secondary range '{one['rangeName']}' is in use by a cluster."
            raise ApiError(400, why, reason="resourceInUseByAnotherResource")
    names = [one.get("rangeName", "") for one in wanted]
    if len(set(names)) != len(names) or "" in names:
        raise refused("secondaryIpRanges", json.dumps(wanted), "Names of secondary ranges must be unique.")
    for one in wanted:
        if one not in present:
            check_range(call.world, str(one.get("ipCidrRange", "")), networks.bare(subnet["network"]))
    return [one for one in wanted if one not in of_clusters]


def _key(call: Call) -> str:
    return f"{call.path['region']}/{call.path['subnet']}"


def _begin(call: Call, kind: str, change: Json) -> Json:
    subnet, region = found(call), call.path["region"]
    if next(operations.running(call.world, "compute", _key(call)), None):
        path = f"projects/{call.world.project}/regions/{region}/subnetworks/{subnet['name']}"
        raise ApiError(400, f"The resource '{path}' is not ready", reason="resourceNotReady")
    return begin(call.world, kind, "subnet.change", region, subnet["name"], pace="subnet.create", change=change)


@operations.effect("subnet.change")
def _changed(world: World, record: Json) -> None:
    change, key = record["view"]["change"], record["key"]
    own: Json | None = world.tables["subnetworks"].get(key)
    if own is None:
        kept = world.tables["subnetworkChanges"]
        kept[key] = kept.get(key, {}) | change
        return
    if change.get("role") == "ACTIVE":
        _stand_down(world, key, own)
    own |= change
    own["fingerprint"] = fingerprint(own)


def _stand_down(world: World, key: str, promoted: Json) -> None:
    """Make the subnetwork that was active until now the backup."""
    region = f"{key.partition('/')[0]}/"
    for name, other in world.tables["subnetworks"].items():
        same = (other["purpose"], other["network"]) == (promoted["purpose"], promoted["network"])
        if name.startswith(region) and name != key and same and other.get("role") == "ACTIVE":
            other["role"] = "BACKUP"
            other["fingerprint"] = fingerprint(other)
