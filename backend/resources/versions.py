"""GKE versions: which one a cluster gets, and whether one is new enough.

Invariant: pure; versions compare number by number, so 1.34.10 is newer than 1.34.9.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from backend.errors import InvalidRequest

Parsed = tuple[int, ...]
TOO_OLD = "older versions do not know the inference gateway's objects"


def parse(version: str) -> Parsed:
    """Numbers of a version such as ``1.34.1-gke.1127000``; missing ones are left out."""
    return tuple(int(number) for number in re.findall(r"\d+", version))


def lowest(wanted: str) -> str:
    """The version in ``>=VERSION`` or ``VERSION``."""
    return wanted.removeprefix(">=")


def satisfies(version: str, wanted: str) -> bool:
    """Say whether a version is at least the wanted one: an exact wish is met by what upgrades have made of it."""
    return parse(version) >= parse(lowest(wanted))


def upgrade_command(
    name: str, region: str, wanted: str, server_config: Mapping[str, Any], channel: str, *, project: str
) -> str:
    """What gives a cluster's control plane the wanted version, or the one of its channel that satisfies it."""
    try:
        version = resolve(wanted, server_config, channel)
    except InvalidRequest:
        version = lowest(wanted)
    return (
        f"gcloud container clusters upgrade {name} --master --location={region} --cluster-version={version} "
        f"--project={project}"
    )


def channel_of(cluster: Mapping[str, Any]) -> str:
    """Release channel of a cluster, in small letters; empty when it is in none."""
    return str((cluster.get("releaseChannel") or {}).get("channel", "")).lower()


def resolve(wanted: str, server_config: Mapping[str, Any], channel: str) -> str:
    """Choose the version of a new cluster.

    An exact wish is passed on as it is. After ``>=`` the channel's default is taken when it is new enough, else the
    lowest valid version that is: the least step beyond what Google itself would take. Raises ``InvalidRequest`` when
    the channel has none.
    """
    if not wanted.startswith(">="):
        return wanted
    offered: Mapping[str, Any] = next(
        (one for one in server_config.get("channels", ()) if one.get("channel") == channel.upper()), {}
    )
    default = offered.get("defaultVersion", "")
    if default and satisfies(default, wanted):
        return str(default)
    valid = sorted(offered.get("validVersions", ()), key=parse)
    fit = [version for version in valid if satisfies(version, wanted)]
    if fit:
        return str(fit[0])
    raise InvalidRequest(
        f"release channel {channel} offers no GKE version {wanted} here",
        cause=f"its newest is {valid[-1]}" if valid else f"the channel {channel} is not offered here",
        fix="set versions.channel to rapid, or choose another region",
    )
