"""What a node pool must be like to be made: where its machines are, what they have, and how they are bought."""

from __future__ import annotations

import re
from typing import Any

from backend.emulator.google import geography
from backend.emulator.google.clusterjson import node_account
from backend.emulator.google.errors import ApiError, invalid
from backend.emulator.google.geography import Machine
from backend.emulator.google.iam import account_exists, act_as_denied
from backend.emulator.world import World

Json = dict[str, Any]
NAME = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?")
"""Names of clusters and node pools."""
_DISKS = frozenset(
    {
        "hyperdisk-balanced", "hyperdisk-balanced-high-availability", "hyperdisk-extreme", "hyperdisk-throughput",
        "pd-balanced", "pd-extreme", "pd-ssd", "pd-standard",
    }
)  # fmt: skip
_SMALLEST_DISK_GB = 10
_IMAGES = frozenset(
    {
        "COS", "COS_CONTAINERD", "UBUNTU", "UBUNTU_CONTAINERD", "WINDOWS_LTSC", "WINDOWS_LTSC_CONTAINERD",
        "WINDOWS_SAC", "WINDOWS_SAC_CONTAINERD",
    }
)  # fmt: skip


def check_pool(world: World, row: Json, pool: Json) -> None:
    """Refuse a node pool that could not be made in a cluster."""
    if not NAME.fullmatch(pool.get("name", "")):
        raise _wrong("name", pool.get("name", ""))
    config: Json = pool.get("config", {})
    machine = _machine(row, pool, config.get("machineType", "e2-medium"))
    _check_disk(config)
    _check_accelerators(machine, config)
    _check_provisioning(machine, config)
    account = node_account(world, pool)
    if not account_exists(world, account):
        raise act_as_denied(account)


def _wrong(field: str, value: object) -> ApiError:
    place = f"node_pool.{field}"
    return invalid(f'Invalid value for field "{place}": "{value}".', field=place)


def _machine(row: Json, pool: Json, name: str) -> Machine:
    """The machine type, which every zone of the pool must have."""
    machine, region = geography.MACHINES.get(name), geography.region_of(row["location"])
    for zone in pool.get("locations") or row["locations"]:
        if geography.region_of(zone) != region or zone not in geography.ZONES:
            raise invalid(f'Location "{zone}" is not a zone of region "{region}".')
        if machine is None or (machine.zones is not None and zone not in machine.zones):
            raise invalid(f'Machine type "{name}" is not available in zone "{zone}".')
    if machine is None:
        raise _wrong("config.machine_type", name)
    return machine


def _check_disk(config: Json) -> None:
    if config.get("diskType", "pd-balanced") not in _DISKS:
        raise _wrong("config.disk_type", config["diskType"])
    if int(config.get("diskSizeGb", _SMALLEST_DISK_GB)) < _SMALLEST_DISK_GB:
        raise _wrong("config.disk_size_gb", config["diskSizeGb"])
    if config.get("imageType", "COS_CONTAINERD").upper() not in _IMAGES:
        raise _wrong("config.image_type", config["imageType"])


def _check_accelerators(machine: Machine, config: Json) -> None:
    """A machine of a GPU series has its own GPUs, all of them; others here have none."""
    asked = [
        (one.get("acceleratorType", ""), int(one.get("acceleratorCount", 0))) for one in config.get("accelerators", ())
    ]
    has = [(machine.accelerator, machine.accelerators)] if machine.accelerator else []
    if asked != has:
        wanted = f"{machine.accelerators} accelerators of type {machine.accelerator}" if has else "no accelerators"
        given = ", ".join(f"{count} {kind}" for kind, count in asked) or "none"
        raise invalid(
            f'Machine type "{machine.name}" requires {wanted}, not {given}.', field="node_pool.config.accelerators"
        )


def _check_provisioning(machine: Machine, config: Json) -> None:
    ways = [way for way in ("preemptible", "spot", "flexStart") if config.get(way)]
    if len(ways) > 1:
        raise invalid(f"A node pool can have only one of {' and '.join(ways)}.", field="node_pool.config")
    reserved = config.get("reservationAffinity", {}).get("consumeReservationType") == "SPECIFIC_RESERVATION"
    if not machine.on_demand and not ways and not reserved:
        raise invalid(
            f'Machine type "{machine.name}" can be used with Spot VMs or flex-start only.',
            field="node_pool.config.machine_type",
        )
