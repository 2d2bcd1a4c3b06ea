"""Which machines there are, and whether Spot ones may be had (Compute Engine).

Called by paths. Invariant: advice is no promise: it says what is likely now and knows nothing of the project's quota.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from backend.clients.google import Google, Json

API = "compute"
PAGE = "500"


@dataclass(frozen=True, slots=True)
class Advice:
    """What Compute Engine says of free Spot machines."""

    obtainability: float
    """From 0, hardly to be had, to 1."""
    zone: str
    """The zone that it would take; empty when it names none."""
    uptime: str
    """How long most would run, as Google writes durations; empty when not told."""
    at: datetime
    """When it was asked."""


@dataclass(frozen=True, slots=True)
class SpotPrice:
    """What a Spot machine costs now, as Google says."""

    usd_per_hour: float
    dated: date
    """Last day for which it is told."""


class Machines:
    """Machine types by zone, and advice on capacity."""

    def __init__(self, google: Google) -> None:
        self._google = google
        self._path = f"/compute/v1/projects/{google.project}"

    async def zones_with(self, machine_type: str) -> tuple[str, ...]:
        """Zones of all regions that have a machine type, in alphabetical order; empty for one that does not exist."""
        query = {"filter": f"name={machine_type}", "maxResults": PAGE, "returnPartialSuccess": "true"}
        path, doing = f"{self._path}/aggregated/machineTypes", f"looking where {machine_type} is"
        answers = await self._google.read_pages(API, path, query, doing=doing)
        scopes = [scope for answer in answers for scope in (answer.get("items") or {}).items()]
        return tuple(
            sorted({zone.rpartition("/")[2] for zone, held in scopes if _names(held.get("machineTypes"), machine_type)})
        )

    async def advice(self, region: str, machine_type: str, *, count: int, zones: Iterable[str]) -> Advice | None:
        """How likely so many Spot machines are to be had in a region now; ``None`` when Google does not say."""
        body: Json = {
            "size": count,
            "instanceProperties": {"scheduling": {"provisioningModel": "SPOT"}},
            "instanceFlexibilityPolicy": {"instanceSelections": {"wanted": {"machineTypes": [machine_type]}}},
            "distributionPolicy": {
                "targetShape": "ANY_SINGLE_ZONE",
                "zones": [{"zone": f"zones/{zone}"} for zone in zones],
            },
        }
        path, doing = f"{self._path}/regions/{region}/advice/capacity", f"asking for capacity in {region}"
        answer = await self._google.rest(API, "POST", path, body, doing=doing)
        for one in answer.get("recommendations", ()):
            scores = one.get("scores") or {}
            if "obtainability" in scores:
                zone = next((str(shard.get("zone", "")) for shard in one.get("shards", ())), "")
                uptime = str(scores.get("estimatedUptime", ""))
                return Advice(float(scores["obtainability"]), zone.rpartition("/")[2], uptime, datetime.now(UTC))
        return None

    async def spot_price(self, region: str, machine_type: str) -> SpotPrice | None:
        """The newest price of a Spot machine in a region; ``None`` when Google tells none, or none in US dollars."""
        body: Json = {
            "types": ["PRICE"],
            "instanceProperties": {"machineType": machine_type, "scheduling": {"provisioningModel": "SPOT"}},
        }
        path, doing = f"{self._path}/regions/{region}/advice/capacityHistory", f"asking for Spot prices in {region}"
        answer = await self._google.rest(API, "POST", path, body, doing=doing)
        told = [one for one in answer.get("priceHistory", ()) if one["listPrice"].get("currencyCode") == "USD"]
        if not told:
            return None
        newest = max(told, key=lambda one: str(one["interval"]["startTime"]))
        money = newest["listPrice"]
        dollars = int(money.get("units", 0)) + int(money.get("nanos", 0)) / 1e9
        return SpotPrice(dollars, datetime.fromisoformat(newest["interval"]["endTime"]).date())


def _names(machine_types: Iterable[Json] | None, wanted: str) -> bool:
    return any(one["name"] == wanted for one in machine_types or ())
