"""Dated facts about Google Cloud and models: durations, prices, GPU machine types, zones, sizes.

A wizard must be able to say how long and how much before it has asked anybody. Invariants: every figure carries the
date and the source it was read from; what is not known is ``None`` and never a guess; a live answer always wins over
these. The data stands in ``catalog.yaml`` and is read at the first question.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from math import asin, cos, radians, sin, sqrt
from typing import Any

ZONES_PER_REGION = 3
"""Zones in which a regional cluster has nodes unless it is told otherwise."""
FALLBACK_REGION = "us-central1"
"""Region whose price is taken for a region without one of its own."""


@dataclass(frozen=True, slots=True)
class Price:
    """What one machine costs, and how far that figure can be trusted."""

    usd_per_hour: float
    dated: date
    """The day on which the price was read."""
    source: str
    """Where it was read; ``estimate`` when nobody published it."""
    region: str
    """The region it holds for; another than was asked for when that one has no price of its own."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A GPU machine type."""

    machine_type: str
    vcpus: int
    memory_gib: int
    accelerator: str
    """GPU type as Compute Engine names it."""
    accelerators: int
    """GPUs in one machine."""
    buy_as: frozenset[str]
    """Ways in which it can be bought: ``spot``, ``flex-start``, ``on-demand``, ``reservation``."""
    local_ssd_gb: int = 0
    """Local SSD that comes with one machine, in GB."""


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model whose needs of GPU memory are known."""

    name: str
    billions: float
    """Parameters, in billions."""
    kv_bytes: int
    """Bytes of KV cache that one token takes in 16 bits."""
    context: int
    """Longest context of the model itself, in tokens."""


@cache
def _data() -> dict[str, Any]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loaded: dict[str, Any] = yaml.load(files("backend").joinpath("catalog.yaml").read_bytes(), loader)  # noqa: S506
    return loaded


def duration(what: str) -> float:
    """Median seconds that a kind of resource takes to create, such as ``cluster``; ``KeyError`` for an unknown kind."""
    return float(_data()["durations"]["median_s"][what])


def spread(what: str) -> float:
    """How many times its median a kind of resource takes in the slowest of ten cases; 1 where that is not known."""
    durations = _data()["durations"]
    slow = durations["p90_s"].get(what)
    return 1.0 if slow is None else float(slow) / float(durations["median_s"][what])


def quote(machine_type: str, region: str, provisioning: str) -> Price | None:
    """Price of one machine; ``None`` when unknown, as it always is for ``flex-start``."""
    machine = _data()["prices"]["machines"].get(machine_type)
    column = {"spot": "spot", "on-demand": "list", "reservation": "list"}.get(provisioning)
    if machine is None or column is None:
        return None
    prices: dict[str, float] = machine.get(column, {})
    for place in (region, FALLBACK_REGION):
        if place in prices:
            return Price(float(prices[place]), machine["dated"], machine["source"], place)
    return None


def price(machine_type: str, region: str, provisioning: str = "on-demand") -> float | None:
    """USD per hour of one machine, bought as one of ``backend.spec.Provisioning``; ``None`` when unknown."""
    found = quote(machine_type, region, provisioning)
    return None if found is None else found.usd_per_hour


def cluster_fee() -> float:
    """USD per hour that GKE takes for one cluster."""
    return float(_data()["prices"]["cluster_fee"]["usd"])


def prices_dated() -> tuple[date, date]:
    """Dates of the oldest and of the newest machine price."""
    dates = [machine["dated"] for machine in _data()["prices"]["machines"].values()]
    return min(dates), max(dates)


def shapes() -> dict[str, Shape]:
    """GPU machine types by name."""
    return {
        name: Shape(
            name,
            row["vcpus"],
            row["memory_gib"],
            row["accelerator"],
            row["accelerators"],
            frozenset(row["buy_as"]),
            row.get("local_ssd_gb", 0),
        )
        for name, row in _data()["shapes"]["machines"].items()
    }


def zones(accelerator: str) -> tuple[str, ...] | None:
    """Zones that offer machines with a GPU type; ``None`` when the catalogue does not know."""
    found = _data()["zones"]["accelerators"].get(accelerator)
    return None if found is None else tuple(found)


def regions_with(accelerator: str) -> tuple[str, ...] | None:
    """Regions that offer machines with a GPU type; ``None`` when the catalogue does not know."""
    known = zones(accelerator)
    if known is not None:
        return tuple(dict.fromkeys(zone.rpartition("-")[0] for zone in known))
    found = _data()["zones"]["regions"].get(accelerator)
    return None if found is None else tuple(found)


def regions() -> tuple[str, ...]:
    """Every region of Google Cloud."""
    return tuple(_data()["regions"]["places"])


def nearest(region: str, among: Iterable[str]) -> list[str]:
    """The regions of ``among`` by their distance to one; ``KeyError`` for a region that the catalogue does not know."""
    places = _data()["regions"]["places"]
    here = places[region]
    return sorted((other for other in among if other != region), key=lambda other: _arc(here, places[other]))


def gpu_memory(accelerator: str) -> float | None:
    """GiB of memory of one GPU; ``None`` when unknown."""
    found: float | None = _data()["accelerators"]["memory_gib"].get(accelerator)
    return found


def model(repository: str) -> KnownModel | None:
    """What is known of a model by the name of its Hugging Face repository; ``None`` when nothing is."""
    name = repository.rpartition("/")[2].lower().removeprefix("meta-")
    for known, row in _data()["models"]["known"].items():
        if name == known.lower() or name.startswith(f"{known.lower()}-"):
            return KnownModel(known, row["billions"], row["kv_bytes"], row["context"])
    return None


def dated(block: str) -> date:
    """Day on which a block of the catalogue was read: ``durations``, ``shapes``, ``zones``, ``regions``, ``models``."""
    found: date = _data()[block]["dated"]
    return found


def _arc(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Angle between two places on the globe, by the haversine formula."""
    lat1, lon1, lat2, lon2 = map(radians, (*one, *other))
    square = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
    return 2 * asin(sqrt(square))
