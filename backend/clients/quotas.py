"""Quotas, from both places that have them (Compute Engine and Cloud Quotas).

Compute Engine shows limit and use by metric, but not every GPU's; Cloud Quotas shows every limit by id and dimensions,
but its use is stale. Called by paths, so that none of Google's packages has to be loaded. Invariant: a metric that an
answer does not have is missing from what is given, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backend.clients.google import Google, Json

COMPUTE, CLOUD_QUOTAS = "compute", "cloudquotas"
SERVICE = "compute.googleapis.com"
UNLIMITED = -1
"""What Cloud Quotas gives for no limit at all."""


@dataclass(frozen=True, slots=True)
class Quota:
    """One quota of Compute Engine."""

    limit: float
    used: float


def quota_id(metric: str, *, regional: bool) -> str:
    """Id in Cloud Quotas of a metric of Compute Engine, such as ``C2-CPUS-per-project-region``."""
    return f"{metric.replace('_', '-')}-per-project{'-region' if regional else ''}"


class Quotas:
    """The project's quotas of Compute Engine."""

    def __init__(self, google: Google) -> None:
        self._google = google
        self._project = f"/compute/v1/projects/{google.project}"
        self._global = f"/v1/projects/{google.project}/locations/global"

    async def of_region(self, region: str) -> Mapping[str, Quota]:
        """Quotas of a region by metric; raises ``NotFound`` for a region that does not exist."""
        path, doing = f"{self._project}/regions/{region}", f"reading the quotas of {region}"
        return _quotas(await self._google.read(COMPUTE, path, doing=doing))

    async def of_project(self) -> Mapping[str, Quota]:
        """Quotas that hold for all regions together, by metric."""
        return _quotas(await self._google.read(COMPUTE, self._project, doing="reading the project's quotas"))

    async def info(self, identity: str) -> Json:
        """What Cloud Quotas says of a quota; raises ``NotFound`` for an id that it does not have."""
        path = f"{self._global}/services/{SERVICE}/quotaInfos/{identity}"
        return await self._google.read(CLOUD_QUOTAS, path, doing=f"reading quota {identity}")

    async def request(
        self, identity: str, dimensions: Mapping[str, str], value: float, *, name: str, email: str
    ) -> Json:
        """Ask Google for another limit and give the preference; granted at once or after days.

        A quota has one preference for the same dimensions: that of an earlier request, also one in the console, is
        changed, else ``name`` is made. ``email`` is whom Google may ask back; an increase is refused without.
        """
        path = f"{self._global}/quotaPreferences"
        wanted = {"service": SERVICE, "quotaId": identity, "dimensions": dict(dimensions)}
        answers = await self._google.read_pages(CLOUD_QUOTAS, path, doing="reading earlier requests for quota")
        for answer in answers:
            for one in answer.get("quotaPreferences", ()):
                if {key: one.get(key) or {} for key in wanted} == wanted:
                    name = str(one["name"]).rpartition("/")[2]
        body = wanted | {"quotaConfig": {"preferredValue": str(int(value))}, "contactEmail": email}
        doing = f"asking for more of {identity}"
        return await self._google.rest(CLOUD_QUOTAS, "PATCH", f"{path}/{name}?allowMissing=true", body, doing=doing)


def limit_of(info: Json, dimensions: Mapping[str, str]) -> float | None:
    """The limit for some dimensions; of several that match, the most specific one holds. ``None`` when none does."""
    best: tuple[int, float] | None = None
    for entry in info.get("dimensionsInfos", ()):
        own: Mapping[str, str] = entry.get("dimensions") or {}
        value = (entry.get("details") or {}).get("value")
        places = entry.get("applicableLocations") or ()
        here = "region" not in dimensions or not places or dimensions["region"] in places or "global" in places
        if value is None or not here or not own.items() <= dimensions.items():
            continue
        if best is None or len(own) > best[0]:
            best = len(own), float(value)
    if best is None:
        return None
    return float("inf") if best[1] == UNLIMITED else best[1]


def _quotas(answer: Json) -> dict[str, Quota]:
    return {
        one["metric"]: Quota(float(one["limit"]), float(one.get("usage", 0.0)))
        for one in answer.get("quotas", ())
        if "metric" in one and "limit" in one
    }
