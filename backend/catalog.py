"""Dated facts about Google Cloud: durations, prices, GPU machine types and zones.

A wizard must be able to say how long and how much before it has asked anybody. Invariants: every figure carries the
date and the source it was read from; what is not known is ``None`` and never a guess; a live answer always wins over
these. The data stands in ``catalog.yaml`` and is read at the first question.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

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


@cache
def _data() -> dict[str, Any]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loaded: dict[str, Any] = yaml.load(files("backend").joinpath("catalog.yaml").read_bytes(), loader)  # noqa: S506
    return loaded


def duration(what: str) -> float:
    """Median seconds that a kind of resource takes to create, such as ``cluster``; ``KeyError`` for an unknown kind."""
    return float(_data()["durations"]["median_s"][what])


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
        )
        for name, row in _data()["shapes"]["machines"].items()
    }


def zones(accelerator: str) -> tuple[str, ...] | None:
    """Zones that offer machines with a GPU type; ``None`` when the catalogue does not know."""
    found = _data()["zones"].get(accelerator)
    return None if found is None else tuple(found)
