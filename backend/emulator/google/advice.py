"""Compute Engine: advice on capacity, and what Spot machines cost and how often they were taken away.

The world says how likely machines are to be had in each zone; a zone that a fault has run out of is at 0. Prices are a
dated excerpt and the same everywhere but where they are known or set otherwise.
"""

from __future__ import annotations

import hashlib
from typing import Any

from backend.emulator import faults, settings
from backend.emulator.google import geography, messages
from backend.emulator.google.compute import not_found, routes
from backend.emulator.google.errors import ApiError, invalid
from backend.emulator.google.operations import stamp
from backend.emulator.google.routing import Call
from backend.emulator.world import World

Json = dict[str, Any]
DAY_S = 86400.0
USUAL_OBTAINABILITY = 0.8
UPTIME_S = 10800
_SHAPES = frozenset({"ANY", "ANY_SINGLE_ZONE", "BALANCED"})
_HISTORY = frozenset({"PREEMPTION", "PRICE"})
_SPOT_USD: dict[str, dict[str, float]] = {
    "a3-highgpu-2g": {"": 8.849, "us-east4": 8.910, "europe-west3": 18.376, "europe-west1": 9.737,
                      "europe-west4": 7.940, "us-east5": 9.958, "us-west1": 8.849, "asia-southeast1": 8.075},
    "a3-highgpu-1g": {"": 6.571},
    "a3-ultragpu-8g": {"": 50.088, "us-east4": 45.088, "europe-west1": 55.152},
}  # fmt: skip
"""Dollars an hour by region, the empty one for all others (price lists of 2025-03 and 2026-10)."""


def obtainability(world: World, zone: str, machine: str) -> float:
    """How likely Spot machines of a type are to be had in a zone, from 0 to 1."""
    found = geography.MACHINES.get(machine)
    if found is None or (found.zones is not None and zone not in found.zones):
        return 0.0
    if found.accelerator and faults.stockout(world, [zone]) is not None:
        return 0.0
    own = settings.value(world, f"capacity.{zone}.{machine}")
    return USUAL_OBTAINABILITY if own is None else float(own)


@routes.add(
    "POST", "/projects/{project}/regions/{region}/advice/capacity", "compute.advice.capacity", messages.CAPACITY_ADVICE
)
def capacity(call: Call) -> Json:
    """Where so many Spot machines are likeliest to be had, in one shard a zone."""
    world, region = call.world, _region(call)
    size = call.body.get("size", 0)
    if not isinstance(size, int) or not 0 < size <= 1000:
        raise invalid(f"Invalid value for field 'size': '{size}'. Must be between 1 and 1000.", field="size")
    model = _scheduling(call.body)
    machines = _machines(call.body)
    policy = call.body.get("distributionPolicy") or {}
    shape = policy.get("targetShape", "ANY")
    if shape not in _SHAPES:
        raise invalid(f"Invalid value for field 'distributionPolicy.targetShape': '{shape}'.")
    zones = [str(one.get("zone", "")).rpartition("/")[2] for one in policy.get("zones", ())]
    zones = zones or list(geography.REGIONS[region])
    for zone in zones:
        if geography.ZONES.get(zone) != region:
            raise invalid(f"Invalid value for field 'distributionPolicy.zones': '{zone}' is not in {region}.")
    scored = [(obtainability(world, zone, machine), zone, machine) for machine in machines for zone in zones]
    score, zone, machine = max(scored)
    shard = {"zone": f"zones/{zone}", "machineType": machine, "instanceCount": size, "provisioningModel": model}
    scores = {"obtainability": score, "estimatedUptime": f"{UPTIME_S}s"}
    return {"recommendations": [{"shards": [shard], "scores": scores}]}


@routes.add(
    "POST",
    "/projects/{project}/regions/{region}/advice/capacityHistory",
    "compute.advice.capacityHistory",
    messages.CAPACITY_HISTORY,
)
def history(call: Call) -> Json:
    """Prices and preemptions of the last 30 days; a history of what was never offered is empty."""
    world, region = call.world, _region(call)
    wanted = set(call.body.get("types", ()))
    if not wanted or not wanted <= _HISTORY:
        raise invalid(f"Invalid value for field 'types': one or more of {', '.join(sorted(_HISTORY))}.", field="types")
    _scheduling(call.body)
    machine = (call.body.get("instanceProperties") or {}).get("machineType", "")
    if machine not in geography.MACHINES:
        raise invalid(f"Invalid value for field 'instanceProperties.machineType': '{machine}'.")
    interval = {"startTime": stamp(world.now() - 30 * DAY_S), "endTime": stamp(world.now())}
    answer: Json = {"machineType": machine, "location": f"regions/{region}"}
    dollars = spot_price(world, region, machine)
    if "PRICE" in wanted and dollars is not None:
        units = int(dollars)
        money = {"currencyCode": "USD", "units": str(units), "nanos": round((dollars - units) * 1e9)}
        answer["priceHistory"] = [{"interval": interval, "listPrice": money}]
    if "PREEMPTION" in wanted:
        rate = hashlib.sha256(f"{region}/{machine}".encode()).digest()[0] / 1000
        answer["preemptionHistory"] = [{"interval": interval, "preemptionRate": rate}]
    return answer


def spot_price(world: World, region: str, machine: str) -> float | None:
    """Dollars an hour of a Spot machine; None where none is known."""
    own = settings.value(world, f"price.{region}.{machine}")
    if own is not None:
        return float(own)
    prices = _SPOT_USD.get(machine, {})
    return prices.get(region, prices.get(""))


def _region(call: Call) -> str:
    if call.path["region"] not in geography.REGIONS:
        raise not_found(call.world, f"regions/{call.path['region']}")
    return call.path["region"]


def _scheduling(body: Json) -> str:
    model = ((body.get("instanceProperties") or {}).get("scheduling") or {}).get("provisioningModel", "")
    if model != "SPOT":
        raise ApiError(400, f"Provisioning model {model or 'STANDARD'} is not supported; only SPOT is.")
    return "SPOT"


def _machines(body: Json) -> list[str]:
    selections = (body.get("instanceFlexibilityPolicy") or {}).get("instanceSelections") or {}
    found = [machine for one in selections.values() if isinstance(one, dict) for machine in one.get("machineTypes", ())]
    if not found:
        raise invalid("At least one machine type is needed.", field="instanceFlexibilityPolicy.instanceSelections")
    for machine in found:
        if machine not in geography.MACHINES:
            raise invalid(f"Invalid value for field 'instanceSelections.machineTypes': '{machine}'.")
    return found
