"""Rules between a specification and what shapes, regions, versions and models can do.

``spec.problems`` finds what contradicts itself; ``refusals`` finds what the world does not have, at its field and with
the alternatives; ``notes`` says what can be done but should be known. Invariant: pure, nothing is asked of any cloud.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import IPv4Network

from backend import catalog, catalog_rules
from backend.catalog_rules import counted, gpu_pools
from backend.errors import Problem
from backend.spec import BalancingMode, GatewaySpec, Model, Provisioning

LOWEST_GKE = (1, 34, 1, 1127000)
"""GKE 1.34.1-gke.1127000: the first with AutoscalingMetric, and the document's own lower limit."""
FIRST_METRIC = (0, 6, 2)
"""The first vLLM known to report its KV-cache use as a gauge."""
TRIED_VLLM = (0, 12, 0)
"""From here on vLLM's command line and metrics have moved away from the v0.8.5 that the recipe was written for."""
AUTO_MODE_RANGE = IPv4Network("10.128.0.0/9")
"""What an auto-mode VPC keeps for its own subnetworks."""
FLEX_START_DAYS = 7


@dataclass(frozen=True, slots=True)
class SpecNote:
    """Something about a specification that can be done but should be known."""

    path: str
    """Dotted path of the field it is about."""
    text: str
    usd_per_hour: float | None = None
    """What it costs; ``None`` where it costs nothing of its own or the price is unknown."""


def refusals(spec: GatewaySpec) -> list[Problem]:
    """List what cannot be carried out, each with what could be in its place."""
    found = [] if spec.beyond_catalog else catalog_rules.problems(spec)
    told = (Problem(item.path, f"{item.message} (beyond_catalog: true tries it all the same)") for item in found)
    return [*told, *_adapter_problems(spec), *_version_problems(spec)]


def notes(spec: GatewaySpec) -> list[SpecNote]:
    """List what should be known before this is carried out."""
    found = [*_pool_notes(spec), *_version_notes(spec), *_network_notes(spec)]
    if spec.beyond_catalog:
        found += [
            SpecNote(item.path, f"asked for beyond the catalogue: {item.message}")
            for item in catalog_rules.problems(spec)
        ]
    return found


def _adapter_problems(spec: GatewaySpec) -> Iterator[Problem]:
    """The document's adapter belongs to the document's model."""
    model, base = spec.model, Model.model_fields["id"].default
    foreign = [adapter.name for adapter in model.adapters if adapter in Model.model_fields["adapters"].default]
    if foreign and model.id != base and catalog.model(model.id) != catalog.model(base):
        yield Problem(
            "model.adapters",
            f"{', '.join(foreign)} is made for {base}, not for {model.id}: name adapters of this model, "
            "or none with []",
        )


# --- versions ---------------------------------------------------------------------------------------------------------


def _version_problems(spec: GatewaySpec) -> Iterator[Problem]:
    wanted = spec.versions.gke
    numbers = tuple(int(number) for number in re.findall(r"\d+", wanted))
    open_ended = wanted.startswith(">=")
    lowest = LOWEST_GKE if open_ended else LOWEST_GKE[: len(numbers)]
    if numbers < lowest:
        yield Problem(
            "versions.gke",
            f"{wanted} allows GKE older than 1.34.1-gke.1127000, which has no multi-cluster Inference Gateway with "
            "balancing by custom metrics; take >=1.34.1-gke.1127000 or newer",
        )
    version = spec.model.version
    if spec.balancing.mode is BalancingMode.CUSTOM_METRICS and version is not None and version < FIRST_METRIC:
        yield Problem(
            "model.image",
            f"{spec.model.image} does not report its KV-cache use as CUSTOM_METRICS needs it; take vLLM 0.8.5 or "
            "newer, or balancing.mode IN_FLIGHT",
        )


def _version_notes(spec: GatewaySpec) -> Iterator[SpecNote]:
    version = spec.model.version
    if version is None:
        yield SpecNote(
            "model.image",
            f"the tag of {spec.model.image} names no version: taken for a new vLLM, which reports "
            f"{spec.model.kv_cache_metric}",
        )
    elif version >= TRIED_VLLM:
        yield SpecNote(
            "model.image",
            f"{spec.model.image} is newer than the recipe, which is written for v0.8.5: try it on one cluster first",
        )
    if spec.versions.channel != "rapid":
        yield SpecNote(
            "versions.channel",
            f"whether the {spec.versions.channel} channel offers GKE {spec.versions.gke} depends on the region and is "
            "found out when the cluster is made; Google's guide takes the rapid channel",
        )


# --- what should be known ---------------------------------------------------------------------------------------------


def _pool_notes(spec: GatewaySpec) -> Iterator[SpecNote]:
    for path, cluster, pool in gpu_pools(spec):
        price = catalog.price(pool.machine_type, cluster.region, pool.provisioning)
        idle = pool.gpus - spec.replicas(cluster)
        if idle > 0:
            cost = None if price is None else round(price * idle / pool.accelerators_per_node, 2)
            yield SpecNote(
                "model.replicas",
                f"{counted(idle, 'GPU')} of {pool.gpus} on {cluster.name} stay idle: "
                f"{counted(spec.replicas(cluster), 'model server')} take one each, and replicas: auto would use all",
                cost,
            )
        if pool.machine_type not in catalog.shapes():
            close = get_close_matches(pool.machine_type, catalog.shapes(), 1, 0.8)
            hint = f"; did you mean {close[0]}?" if close else ""
            yield SpecNote(
                f"{path}.machine_type",
                f"{pool.machine_type} is not in the catalogue of {catalog.dated('shapes')}: passed on unchecked{hint}",
            )
        if price is None:
            yield SpecNote(
                f"{path}.machine_type",
                f"the price of {pool.machine_type} bought as {pool.provisioning} is unknown: costs are told without it",
            )
        if pool.provisioning is Provisioning.FLEX_START:
            yield SpecNote(
                f"{path}.provisioning",
                f"flex-start machines come when there are some, and are taken back {FLEX_START_DAYS} days later",
            )


def _network_notes(spec: GatewaySpec) -> Iterator[SpecNote]:
    for index, cluster in enumerate(spec.clusters):
        wanted = cluster.proxy_subnet
        if isinstance(wanted, IPv4Network) and wanted.subnet_of(AUTO_MODE_RANGE):
            yield SpecNote(
                f"clusters[{index}].proxy_subnet",
                f"{wanted} lies in {AUTO_MODE_RANGE}, which a VPC in auto mode, as `default` usually is, keeps for "
                "its own subnetworks",
            )
