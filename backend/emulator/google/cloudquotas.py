"""Cloud Quotas: every limit by id and dimensions, and requests for other ones.

The same limits as Compute Engine's, and those that only this API shows. A limit of all regions is one entry without
dimensions; a region with a limit of its own has an entry that names it. A request for more is granted after a while,
and then the limit is that one; one for more than there is needs an email address, which no answer shows.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from backend.emulator.google import geography, messages, operations, quota
from backend.emulator.google.errors import ApiError, invalid
from backend.emulator.google.operations import stamp
from backend.emulator.google.routing import Call, Routes, flag, page
from backend.emulator.world import World

Json = dict[str, Any]
SERVICE = "compute.googleapis.com"
_AT = "/projects/{project}/locations/{location}"
_PREFERENCE = re.compile(r"[a-z]([-a-z0-9_]{0,61}[a-z0-9])?")
_REGIONAL = "-per-project-region"
_GLOBAL = "-per-project"
_TITLES = {quota.FAMILY: "GPUs per GPU family", quota.LOCAL_SSD: "Local SSD per machine family (GB)"}
routes = Routes("cloudquotas.googleapis.com", "/cloudquotas/v1", "/cloudquotas/v1beta")


def quota_id(metric: str, *, regional: bool) -> str:
    """The id under which this API has a metric of Compute Engine."""
    return metric.replace("_", "-") + (_REGIONAL if regional else _GLOBAL)


def _metric_of(identity: str) -> tuple[str, bool]:
    regional = identity.endswith(_REGIONAL)
    return identity.removesuffix(_REGIONAL if regional else _GLOBAL).replace("-", "_"), regional


def _infos(world: World) -> Iterator[Json]:
    own = quota.departures(world)
    named = [key.partition("/") for key in own]
    here = {rest for place, _, rest in named if place in geography.REGIONS}
    everywhere = {f"{place}{slash}{rest}" for place, slash, rest in named if place not in geography.REGIONS}
    for regional, metrics in ((True, here), (False, everywhere)):
        usual = quota.usual_limits(regional=regional)
        for metric in sorted(usual.keys() | {one for one in metrics if "/" not in one}):
            yield _info(world, metric, _limits(own, metric, usual.get(metric), regional=regional), regional=regional)
    for metric, (dimension, usual) in quota.BY_FAMILY.items():
        entries = _families(own, metric, dimension, usual)
        yield _info(world, metric, entries, regional=True, dimensions=["region", dimension])


def _limits(own: Json, metric: str, usual: float | None, *, regional: bool) -> list[Json]:
    if not regional:
        return [_entry({}, own.get(metric) if own.get(metric) is not None else usual, ["global"])]
    apart = {region: own[f"{region}/{metric}"] for region in geography.REGIONS if f"{region}/{metric}" in own}
    entries = [_entry({"region": region}, limit, [region]) for region, limit in sorted(apart.items())]
    return [*entries, _entry({}, usual, [one for one in sorted(geography.REGIONS) if one not in apart])]


def _families(own: Json, wanted: str, dimension: str, usual: Mapping[str, float]) -> list[Json]:
    entries = []
    for key, limit in sorted(own.items()):
        region, _, metric = key.partition("/")
        name, _, family = metric.partition("/")
        if region in geography.REGIONS and name == wanted:
            entries.append(_entry({"region": region, dimension: family}, limit, [region]))
    everywhere = sorted(geography.REGIONS)
    return [
        *entries,
        *(_entry({dimension: family}, limit, everywhere) for family, limit in sorted(usual.items())),
        _entry({}, 0, everywhere),
    ]


def _entry(dimensions: dict[str, str], limit: float | None, locations: list[str]) -> Json:
    named = {"dimensions": dimensions} if dimensions else {}
    details = {} if limit is None else {"value": str(int(limit))}
    return named | {"details": details, "applicableLocations": locations}


def _info(
    world: World, metric: str, entries: list[Json], *, regional: bool, dimensions: list[str] | None = None
) -> Json:
    identity = quota_id(metric, regional=regional)
    title = _TITLES.get(metric, metric.replace("_", " ").capitalize())
    return {
        "name": f"projects/{world.project_number}/locations/global/services/{SERVICE}/quotaInfos/{identity}",
        "quotaId": identity,
        "metric": f"{SERVICE}/{metric.lower()}",
        "service": SERVICE,
        "isPrecise": True,
        "containerType": "PROJECT",
        "dimensions": dimensions or (["region"] if regional else []),
        "metricDisplayName": title,
        "quotaDisplayName": f"{title} per project" + (" per region" if regional else ""),
        "metricUnit": "1",
        "quotaIncreaseEligibility": {"isEligible": True},
        "dimensionsInfos": entries,
        "isConcurrent": True,
    }


def _service_of(call: Call) -> None:
    if call.path["location"] != "global":
        raise invalid(f"Location {call.path['location']} is not supported: quotas are in global.", field="parent")
    if call.path.get("service", SERVICE) != SERVICE:
        raise ApiError(501, f"The emulated Cloud Quotas has no quotas of {call.path['service']}.")


@routes.add("GET", f"{_AT}/services/{{service}}/quotaInfos", "cloudquotas.quotas.get")
def list_infos(call: Call) -> Json:
    """Every quota of Compute Engine."""
    _service_of(call)
    found, following = page(call, list(_infos(call.world)), default=1000)
    return {"quotaInfos": found} | ({"nextPageToken": following} if following else {})


@routes.add("GET", f"{_AT}/services/{{service}}/quotaInfos/{{quota}}", "cloudquotas.quotas.get")
def get_info(call: Call) -> Json:
    """One quota; 404 for an id that there is not."""
    _service_of(call)
    for one in _infos(call.world):
        if one["quotaId"] == call.path["quota"]:
            return one
    raise ApiError(404, f"Quota {call.path['quota']} was not found in service {call.path['service']}.")


@routes.add("GET", f"{_AT}/quotaPreferences", "cloudquotas.quotas.get")
def list_preferences(call: Call) -> Json:
    """Requests for other limits; with `filter=reconciling=true` those that nobody has answered."""
    _service_of(call)
    found = list(call.world.tables["quotaPreferences"].values())
    wanted = call.query.get("filter", "")
    if wanted and not re.fullmatch(r'reconciling\s*=\s*"?true"?', wanted):
        raise invalid(f"The filter '{wanted}' is not supported here; use reconciling=true.", field="filter")
    found, following = page(call, [one for one in found if not wanted or one.get("reconciling")])
    return ({"quotaPreferences": found} if found else {}) | ({"nextPageToken": following} if following else {})


@routes.add("GET", f"{_AT}/quotaPreferences/{{preference}}", "cloudquotas.quotas.get")
def get_preference(call: Call) -> Json:
    """One request."""
    return _preference(call)


@routes.add("POST", f"{_AT}/quotaPreferences", "cloudquotas.quotas.update", messages.QUOTA_PREFERENCE)
def create_preference(call: Call) -> Json:
    """Ask for another limit; 409 when there is a request for the same quota and dimensions."""
    _service_of(call)
    return _create(call.world, call.query.get("quotaPreferenceId") or f"preference-{uuid.uuid4()}", call.body)


def _create(world: World, identity: str, body: Json) -> Json:
    if not _PREFERENCE.fullmatch(identity):
        raise invalid(f"Invalid quota preference id: {identity}.", field="quota_preference_id")
    name = f"projects/{world.project_number}/locations/global/quotaPreferences/{identity}"
    wanted = _checked(world, body)
    table = world.tables["quotaPreferences"]
    for other in table.values():
        if other["name"] == name or (other["quotaId"], other["dimensions"]) == (
            wanted["quotaId"],
            wanted["dimensions"],
        ):
            raise ApiError(409, f"Quota preference {other['name']} already exists.")
    table[identity] = wanted | {"name": name, "createTime": stamp(world.now())}
    return _ask(world, identity)


@routes.add("PATCH", f"{_AT}/quotaPreferences/{{preference}}", "cloudquotas.quotas.update", messages.QUOTA_PREFERENCE)
def update_preference(call: Call) -> Json:
    """Ask for yet another limit; made when there is none and `allowMissing` says so."""
    world, identity = call.world, call.path["preference"]
    if identity not in world.tables["quotaPreferences"] and flag(call.query.get("allowMissing")):
        _service_of(call)
        return _create(world, identity, call.body)
    found = _preference(call)
    granted = {key: one for key, one in found["quotaConfig"].items() if key == "grantedValue"}
    found |= _checked(world, {key: found[key] for key in ("service", "quotaId", "dimensions")} | call.body)
    found["quotaConfig"] |= granted
    return _ask(world, identity)


def _preference(call: Call) -> Json:
    _service_of(call)
    found: Json | None = call.world.tables["quotaPreferences"].get(call.path["preference"])
    if found is None:
        raise ApiError(404, f"Quota preference {call.path['preference']} was not found.")
    return found


def _checked(world: World, body: Mapping[str, Any]) -> Json:
    if body.get("service") != SERVICE:
        raise invalid(f"Invalid service: {body.get('service')}.", field="quota_preference.service")
    identity, dimensions = (
        str(body.get("quotaId", "")),
        {key: str(one) for key, one in (body.get("dimensions") or {}).items()},
    )
    info = next((one for one in _infos(world) if one["quotaId"] == identity), None)
    if info is None:
        raise ApiError(404, f"Quota {identity} was not found in service {SERVICE}.")
    if not dimensions.keys() <= set(info["dimensions"]):
        raise invalid(f"Quota {identity} has the dimensions {info['dimensions']}.", field="quota_preference.dimensions")
    if "region" in dimensions and dimensions["region"] not in geography.REGIONS:
        raise invalid(f"Invalid region: {dimensions['region']}.", field="quota_preference.dimensions")
    preferred = str((body.get("quotaConfig") or {}).get("preferredValue", ""))
    if not re.fullmatch(r"-1|\d{1,9}", preferred):
        raise invalid("A preferred value of -1 or more is needed.", field="quota_preference.quota_config")
    if not body.get("contactEmail") and _more(info, dimensions, float(preferred)):
        raise invalid(
            "A contact email is required to request a quota increase.", field="quota_preference.contact_email"
        )
    kept = {"justification": body["justification"]} if body.get("justification") else {}
    return kept | {
        "service": SERVICE,
        "quotaId": identity,
        "dimensions": dimensions,
        "quotaConfig": {"preferredValue": preferred, "requestOrigin": "ORIGIN_UNSPECIFIED"},
    }


def _more(info: Json, dimensions: Mapping[str, str], preferred: float) -> bool:
    """Whether a limit is above the one that holds for some dimensions, which is that of the first entry they fit."""
    fitting = (one for one in info["dimensionsInfos"] if one.get("dimensions", {}).items() <= dimensions.items())
    limit = next((one["details"].get("value") for one in fitting if one["details"].get("value")), None)
    return limit is None or preferred < 0 or preferred > float(limit)


def _ask(world: World, identity: str) -> Json:
    preference: Json = world.tables["quotaPreferences"][identity]
    preference |= {"updateTime": stamp(world.now()), "reconciling": True}
    preference["quotaConfig"]["traceId"] = hashlib.sha256(identity.encode()).hexdigest()[:20]
    preference["etag"] = hashlib.sha256(repr(preference).encode()).hexdigest()[:16]
    operations.start(world, api="cloudquotas", location="", what="quota.grant", key=identity)
    return preference


@operations.effect("quota.grant")
def _granted(world: World, record: Json) -> None:
    preference = world.tables["quotaPreferences"].get(record["key"])
    if preference is None:
        return
    preferred = preference["quotaConfig"]["preferredValue"]
    preference["quotaConfig"]["grantedValue"] = preferred
    preference["reconciling"] = False
    metric, regional = _metric_of(preference["quotaId"])
    dimensions = preference["dimensions"]
    family = dimensions.get(quota.BY_FAMILY.get(metric, ("", {}))[0])
    key = f"{metric}/{family}" if family else metric
    limit = float(preferred) if preferred != "-1" else float(2**31)
    regions = [dimensions["region"]] if "region" in dimensions else sorted(geography.REGIONS)
    world.tables["quotas"] |= {f"{region}/{key}": limit for region in regions} if regional else {key: limit}
