"""Kubernetes Engine: which versions a location offers, by release channel.

A dated excerpt (2026-08) that the settings `versions.REGION.CHANNEL` and `versions.global.CHANNEL` replace, the
region's own first.
"""

from __future__ import annotations

from typing import Any

from backend.emulator import settings
from backend.emulator.google import geography
from backend.emulator.world import World

Json = dict[str, Any]
VERSIONS: dict[str, tuple[str, ...]] = {
    "RAPID": (
        "1.35.2-gke.1842000",
        "1.35.1-gke.1396000",
        "1.35.0-gke.1795000",
        "1.34.3-gke.1051000",
        "1.34.1-gke.1829001",
        "1.34.1-gke.1127000",
        "1.33.5-gke.1125000",
    ),
    "REGULAR": ("1.34.1-gke.1829001", "1.34.1-gke.1127000", "1.33.5-gke.1125000", "1.32.9-gke.1130000"),
    "STABLE": ("1.33.5-gke.1125000", "1.32.9-gke.1130000"),
}
"""Valid versions of each release channel, newest first."""
DEFAULTS = {"RAPID": "1.34.1-gke.1829001", "REGULAR": "1.33.5-gke.1125000", "STABLE": "1.32.9-gke.1130000"}
"""Default version of each release channel."""


def offered(world: World, location: str, channel: str) -> tuple[str, ...]:
    """Valid versions of a channel in a location, newest first."""
    own = settings.value(world, f"versions.{geography.region_of(location)}.{channel}") or settings.value(
        world, f"versions.global.{channel}"
    )
    return tuple(own.split(",")) if own else VERSIONS[channel]


def default(world: World, location: str, channel: str) -> str:
    """The version that a cluster gets that asks for none: the channel's own, its last where that is not offered."""
    valid = offered(world, location, channel)
    return DEFAULTS[channel] if DEFAULTS[channel] in valid else valid[-1]


def _everything(world: World, location: str) -> list[str]:
    return list(dict.fromkeys(one for channel in VERSIONS for one in offered(world, location, channel)))


def resolve_version(world: World, location: str, channel: str, wanted: str) -> str | None:
    """The version a request means: empty or `-` is the default, `latest` the newest, `1.34` the newest of its line."""
    valid = offered(world, location, channel) if channel in VERSIONS else _everything(world, location)
    if wanted in {"", "-"}:
        return default(world, location, channel if channel in VERSIONS else "REGULAR")
    if wanted == "latest":
        return valid[0]
    for version in valid:
        if version == wanted or version.startswith((f"{wanted}.", f"{wanted}-")):
            return version
    return None


def server_config(world: World, location: str) -> Json:
    """The versions that can be had in a location, by channel."""
    everything = sorted(_everything(world, location), reverse=True)
    return {
        "defaultClusterVersion": default(world, location, "REGULAR"),
        "validNodeVersions": everything,
        "defaultImageType": "COS_CONTAINERD",
        "validImageTypes": ["COS_CONTAINERD", "UBUNTU_CONTAINERD", "WINDOWS_LTSC_CONTAINERD"],
        "validMasterVersions": everything,
        "channels": [
            {
                "channel": channel,
                "defaultVersion": default(world, location, channel),
                "validVersions": list(offered(world, location, channel)),
                "upgradeTargetVersion": offered(world, location, channel)[0],
            }
            for channel in VERSIONS
        ],
    }
