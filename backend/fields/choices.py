"""What a question may be answered with, and whether it is asked at all, given the other answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from backend import catalog
from backend.draft import EACH, Draft
from backend.fields.field import Choice


def machines(draft: Draft) -> Iterator[Choice]:
    """The machine types that have the chosen GPU, each with its price in the first region."""
    for shape in catalog.shapes().values():
        if shape.accelerator == draft.accelerator:
            gpus = f"{shape.accelerators} GPU{'' if shape.accelerators == 1 else 's'}"
            price = _price(shape.machine_type, draft)
            yield Choice(shape.machine_type, shape.machine_type, f"{gpus}, {price}")


def _price(machine_type: str, draft: Draft) -> str:
    region = (draft.regions or [catalog.FALLBACK_REGION])[0]
    way = str((draft.all(f"{EACH}gpu_pool.provisioning") or ["spot"])[0])
    quote = catalog.quote(machine_type, region, way)
    return "price unknown" if quote is None else f"${quote.usd_per_hour:.2f}/h {way}"


def ways(draft: Draft) -> Iterator[Choice]:
    """How machines of the chosen types can be bought."""
    machines = [str(name) for name in draft.all(f"{EACH}gpu_pool.machine_type")]
    shapes = [catalog.shapes()[name] for name in machines if name in catalog.shapes()]
    hints = {
        "spot": "cheapest; can be taken back",
        "flex-start": "queued; stays seven days",
        "on-demand": "list price, as long as wanted",
        "reservation": "from one the project has",
    }
    for way, hint in hints.items():
        if all(way in shape.buy_as for shape in shapes):
            yield Choice(way, way, hint)


def accelerators(draft: Draft) -> Sequence[Choice]:
    """The GPU types that the catalogue knows machines of, each with its memory and its smallest machine."""
    del draft
    kinds = dict.fromkeys(shape.accelerator for shape in catalog.shapes().values())
    found = []
    for kind in kinds:
        memory = catalog.gpu_memory(kind)
        found.append(Choice(kind, _gpu_name(kind), "" if memory is None else f"{memory:.0f} GiB"))
    return found


def _gpu_name(kind: str) -> str:
    words = kind.removeprefix("nvidia-").removeprefix("tesla-").split("-")
    return " ".join("GB".join(re.split("gb", word)) if word.endswith("gb") else word.upper() for word in words)


def clusters(draft: Draft) -> Iterator[Choice]:
    """The clusters, by name."""
    for cluster in draft.clusters:
        yield Choice(str(cluster["name"]), str(cluster["name"]), str(cluster["region"]))


def targets(draft: Draft) -> Sequence[Choice]:
    """Where a gateway can be made."""
    del draft
    return (
        Choice("emulator", "rehearsal here", "no account, no cost"),
        Choice("gke", "Google Cloud", "costs until destroyed"),
    )


def modes(draft: Draft) -> Sequence[Choice]:
    """By what a region counts as full."""
    del draft
    return (
        Choice("CUSTOM_METRICS", "custom metrics", "by KV cache, so by length"),
        Choice("IN_FLIGHT", "in flight", "by number: reacts at once"),
    )


def stockouts(draft: Draft) -> Sequence[Choice]:
    """What to do where there are no machines."""
    del draft
    return (
        Choice("ask", "ask me", "and offer other zones, machines and regions"),
        Choice("next-zone", "try the next zone", "of the same region, without a question"),
        Choice("stop", "stop", "and keep what was made"),
    )


def known_models(draft: Draft) -> Sequence[Choice]:
    """Models that are known to serve well on one GPU."""
    del draft
    return tuple(
        Choice(name, name)
        for name in (
            "meta-llama/Llama-3.1-8B-Instruct",
            "meta-llama/Llama-3.2-3B-Instruct",
            "meta-llama/Llama-3.2-1B-Instruct",
            "Qwen/Qwen3-8B",
        )
    )


def default_machines(draft: Draft) -> Sequence[Choice]:
    """Machine types for the nodes without a GPU."""
    del draft
    return (
        Choice("e2-standard-4", "e2-standard-4", "4 vCPU; enough for system Pods and the endpoint picker"),
        Choice("c2-standard-16", "c2-standard-16", "16 vCPU; that of Google's guide"),
    )


def rehearsed(draft: Draft) -> bool:
    """Whether the emulated cloud is the target."""
    return bool(draft.get("target") == "emulator")


def reserved(draft: Draft) -> bool:
    """Whether a reservation is bought from."""
    return "reservation" in draft.all(f"{EACH}gpu_pool.provisioning")


def by_metric(draft: Draft) -> bool:
    """Whether fullness is measured by a metric."""
    return bool(draft.get("balancing.mode") == "CUSTOM_METRICS")


def by_count(draft: Draft) -> bool:
    """Whether fullness is counted in requests."""
    return not by_metric(draft)
