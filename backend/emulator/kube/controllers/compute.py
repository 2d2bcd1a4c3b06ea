"""Rows of the Compute tables that controllers own: how they are named, described, written and removed.

`tables[COLLECTION]["SCOPE/NAME"]` holds the resource as the Compute API sends it. Invariant: a controller changes
only rows whose `description` names the Kubernetes object that it acts for, so what an object left behind can be told
from what another one needs.
"""

from __future__ import annotations

import json
from typing import Any

from backend.emulator.kube.controllers.objects import BASE36, digest, name_of, namespace_of, suffix, timestamp
from backend.emulator.kube.controllers.seams import Object, World
from backend.emulator.kube.controllers.turn import Turn

ROOT = "https://www.googleapis.com/compute/v1"
LONGEST_NAME = 63
KINDS = {
    "addresses": "address",
    "backendServices": "backendService",
    "firewalls": "firewall",
    "forwardingRules": "forwardingRule",
    "healthChecks": "healthCheck",
    "networkEndpointGroups": "networkEndpointGroup",
    "targetHttpProxies": "targetHttpProxy",
    "urlMaps": "urlMap",
}
"""Collection -> the `kind` of its rows, after "compute#"."""


def scope_path(scope: str) -> str:
    """ "global", "zones/ZONE" or "regions/REGION" for the scope part of a row's key."""
    if scope == "global":
        return scope
    return f"zones/{scope}" if scope[-2] == "-" and scope[-1].isalpha() else f"regions/{scope}"


def url(world: World, collection: str, key: str) -> str:
    """The full URL of the row `key` ("SCOPE/NAME") of a collection."""
    scope, _, name = key.partition("/")
    return f"{ROOT}/projects/{world.project}/{scope_path(scope)}/{collection}/{name}"


def path(world: World, collection: str, key: str) -> str:
    """The row's path as GKE writes it into annotations: with the project's number and without a host."""
    scope, _, name = key.partition("/")
    return f"/projects/{world.project_number}/{scope_path(scope)}/{collection}/{name}"


def network_url(world: World, cluster: str) -> str:
    """The URL of the VPC that a cluster is in."""
    row = world.tables.get("clusters", {}).get(cluster, {})
    return named(world, "global/networks", row.get("network") or "default")


def named(world: World, parent: str, name: str) -> str:
    """The URL of a resource that may be given by name, by path or by URL."""
    if "projects/" in name:
        return f"{ROOT}/projects/{name.partition('projects/')[2]}"
    return f"{ROOT}/projects/{world.project}/{parent}/{name}"


def generated(prefix: str, *stable: object) -> str:
    """`prefix` and twelve letters that depend on `stable` alone, no longer than Compute allows."""
    return f"{prefix[: LONGEST_NAME - 13]}-{suffix(12, *stable, alphabet=BASE36)}"


def description(world: World, cluster: str, kind: str, obj: Object) -> str:
    """What GKE writes into the description of what it makes for a Kubernetes object."""
    location, _, name = cluster.partition("/")
    return json.dumps(
        {
            "k8sCluster": f"/projects/{world.project_number}/locations/{location}/clusters/{name}",
            "k8sResource": f"/namespaces/{namespace_of(obj)}/{kind}/{name_of(obj)}",
            "k8sResourceType": kind.upper().removesuffix("S"),
        }
    )


def settle(turn: Turn, owner: str, wanted: dict[str, dict[str, dict[str, Any]]]) -> None:
    """Make the rows described as `owner` exactly `wanted` (collection -> key -> members beyond the common ones)."""
    world = turn.world
    changed = False
    for collection, kind in KINDS.items():
        table = world.tables.setdefault(collection, {})
        rows = wanted.get(collection, {})
        for key in [key for key, row in table.items() if row.get("description") == owner and key not in rows]:
            del table[key]
            changed = True
        for key, members in rows.items():
            scope, _, name = key.partition("/")
            own: dict[str, Any] = {
                "kind": f"compute#{kind}",
                "id": str(digest(collection, key) % 2**63),
                "creationTimestamp": table.get(key, {}).get("creationTimestamp", timestamp(turn.now)),
                "name": name,
                "description": owner,
                "selfLink": url(world, collection, key),
            }
            located = scope_path(scope)
            if located != "global":
                own[located.partition("/")[0].removesuffix("s")] = f"{ROOT}/projects/{world.project}/{located}"
            if table.get(key) != own | members:
                table[key] = own | members
                changed = True
    if changed:
        world.touch()
