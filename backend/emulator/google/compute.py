"""Compute Engine, read side: project, regions, zones, machine and accelerator types."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

from backend.emulator import settings
from backend.emulator.google import geography, quota
from backend.emulator.google.errors import ApiError
from backend.emulator.google.filtering import predicate
from backend.emulator.google.operations import stamp
from backend.emulator.google.routing import Call, Routes, page
from backend.emulator.world import World

Json = dict[str, Any]
BASE = "https://www.googleapis.com/compute/v1"
CREATED = 1_735_689_600.0
"""When everything that was always there was made: 2025-01-01, in Unix seconds."""
routes = Routes("compute.googleapis.com", "/compute/v1")


def link(world: World, path: str) -> str:
    """The selfLink of `path` below the project."""
    return f"{BASE}/projects/{world.project}/{path}"


@lru_cache(maxsize=8192)
def identity(text: str) -> str:
    """A stable 64-bit id in decimal, as Compute Engine shows ids."""
    return str(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1)


def not_found(world: World, path: str) -> ApiError:
    """404 in the words of Compute Engine."""
    return ApiError(404, f"The resource 'projects/{world.project}/{path}' was not found")


def listing(call: Call, items: list[Json], kind: str, path: str) -> Json:
    """One page of a list answer, after the request's `filter`."""
    chosen, following = page(call, matching(call, items), size="maxResults")
    answer = {
        "kind": f"compute#{kind}",
        "id": f"projects/{call.world.project}/{path}",
        "items": chosen,
        "selfLink": link(call.world, path),
    }
    return answer | ({"nextPageToken": following} if following else {})


def matching(call: Call, items: list[Json]) -> list[Json]:
    """The items that pass the request's `filter`."""
    passes = predicate(call.query.get("filter", ""))
    return [one for one in items if passes(one)]


def region_view(call: Call, region: str | None = None) -> Json:
    world = call.world
    name = region or call.path["region"]
    if name not in geography.REGIONS:
        raise not_found(world, f"regions/{name}")
    return {
        "kind": "compute#region",
        "id": identity(name),
        "creationTimestamp": stamp(CREATED),
        "name": name,
        "description": name,
        "status": "UP",
        "zones": [link(world, f"zones/{zone}") for zone in geography.REGIONS[name]],
        "quotas": quota.of_region(world, name),
        "selfLink": link(world, f"regions/{name}"),
    }


def _zone(world: World, name: str) -> Json:
    region = geography.ZONES.get(name)
    if region is None:
        raise not_found(world, f"zones/{name}")
    return {
        "kind": "compute#zone",
        "id": identity(name),
        "creationTimestamp": stamp(CREATED),
        "name": name,
        "description": name,
        "status": "UP",
        "region": link(world, f"regions/{region}"),
        "selfLink": link(world, f"zones/{name}"),
    }


def _machines_in(world: World, zone: str) -> list[geography.Machine]:
    """The machine types of a zone, and as many more as are set, by name."""
    more = int(settings.value(world, f"machines.{zone}") or 0)
    return geography.machines_in(zone) + [geography.Machine(f"x9-custom-{n:05}", 8, 32) for n in range(more)]


def _machine(world: World, zone: str, machine: geography.Machine) -> Json:
    view = {
        "kind": "compute#machineType",
        "id": identity(machine.name),
        "creationTimestamp": stamp(CREATED),
        "name": machine.name,
        "description": f"{machine.cpus} vCPUs {machine.memory_gib} GB RAM",
        "guestCpus": machine.cpus,
        "memoryMb": machine.memory_gib * 1024,
        "maximumPersistentDisks": 128,
        "maximumPersistentDisksSizeGb": "263168",
        "zone": zone,
        "selfLink": link(world, f"zones/{zone}/machineTypes/{machine.name}"),
        "isSharedCpu": machine.name == "e2-medium",
    }
    if machine.accelerator:
        view["accelerators"] = [
            {"guestAcceleratorType": machine.accelerator, "guestAcceleratorCount": machine.accelerators}
        ]
    return view


def _accelerators(world: World, zone: str) -> list[Json]:
    return [
        {
            "kind": "compute#acceleratorType",
            "id": identity(name),
            "creationTimestamp": stamp(CREATED),
            "name": name,
            "description": geography.ACCELERATORS[name],
            "maximumCardsPerInstance": most,
            "zone": link(world, f"zones/{zone}"),
            "selfLink": link(world, f"zones/{zone}/acceleratorTypes/{name}"),
        }
        for name, most in sorted(geography.accelerators_in(zone).items())
    ]


def aggregated(call: Call, kind: str, path: str, scopes: dict[str, list[Json]], field: str) -> Json:
    """One page of a list over all regions or zones; a scope without items on it carries Google's warning."""
    passes = predicate(call.query.get("filter", ""))
    every = [(scope, item) for scope, found in scopes.items() for item in found if passes(item)]
    chosen, following = page(call, every, size="maxResults")
    items: Json = {}
    for scope in scopes:
        here = [item for where, item in chosen if where == scope]
        message = f"There are no results for scope '{scope}' on this page."
        data = [{"key": "scope", "value": scope}]
        warning = {"warning": {"code": "NO_RESULTS_ON_PAGE", "message": message, "data": data}}
        items[scope] = {field: here} if here else warning
    world = call.world
    answer = {
        "kind": f"compute#{kind}",
        "id": f"projects/{world.project}/{path}",
        "items": items,
        "selfLink": link(world, path),
    }
    return answer | ({"nextPageToken": following} if following else {})


@routes.add("GET", "/projects/{project}", "compute.projects.get")
def get_project(call: Call) -> Json:
    """The project with its global quotas."""
    world = call.world
    return {
        "kind": "compute#project",
        "id": world.project_number,
        "creationTimestamp": stamp(CREATED),
        "name": world.project,
        "commonInstanceMetadata": {"kind": "compute#metadata", "fingerprint": "4DpR1yzRPJE="},
        "quotas": quota.of_project(world),
        "selfLink": f"{BASE}/projects/{world.project}",
        "defaultServiceAccount": f"{world.project_number}-compute@developer.gserviceaccount.com",
        "xpnProjectStatus": "UNSPECIFIED_XPN_PROJECT_STATUS",
        "defaultNetworkTier": "PREMIUM",
        "vmDnsSetting": "ZONAL_ONLY",
    }


@routes.add("GET", "/projects/{project}/regions", "compute.regions.list")
def list_regions(call: Call) -> Json:
    """Every region with its quotas."""
    return listing(call, [region_view(call, name) for name in sorted(geography.REGIONS)], "regionList", "regions")


@routes.add("GET", "/projects/{project}/regions/{region}", "compute.regions.get")
def get_region(call: Call) -> Json:
    """One region with its quotas."""
    return region_view(call)


@routes.add("GET", "/projects/{project}/zones", "compute.zones.list")
def list_zones(call: Call) -> Json:
    """Every zone."""
    return listing(call, [_zone(call.world, name) for name in sorted(geography.ZONES)], "zoneList", "zones")


@routes.add("GET", "/projects/{project}/zones/{zone}", "compute.zones.get")
def get_zone(call: Call) -> Json:
    """One zone."""
    return _zone(call.world, call.path["zone"])


@routes.add("GET", "/projects/{project}/zones/{zone}/machineTypes", "compute.machineTypes.list")
def list_machines(call: Call) -> Json:
    """Machine types of a zone."""
    zone = _zone(call.world, call.path["zone"])["name"]
    found = [_machine(call.world, zone, machine) for machine in _machines_in(call.world, zone)]
    return listing(call, found, "machineTypeList", f"zones/{zone}/machineTypes")


@routes.add("GET", "/projects/{project}/zones/{zone}/machineTypes/{machine}", "compute.machineTypes.get")
def get_machine(call: Call) -> Json:
    """One machine type, where the zone has it."""
    zone = _zone(call.world, call.path["zone"])["name"]
    for machine in _machines_in(call.world, zone):
        if machine.name == call.path["machine"]:
            return _machine(call.world, zone, machine)
    raise not_found(call.world, f"zones/{zone}/machineTypes/{call.path['machine']}")


@routes.add("GET", "/projects/{project}/aggregated/machineTypes", "compute.machineTypes.list")
def aggregated_machines(call: Call) -> Json:
    """Machine types of all zones."""
    world = call.world
    scopes = {
        f"zones/{zone}": [_machine(world, zone, machine) for machine in _machines_in(world, zone)]
        for zone in sorted(geography.ZONES)
    }
    return aggregated(call, "machineTypeAggregatedList", "aggregated/machineTypes", scopes, "machineTypes")


@routes.add("GET", "/projects/{project}/zones/{zone}/acceleratorTypes", "compute.acceleratorTypes.list")
def list_accelerators(call: Call) -> Json:
    """Accelerator types of a zone."""
    zone = _zone(call.world, call.path["zone"])["name"]
    return listing(call, _accelerators(call.world, zone), "acceleratorTypeList", f"zones/{zone}/acceleratorTypes")


@routes.add("GET", "/projects/{project}/zones/{zone}/acceleratorTypes/{accelerator}", "compute.acceleratorTypes.get")
def get_accelerator(call: Call) -> Json:
    """One accelerator type, where the zone has it."""
    zone = _zone(call.world, call.path["zone"])["name"]
    for accelerator in _accelerators(call.world, zone):
        if accelerator["name"] == call.path["accelerator"]:
            return accelerator
    raise not_found(call.world, f"zones/{zone}/acceleratorTypes/{call.path['accelerator']}")


@routes.add("GET", "/projects/{project}/aggregated/acceleratorTypes", "compute.acceleratorTypes.list")
def aggregated_accelerators(call: Call) -> Json:
    """Accelerator types of all zones."""
    scopes = {f"zones/{zone}": _accelerators(call.world, zone) for zone in sorted(geography.ZONES)}
    return aggregated(call, "acceleratorTypeAggregatedList", "aggregated/acceleratorTypes", scopes, "acceleratorTypes")
