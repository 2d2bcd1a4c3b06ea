"""Compute Engine: VPC networks. `default` is in auto mode and always there; others are made in either mode.

An auto-mode network has a subnetwork of its own name in every region. A custom-mode network has those that people make,
and a cluster in it has to be told which.
"""

from __future__ import annotations

import re
from typing import Any

from backend.emulator.google import geography, messages, operations
from backend.emulator.google.compute import BASE, CREATED, identity, link, listing, not_found, routes
from backend.emulator.google.compute_operations import API, operation_view
from backend.emulator.google.errors import ApiError
from backend.emulator.google.operations import stamp
from backend.emulator.google.routing import Call
from backend.emulator.world import World

Json = dict[str, Any]
DEFAULT = "default"
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_DEFAULT: Json = {"auto": True, "createdAt": CREATED, "description": "Default network for the project"}


def bare(reference: str) -> str:
    """The name in a reference to a resource by name, path or URL."""
    return reference.rpartition("/")[2]


def rows(world: World) -> dict[str, Json]:
    """Every network by name: whether it is in auto mode, when it was made, its description."""
    return {DEFAULT: _DEFAULT, **world.tables["networks"]}


def automatic(world: World, name: str) -> bool:
    """Whether a network is there and in auto mode."""
    return bool(rows(world).get(name, {}).get("auto"))


def subnetwork_for(world: World, region: str, wanted: Json) -> tuple[str, str]:
    """Names of network and subnetwork that a cluster in a region gets; refuses as Kubernetes Engine does."""
    network = bare(wanted.get("network", "") or DEFAULT)
    if network not in rows(world):
        raise ApiError(400, f'Project "{world.project}" has no network named "{network}".')
    named = bare(wanted.get("subnetwork", ""))
    if not named:
        if not automatic(world, network):
            raise ApiError(400, f'Network "{network}" uses manual subnet mode and requires specifying a subnetwork.')
        return network, network
    own = world.tables["subnetworks"].get(f"{region}/{named}")
    there = own is not None and bare(own["network"]) == network and own["purpose"] == "PRIVATE"
    if not there and not (named == network and automatic(world, network)):
        raise ApiError(400, f'Subnetwork "{named}" does not exist in network "{network}" in region "{region}".')
    return network, named


def _shown(world: World, name: str) -> Json:
    row = rows(world)[name]
    own = [key for key, subnet in world.tables["subnetworks"].items() if bare(subnet["network"]) == name]
    made = [f"regions/{key.replace('/', '/subnetworks/')}" for key in own]
    given = [f"regions/{region}/subnetworks/{name}" for region in geography.AUTO_SUBNETS] if row["auto"] else []
    return {
        "kind": "compute#network",
        "id": identity(name),
        "creationTimestamp": stamp(row["createdAt"]),
        "name": name,
        **({"description": row["description"]} if row["description"] else {}),
        "selfLink": link(world, f"global/networks/{name}"),
        "selfLinkWithId": link(world, f"global/networks/{identity(name)}"),
        "autoCreateSubnetworks": row["auto"],
        "subnetworks": [link(world, path) for path in (*given, *made)],
        "routingConfig": {"routingMode": "REGIONAL"},
        "networkFirewallPolicyEnforcementOrder": "AFTER_CLASSIC_FIREWALL",
    }


def _name(call: Call) -> str:
    name = call.path["network"]
    if name not in rows(call.world):
        raise not_found(call.world, f"global/networks/{name}")
    return name


@routes.add("GET", "/projects/{project}/global/networks", "compute.networks.list")
def list_networks(call: Call) -> Json:
    """The VPC networks."""
    return listing(call, [_shown(call.world, name) for name in rows(call.world)], "networkList", "global/networks")


@routes.add("GET", "/projects/{project}/global/networks/{network}", "compute.networks.get")
def get_network(call: Call) -> Json:
    """One VPC network."""
    return _shown(call.world, _name(call))


@routes.add("POST", "/projects/{project}/global/networks", "compute.networks.create", messages.NETWORK)
def insert_network(call: Call) -> Json:
    """Make a network in auto or custom mode."""
    world, name = call.world, str(call.body.get("name", ""))
    if not _NAME.fullmatch(name):
        why = f"Must be a match of regex '(?:{_NAME.pattern})'"
        raise ApiError(400, f"Invalid value for field 'resource.name': '{name}'. {why}", reason="invalid")
    if "autoCreateSubnetworks" not in call.body:
        why = "Networks must be created with either autoCreateSubnetworks or legacy IPv4Range set."
        raise ApiError(400, f"Invalid value for field 'resource': ''. {why}", reason="invalid")
    if name in rows(world):
        raise ApiError(409, f"The resource 'projects/{world.project}/global/networks/{name}' already exists")
    world.tables["networks"][name] = {
        "auto": bool(call.body["autoCreateSubnetworks"]),
        "createdAt": world.now(),
        "description": str(call.body.get("description", "")),
    }
    return _begin(world, "insert", "network.create", name)


@routes.add("DELETE", "/projects/{project}/global/networks/{network}", "compute.networks.delete")
def delete_network(call: Call) -> Json:
    """Delete a network that nothing is in."""
    world, name = call.world, _name(call)
    if name == DEFAULT:
        raise ApiError(501, "The emulated cloud keeps its default network.")
    for user in _users(world, name):
        message = f"The network resource 'projects/{world.project}/global/networks/{name}' is already being used by "
        raise ApiError(400, f"{message}'{user}'", reason="resourceInUseByAnotherResource")
    return _begin(world, "delete", "network.delete", name)


def _users(world: World, name: str) -> list[str]:
    subnets = [one["selfLink"] for one in world.tables["subnetworks"].values() if bare(one["network"]) == name]
    clusters = [one["selfLink"] for one in world.tables["clusters"].values() if one["network"] == name]
    return [one.removeprefix(f"{BASE}/") for one in (*subnets, *clusters)]


def _begin(world: World, kind: str, what: str, name: str) -> Json:
    target = link(world, f"global/networks/{name}")
    pace = what.replace("network", "subnet")
    record = operations.start(world, api=API, location="", what=what, key=name, pace=pace, type=kind, target=target)
    return operation_view(world, record)


@operations.effect("network.create")
def _created(_world: World, _record: Json) -> None:
    """A network counts from the request on."""


@operations.effect("network.delete")
def _deleted(world: World, record: Json) -> None:
    world.tables["networks"].pop(record["key"], None)
    changes = world.tables["subnetworkChanges"]
    for key in [one for one in changes if one.endswith(f"/{record['key']}")]:
        del changes[key]
