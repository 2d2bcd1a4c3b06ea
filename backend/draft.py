"""A specification being written: plain data that need not be right yet.

Front ends ask question by question; this holds the answers in between. Invariants: an answer is never lost by another
one (what a choice makes meaningless is put aside and comes back with it); what is wrong is told by ``check`` at the
field's path and in the same words as for a file; the Hugging Face token has no place here.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend import catalog, spec_yaml
from backend.errors import Problem, SpecError
from backend.overrides import PART
from backend.spec import DEFAULT_IN_FLIGHT, DEFAULT_UTILIZATION_PERCENT, GatewaySpec

EACH = "clusters[]."
"""How the path of a field begins that every cluster has."""
MODE_FIELDS = {
    "CUSTOM_METRICS": ("balancing.max_utilization_percent", DEFAULT_UTILIZATION_PERCENT),
    "IN_FLIGHT": ("balancing.max_in_flight_requests_per_endpoint", DEFAULT_IN_FLIGHT),
}
"""Where each balancing mode has its limit, and that limit's default."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a draft amounts to."""

    spec: GatewaySpec | None
    """The specification; ``None`` while something is wrong."""
    problems: tuple[Problem, ...] = ()
    """What is wrong, each at its field's path."""

    def at(self, path: str) -> tuple[Problem, ...]:
        """The problems at a field, or below it; ``clusters[]`` stands for every cluster."""
        return tuple(problem for problem in self.problems if covers(path, problem.path))


class Draft:
    """The answers so far."""

    def __init__(self, data: Mapping[str, Any], aside: Mapping[str, Any] | None = None) -> None:
        self.data: dict[str, Any] = copy.deepcopy(dict(data))
        """The specification as plain data, every field spelled as in YAML."""
        self._aside: dict[str, Any] = dict(aside or {})

    @classmethod
    def of(cls, spec: GatewaySpec) -> Draft:
        """Begin with a specification."""
        return cls(spec.to_data())

    @classmethod
    def kept(cls, data: Mapping[str, Any]) -> Draft:
        """Go on with what ``to_keep`` gave; raises ``KeyError`` or ``TypeError`` for anything else."""
        return cls(data["spec"], data.get("aside"))

    def to_keep(self) -> dict[str, Any]:
        """Everything that is needed to go on later, as plain data."""
        return {"spec": copy.deepcopy(self.data), "aside": dict(self._aside)}

    def check(self) -> Checked:
        """Read the answers as a specification; tells every problem at once."""
        try:
            return Checked(spec_yaml.check(self.data, "draft"))
        except SpecError as error:
            return Checked(None, error.problems)

    # --- single answers -----------------------------------------------------------------------------------------------

    def get(self, path: str) -> Any:
        """The answer at a path such as ``clusters[0].region``; ``None`` where there is none."""
        here: Any = self.data
        for part in _parts(path):
            if isinstance(part, int):
                here = here[part] if isinstance(here, list) and part < len(here) else None
            else:
                here = here.get(part) if isinstance(here, dict) else None
        return here

    def all(self, path: str, clusters: Sequence[int] | None = None) -> list[Any]:
        """The answers at a path that may begin with ``clusters[].``, one for each cluster that has such a field."""
        return [self.get(one) for one in self.paths(path, clusters)]

    def paths(self, path: str, clusters: Sequence[int] | None = None) -> list[str]:
        """The paths that one with ``clusters[].`` stands for: those of all clusters, or of some by position."""
        if not path.startswith(EACH):
            return [path]
        rest = path.removeprefix(EACH)
        there = range(len(self.clusters))
        wanted = there if clusters is None else [index for index in clusters if index in there]
        pooled = rest.startswith("gpu_pool.")
        return [f"clusters[{index}].{rest}" for index in wanted if not pooled or self.clusters[index].get("gpu_pool")]

    def set(self, path: str, value: Any, clusters: Sequence[int] | None = None) -> None:
        """Give an answer at a path; one that begins with ``clusters[].`` counts for all clusters, or for some."""
        for one in self.paths(path, clusters):
            if one.endswith("].name") and self.get(one) == self.data.get("config_cluster"):
                self.data["config_cluster"] = value
            self._put(one, value)
        if path == "balancing.mode":
            self._follow_mode(str(value))
        elif path.endswith("gpu_pool.provisioning"):
            self._follow_provisioning(path, clusters)
        elif path.endswith("gpu_pool.machine_type"):
            self._follow_machine(path, clusters)

    # --- clusters -----------------------------------------------------------------------------------------------------

    @property
    def clusters(self) -> list[dict[str, Any]]:
        """The clusters as plain data."""
        found: list[dict[str, Any]] = self.data.setdefault("clusters", [])
        return found

    @property
    def regions(self) -> list[str]:
        """Regions that serve the model, in the order in which they were chosen."""
        return [str(cluster["region"]) for cluster in self.clusters if cluster.get("gpu_pool")]

    @property
    def config_region(self) -> str | None:
        """Region of the config cluster; ``None`` while there is no such cluster."""
        name = self.data.get("config_cluster")
        return next((str(cluster["region"]) for cluster in self.clusters if cluster["name"] == name), None)

    @property
    def accelerator(self) -> str:
        """The GPU type of the first pool; the document's own where there is none."""
        found = [name for name in self.all(f"{EACH}gpu_pool.accelerator") if name]
        return str(found[0]) if found else "nvidia-h100-80gb"

    def choose_region(self, region: str, *, zones: Sequence[str] = ()) -> None:
        """Add a cluster that serves the model in a region; what it had before comes back.

        ``zones`` are those known to have the machines; without them the catalogue's first is taken.
        """
        if region in self.regions:
            return
        cluster = self._aside.pop(f"region/{region}", None) or self._new_cluster(region, zones)
        self.clusters.append(cluster)
        if self.config_region is None:
            self.data["config_cluster"] = cluster["name"]

    def leave_region(self, region: str) -> None:
        """Take the cluster of a region out and put it aside; another becomes the config cluster where it was that."""
        for cluster in [one for one in self.clusters if one["region"] == region]:
            self.clusters.remove(cluster)
            self._aside[f"region/{region}"] = cluster
        if self.config_region is None and self.clusters:
            self.data["config_cluster"] = self.clusters[0]["name"]

    def make_config(self, region: str) -> None:
        """Make the cluster of a region the config cluster; nothing when there is none."""
        names = [cluster["name"] for cluster in self.clusters if cluster["region"] == region]
        self.data["config_cluster"] = names[0] if names else self.data.get("config_cluster")

    def choose_accelerator(self, accelerator: str) -> None:
        """Take another GPU type in every pool: its smallest machine, and zones that have it."""
        machines = [shape for shape in catalog.shapes().values() if shape.accelerator == accelerator]
        if not machines or accelerator == self.accelerator:
            return
        self.set(f"{EACH}gpu_pool.machine_type", machines[0].machine_type)
        for cluster in self.clusters:
            if cluster.get("gpu_pool"):
                cluster["gpu_pool"]["zones"] = _zones(accelerator, cluster["region"])

    def _new_cluster(self, region: str, zones: Sequence[str]) -> dict[str, Any]:
        like = next((one for one in self.clusters if one.get("gpu_pool")), None) or self._any_aside()
        cluster: dict[str, Any] = copy.deepcopy(like) if like else {"gpu_pool": _first_pool(self.accelerator)}
        cluster |= {"name": f"gke-{region}", "region": region, "proxy_subnet": "auto"}
        pool = cluster["gpu_pool"]
        pool["zones"] = list(zones[:1]) or _zones(str(pool["accelerator"]), region)
        if pool.get("reservation"):
            pool |= {"reservation": None}
        return cluster

    def _any_aside(self) -> dict[str, Any] | None:
        found = [value for key, value in self._aside.items() if key.startswith("region/")]
        return found[-1] if found else None

    # --- what an answer brings with it --------------------------------------------------------------------------------

    def _follow_mode(self, mode: str) -> None:
        for other, (path, default) in MODE_FIELDS.items():
            if other == mode:
                self._put(path, self.get(path) or self._aside.pop(path, None) or default)
            elif (value := self.get(path)) is not None:
                self._aside[path] = value
                self._put(path, None)

    def _follow_provisioning(self, path: str, clusters: Sequence[int] | None) -> None:
        for one in self.paths(path, clusters):
            name = one.replace("provisioning", "reservation")
            if self.get(one) == "reservation":
                self._put(name, self.get(name) or self._aside.pop(name, None))
            elif (value := self.get(name)) is not None:
                self._aside[name] = value
                self._put(name, None)

    def _follow_machine(self, path: str, clusters: Sequence[int] | None) -> None:
        for one in self.paths(path, clusters):
            shape = catalog.shapes().get(str(self.get(one)))
            if shape is not None:
                pool = one.removesuffix("machine_type")
                self._put(f"{pool}accelerator", shape.accelerator)
                self._put(f"{pool}accelerators_per_node", shape.accelerators)

    def _put(self, path: str, value: Any) -> None:
        *before, last = _parts(path)
        here: Any = self.data
        for part in before:
            inner = here[part]
            if inner is None:
                inner = here[part] = {}
            here = inner
        here[last] = value
        if len(before) == 1 and before[0] in {"guard", "guardrail"} and not any(here.values()):
            self.data[str(before[0])] = None


def covers(path: str, other: str) -> bool:
    """Whether a field's path is that of another or stands above it; ``clusters[]`` stands for every cluster."""
    wanted, found = path.replace("[]", "[0]"), other
    if "[]" in path:
        index = other.removeprefix("clusters[").partition("]")[0]
        wanted = path.replace("[]", f"[{index}]")
    return found == wanted or found.startswith((f"{wanted}.", f"{wanted}["))


def _parts(path: str) -> list[str | int]:
    return [int(index) if index else name for name, index in PART.findall(path)]


def _zones(accelerator: str, region: str) -> list[str]:
    known = [zone for zone in catalog.zones(accelerator) or () if zone.startswith(f"{region}-")]
    return known[:1] or [f"{region}-a"]


def _first_pool(accelerator: str) -> dict[str, Any]:
    shape = next(shape for shape in catalog.shapes().values() if shape.accelerator == accelerator)
    return {
        "name": "gpu",
        "zones": [],
        "accelerator": accelerator,
        "accelerators_per_node": shape.accelerators,
        "machine_type": shape.machine_type,
        "nodes": 1,
        "provisioning": "spot",
        "reservation": None,
    }


@dataclass(frozen=True, slots=True)
class Place:
    """A region that has the GPU of a draft, as the catalogue knows it."""

    region: str
    zones: tuple[str, ...]
    """Zones that have it; empty when only the region is known."""
    usd_per_hour: float | None
    """Price of the draft's pool there; ``None`` where the region has no price of its own."""


def places(draft: Draft) -> tuple[Place, ...]:
    """The regions that have the draft's GPU, and those it has chosen."""
    kind = draft.accelerator
    zones = catalog.zones(kind) or ()
    pool = next((cluster["gpu_pool"] for cluster in draft.clusters if cluster.get("gpu_pool")), _first_pool(kind))
    found = []
    for region in dict.fromkeys([*(catalog.regions_with(kind) or catalog.regions()), *draft.regions]):
        quote = catalog.quote(str(pool["machine_type"]), region, str(pool["provisioning"]))
        count = pool["nodes"] if isinstance(pool["nodes"], int) else 1
        found.append(
            Place(
                region,
                tuple(zone for zone in zones if zone.startswith(f"{region}-")),
                quote.usd_per_hour * count if quote is not None and quote.region == region else None,
            )
        )
    return tuple(found)
