"""Named faults: what goes wrong in a rehearsal, on request.

A fault is data in the world, so it lasts over a restart; each says what it hits by kind of step, region or zone, how
often, and from when on. Invariant: a fault answers in the words of the real API and nothing in an answer tells that it
was asked for.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from backend.emulator.google import geography
from backend.emulator.pace import Pace

Json = dict[str, Any]
STEPS = (
    "services", "iam", "subnet", "cluster", "node-pool", "membership", "fleet-ingress", "compute", "cloudquotas",
    "cloudbilling",
)  # fmt: skip
"""What `step` may name, alone or with a name behind a slash, like `cluster/gke-west`; the last ones are reads of APIs
that belong to no step."""
SERVING = "model-server"
"""What `step` may name for `slow` besides: the answers of model servers, alone or as `model-server/CLUSTER`."""
DEFAULT_METRIC = "PREEMPTIBLE_NVIDIA_H100_GPUS"
KV_USE = ("vllm:gpu_cache_usage_perc", "vllm:kv_cache_usage_perc")
"""Names by which versions of vLLM report how full their KV cache is."""
DEFAULT_SLOWNESS = 3.0
DEFAULT_SILENCE_S = 60.0
_PLACE = frozenset({"step", "region"})
_TIME = frozenset({"times", "after"})


class World(Protocol):
    """What faults need of a world."""

    @property
    def tables(self) -> dict[str, dict[str, Any]]: ...
    def now(self) -> float: ...
    def touch(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Kind:
    """What a fault does, and what can be said of it."""

    does: str
    parameters: frozenset[str]
    times: int | None = None
    """How often it plays unless told; None means for as long as it is there."""


KINDS: Mapping[str, Kind] = {
    "stockout": Kind("a zone has no GPU machines", frozenset({"region", "zone"}) | _TIME),
    "quota": Kind("a quota is lowered to `limit`", frozenset({"region", "metric", "limit", "after"})),
    "slow": Kind(
        "operations, or with step=model-server tokens, take `limit` times as long, 3 unless told",
        _PLACE | _TIME | {"limit"},
    ),
    "already-exists": Kind("a request is carried out and answered as a repetition", _PLACE | _TIME, 1),
    "operation-busy": Kind("another operation works on the cluster", _PLACE | _TIME, 1),
    "too-many-operations": Kind("the cluster has too many operations", _PLACE | _TIME, 1),
    "rate-limited": Kind("requests come too fast", _PLACE | _TIME, 1),
    "permission-denied": Kind("the caller lacks a permission", _PLACE | _TIME),
    "service-disabled": Kind("the API is off", _PLACE | _TIME),
    "internal-error": Kind("the service fails", _PLACE | _TIME, 1),
    "subnet-conflict": Kind("a subnetwork's range is taken", frozenset({"region"}) | _TIME),
    "not-found": Kind("a thing is not found", _PLACE | _TIME, 1),
    "timeout": Kind("nobody answers a request for `limit` seconds, 60 unless told", _PLACE | _TIME | {"limit"}, 1),
    "hf-unauthorized": Kind("Hugging Face does not accept the token", _TIME),
    "hf-gated": Kind("gated models of Hugging Face do not open", _TIME),
    "membership-lost-connection": Kind("the fleet has lost its connection to a cluster", _PLACE | {"after"}),
    "pod-crashloop": Kind("model servers end as soon as they run", frozenset({"region", "after"})),
    "gateway-misconfigured": Kind("the Gateway controller finds a route misconfigured", frozenset({"after"})),
    "metric-missing": Kind("model servers do not report a metric", frozenset({"region", "metric", "after"})),
    "spot-preemption": Kind("Google takes a Spot machine back", frozenset({"region", "zone"}) | _TIME, 1),
    "region-down": Kind(
        "the clusters of a region answer nobody, for `limit` seconds of wall clock if told",
        frozenset({"region", "limit", "after"}),
    ),
}
"""The faults that can be played, by name."""


class FaultError(ValueError):
    """A fault that cannot be; the text says what can."""


def kinds() -> Json:
    """What can be played by name: what it does, and what can be said of it."""
    return {name: {"does": kind.does, "parameters": sorted(kind.parameters)} for name, kind in KINDS.items()}


def parse(text: str) -> Json:
    """Read `KIND [parameter=value ...]`; raises FaultError."""
    name, *words = text.split() or [""]
    kind = KINDS.get(name)
    if kind is None:
        raise FaultError(f"there is no fault {name!r}; there is {', '.join(KINDS)}")
    fault: Json = {"kind": name, "left": kind.times}
    for word in words:
        parameter, equals, value = word.partition("=")
        if not equals or parameter not in kind.parameters or not value:
            takes = ", ".join(f"{one}=..." for one in sorted(kind.parameters))
            raise FaultError(f"{name} does not take {word!r}; it takes {takes}")
        fault[parameter] = _value(name, parameter, value)
    if "times" in fault:
        fault["left"] = fault["times"]
    return fault


def _value(name: str, parameter: str, text: str) -> Any:
    if parameter in {"limit", "times", "after"}:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        whole = parameter == "times"
        least = 1 if whole or (name, parameter) == ("slow", "limit") else 0
        if not math.isfinite(number) or number < least or (whole and number != int(number)):
            raise FaultError(f"{parameter}={text} is no {'whole ' if whole else ''}number from {least}")
        return int(number) if whole else number
    if parameter == "zone" and text not in geography.ZONES:
        raise FaultError(f"{text} is not a zone")
    if parameter == "region" and text not in geography.REGIONS:
        raise FaultError(f"{text} is not a region")
    steps = (*STEPS, SERVING) if name == "slow" else STEPS
    if parameter == "step" and text.partition("/")[0] not in steps:
        raise FaultError(f"{text} is no step; there is {', '.join(steps)}, each alone or with /NAME")
    return text


def words(fault: Json) -> str:
    """A fault as `parse` reads it."""
    order = ("step", "region", "zone", "metric", "limit", "times", "after")
    said = [f"{one}={fault[one]:g}" if isinstance(fault[one], float) else f"{one}={fault[one]}"
            for one in order if one in fault]  # fmt: skip
    return " ".join([fault["kind"], *said])


def add(world: World, text: str, pace: Pace) -> Json:
    """Begin to play a fault and give it; the same one again starts afresh. Raises FaultError."""
    fault = parse(text)
    table = world.tables.setdefault("faults", {})
    table.pop(words(fault), None)
    table[words(fault)] = fault | {"since": world.now() + pace.played(fault.get("after", 0.0))}
    world.touch()
    return shown(table[words(fault)])


def clear(world: World) -> None:
    """Play none any more; what one has broken stays broken."""
    world.tables.setdefault("faults", {}).clear()
    world.touch()


def listed(world: World) -> list[Json]:
    """All faults, spent ones too, in the order in which they were added."""
    over = {"left": 0}
    return [
        shown(fault | over if _end(fault) <= world.now() else fault)
        for fault in world.tables.get("faults", {}).values()
    ]


def shown(fault: Json) -> Json:
    """A fault as the management API gives it: its words, its parameters, and how often it still plays."""
    return {"fault": words(fault), **{key: value for key, value in fault.items() if key not in {"since", "left"}}} | {
        "left": fault["left"]
    }


def playing(world: World, *kinds: str) -> Iterator[Json]:
    """The faults of some kinds that are in force now."""
    for fault in world.tables.get("faults", {}).values():
        if fault["kind"] in kinds and fault["left"] != 0 and fault["since"] <= world.now() < _end(fault):
            yield fault


def next_turn(world: World) -> float | None:
    """The Unix time at which the next fault begins or ends by itself."""
    moments = (one for fault in world.tables.get("faults", {}).values() for one in (fault["since"], _end(fault)))
    return min((one for one in moments if world.now() < one < math.inf), default=None)


def _end(fault: Json) -> float:
    """When a fault is over by itself, a Unix time."""
    since: float = fault["since"]
    return since + float(fault["limit"]) if fault["kind"] == "region-down" and "limit" in fault else math.inf


def spend(world: World, fault: Json) -> None:
    """Count that a fault has played once."""
    if fault["left"] is not None:
        fault["left"] -= 1
    world.touch()


# --- what asks for them -----------------------------------------------------------------------------------------------


def stockout(world: World, zones: list[str], *, spent: bool = False) -> str | None:
    """The first of the zones that has no GPU machines now; `spent` counts it as played."""
    for zone in zones:
        for fault in playing(world, "stockout"):
            if fault.get("zone", zone) == zone and fault.get("region", geography.region_of(zone)) == (
                geography.region_of(zone)
            ):
                if spent:
                    spend(world, fault)
                return zone
    return None


def quotas(world: World) -> dict[str, float]:
    """Limits that are lowered, as `REGION/METRIC` or `METRIC`."""
    found: dict[str, float] = {}
    for fault in playing(world, "quota"):
        metric, limit = fault.get("metric", DEFAULT_METRIC), float(fault.get("limit", 0.0))
        if "region" in fault:
            found[f"{fault['region']}/{metric}"] = limit
        elif metric.endswith("_ALL_REGIONS"):
            found[metric] = limit
        else:
            found |= {f"{region}/{metric}": limit for region in geography.REGIONS}
    return found


def slowness(world: World, what: str, key: str) -> float:
    """How many times longer than usual an operation `what`, like `cluster.create`, on `LOCATION/NAME...` takes."""
    step = {"feature": "fleet-ingress"}.get(what.partition(".")[0], what.partition(".")[0])
    location, _, name = key.partition("/")
    factor = 1.0
    for fault in playing(world, "slow"):
        if hits(fault, step, name, geography.region_of(location)):
            factor *= float(fault.get("limit", DEFAULT_SLOWNESS))
            spend(world, fault)
    return factor


def lost_connection(world: World, location: str, cluster: str) -> bool:
    """Whether the fleet reaches a cluster no more."""
    region = geography.region_of(location)
    return any(hits(one, "membership", cluster, region) for one in playing(world, "membership-lost-connection"))


def down(world: World, location: str) -> bool:
    """Whether the clusters of a place answer nobody."""
    region = geography.region_of(location)
    return any(one.get("region", region) == region for one in playing(world, "region-down"))


def preemption(world: World, zones: Collection[str]) -> tuple[Json, list[str]] | None:
    """A fault that takes a Spot machine back in one of these zones, and those of them that it means."""
    for fault in playing(world, "spot-preemption"):
        meant = [
            zone
            for zone in zones
            if fault.get("zone", zone) == zone
            and fault.get("region", geography.region_of(zone)) == geography.region_of(zone)
        ]
        if meant:
            return fault, meant
    return None


def token_slowness(world: World, location: str, cluster: str) -> float:
    """How many times longer than usual the model servers of a cluster take for everything."""
    region = geography.region_of(location)
    slow = (one for one in playing(world, "slow") if "step" in one and hits(one, SERVING, cluster, region))
    return math.prod(float(one.get("limit", DEFAULT_SLOWNESS)) for one in slow)


def crashing(world: World, location: str) -> bool:
    """Whether the model servers of a place end as soon as they run."""
    region = geography.region_of(location)
    return any(one.get("region", region) == region for one in playing(world, "pod-crashloop"))


def unreported(world: World, location: str) -> tuple[str, ...]:
    """Beginnings of the names of metrics that the model servers of a place do not report."""
    region = geography.region_of(location)
    found = [one for one in playing(world, "metric-missing") if one.get("region", region) == region]
    return tuple(name for one in found for name in ([one["metric"]] if "metric" in one else KV_USE))


def hits(fault: Json, step: str, name: str, region: str | None) -> bool:
    """Whether a fault is meant for a step of a kind, of this name and region."""
    wanted, _, named = fault.get("step", step).partition("/")
    if "region" in fault and fault["region"] != region:
        return False
    return bool(wanted == step and named in {"", name})
