"""What the dated catalogue says cannot be had: shapes, ways to buy, regions and zones, models too large for a GPU.

Each refusal stands at its field and names the alternatives and the date of the facts, because the cloud changes and the
catalogue does not. Invariants: pure; what the catalogue does not know is never refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from backend import catalog, fit
from backend.catalog import Shape
from backend.errors import Problem
from backend.spec import ClusterSpec, GatewaySpec, GpuPool, Provisioning


def problems(spec: GatewaySpec) -> Iterator[Problem]:
    """List what cannot be had, each with what can."""
    yield from _shape_problems(spec)
    yield from _offer_problems(spec)
    yield from _fit_problems(spec)


def gpu_pools(spec: GatewaySpec) -> Iterator[tuple[str, ClusterSpec, GpuPool]]:
    """The GPU pools, each with its path and its cluster."""
    for index, cluster in enumerate(spec.clusters):
        if cluster.gpu_pool is not None:
            yield f"clusters[{index}].gpu_pool", cluster, cluster.gpu_pool


def _accelerator(pool: GpuPool) -> str:
    """The GPU type that the machines have, whatever is said of it."""
    shape = catalog.shapes().get(pool.machine_type)
    return pool.accelerator if shape is None else shape.accelerator


# --- shapes -----------------------------------------------------------------------------------------------------------


def _shape_problems(spec: GatewaySpec) -> Iterator[Problem]:
    """A machine type has its own GPUs, neither others nor another number of them."""
    shapes = catalog.shapes()
    for path, _, pool in gpu_pools(spec):
        shape = shapes.get(pool.machine_type)
        if shape is None:
            continue
        if pool.accelerator != shape.accelerator:
            others = [name for name, other in shapes.items() if other.accelerator == pool.accelerator]
            having = f"; machines with {pool.accelerator} are {', '.join(others)}" if others else ""
            yield Problem(
                f"{path}.accelerator", f"{shape.machine_type} has {shape.accelerator}, not {pool.accelerator}{having}"
            )
        elif pool.accelerators_per_node != shape.accelerators:
            same = [
                name
                for name, other in shapes.items()
                if (other.accelerator, other.accelerators) == (pool.accelerator, pool.accelerators_per_node)
            ]
            having = f"; with {pool.accelerators_per_node} it is {' or '.join(same)}" if same else ""
            yield Problem(
                f"{path}.accelerators_per_node",
                f"{shape.machine_type} has {counted(shape.accelerators, 'GPU')}, "
                f"not {pool.accelerators_per_node}{having}",
            )


# --- what is offered where, and how -----------------------------------------------------------------------------------


def _offer_problems(spec: GatewaySpec) -> Iterator[Problem]:
    """Regions, zones and ways to buy, as the dated catalogue has them."""
    known = catalog.regions()
    for index, cluster in enumerate(spec.clusters):
        if cluster.region not in known:
            close = get_close_matches(cluster.region, known, 2, 0.7)
            alternatives = f"did you mean {' or '.join(close)}?" if close else f"there is {', '.join(known)}"
            yield Problem(
                f"clusters[{index}].region",
                f"{cluster.region} is no region of Google Cloud as of {catalog.dated('regions')}; {alternatives}",
            )
        elif cluster.gpu_pool is not None:
            yield from _zone_problems(index, cluster, cluster.gpu_pool)
    for path, _, pool in gpu_pools(spec):
        shape = catalog.shapes().get(pool.machine_type)
        if shape is not None and pool.provisioning not in shape.buy_as:
            yield Problem(f"{path}.provisioning", _how_to_buy(shape, pool.provisioning))


def _zone_problems(index: int, cluster: ClusterSpec, pool: GpuPool) -> Iterator[Problem]:
    accelerator = _accelerator(pool)
    regions, zones = catalog.regions_with(accelerator), catalog.zones(accelerator)
    dated = catalog.dated("zones")
    if regions is None:
        return
    if cluster.region not in regions:
        near = catalog.nearest(cluster.region, regions)[:3]
        yield Problem(
            f"clusters[{index}].region",
            f"{cluster.region} has no {accelerator} as of {dated}; "
            f"the nearest that have it are {_listed([_with_zones(region, zones) for region in near])}",
        )
        return
    if zones is None:
        return
    here = [zone for zone in zones if zone.startswith(f"{cluster.region}-")]
    for position, zone in enumerate(pool.zones):
        if zone.startswith(f"{cluster.region}-") and zone not in here:
            yield Problem(
                f"clusters[{index}].gpu_pool.zones[{position}]",
                f"{zone} has no {accelerator} as of {dated}; in {cluster.region} it is in {_listed(here)}",
            )


def _with_zones(region: str, zones: tuple[str, ...] | None) -> str:
    here = [zone for zone in zones or () if zone.startswith(f"{region}-")]
    return f"{region} ({', '.join(here)})" if here else region


def _how_to_buy(shape: Shape, wanted: Provisioning) -> str:
    ways = [str(way) for way in Provisioning if way in shape.buy_as]
    text = f"{shape.machine_type} cannot be bought as {wanted}, only as {_listed(ways, 'or')}"
    others = [
        name
        for name, other in catalog.shapes().items()
        if other.accelerator == shape.accelerator and wanted in other.buy_as
    ]
    also = f"; as {wanted} there is {_listed(others, 'or')}" if others else ""
    return f"{text} (as of {catalog.dated('shapes')}){also}"


# --- the model --------------------------------------------------------------------------------------------------------


def _fit_problems(spec: GatewaySpec) -> Iterator[Problem]:
    """Every model server takes one GPU, so the smallest must hold the weights and one longest request."""
    model, needed = spec.model, fit.need(spec.model.id)
    if needed is None:
        return
    rooms = [
        (left, number, cluster.name, _accelerator(pool))
        for number, (_, cluster, pool) in enumerate(gpu_pools(spec))
        if (left := fit.room(needed, _accelerator(pool))) is not None
    ]
    if not rooms:
        return
    left, _, cluster, accelerator = min(rooms)
    if left <= 0:
        known = dict.fromkeys(shape.accelerator for shape in catalog.shapes().values())
        larger = [name for name in known if (fit.room(needed, name) or 0) > 0]
        enough = f"{_listed(larger, 'or')} would hold them" if larger else "no GPU of the catalogue holds them"
        yield Problem(
            "model.id",
            f"the weights of {model.id} take about {needed.weights_gib:.0f} GiB, and each model server has one "
            f"{accelerator} on {cluster}, with room for {max(0, left + needed.weights_gib):.0f}; {enough}, or take a "
            "smaller or quantised model",
        )
        return
    longest = fit.longest_context(needed, accelerator)
    if longest is None or needed.known is None:
        return
    wanted = model.max_model_len or needed.known.context
    if wanted > longest:
        own = f"the model's own context of {wanted} tokens needs"
        asked = own if model.max_model_len is None else f"{wanted} tokens need"
        yield Problem(
            "model.max_model_len",
            f"{asked} {wanted * needed.known.kv_bytes / fit.GIB:.1f} GiB of KV cache, and beside "
            f"the weights one {accelerator} on {cluster} has room for about {left:.1f} GiB; set max_model_len to "
            f"{_power_below(longest)}, say",
        )


def _power_below(tokens: int) -> int:
    return int(2 ** max(8, tokens.bit_length() - 1))


def _listed(words: list[str], last: str = "and") -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def counted(number: int, what: str) -> str:
    """A number and its noun, such as ``3 GPUs``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
