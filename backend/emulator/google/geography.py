"""Where the emulated cloud has what: regions, zones, machine shapes and GPUs.

A dated excerpt of the real cloud (H100 and A100 zones 2026-08, auto-mode ranges of the default network), enough for
the shapes that serve models. The emulator holds its own copy so that a mistake in the product's catalogue shows.
"""

from __future__ import annotations

from dataclasses import dataclass

_AUTO_RANGE = {
    "us-central1": 128, "europe-west1": 132, "us-west1": 138, "asia-east1": 140, "us-east1": 142,
    "asia-northeast1": 146, "asia-southeast1": 148, "us-east4": 150, "australia-southeast1": 152,
    "europe-west2": 154, "europe-west3": 156, "southamerica-east1": 158, "asia-south1": 160,
    "northamerica-northeast1": 162, "europe-west4": 164, "europe-north1": 166, "us-west2": 168, "asia-east2": 170,
    "europe-west6": 172, "asia-northeast2": 174, "asia-northeast3": 178, "us-west3": 180, "us-west4": 182,
    "asia-southeast2": 184, "europe-central2": 186, "northamerica-northeast2": 188, "asia-south2": 190,
    "australia-southeast2": 192, "southamerica-west1": 194, "europe-west8": 198, "europe-west9": 200,
    "us-east5": 202, "europe-southwest1": 204, "us-south1": 206, "me-west1": 208, "europe-west12": 210,
    "me-central1": 212, "europe-west10": 214, "me-central2": 216, "africa-south1": 218,
}  # fmt: skip
_ZONE_LETTERS = {"us-central1": "abcf", "us-east1": "bcd", "europe-west1": "bcd"}

REGIONS: dict[str, tuple[str, ...]] = {
    region: tuple(f"{region}-{letter}" for letter in _ZONE_LETTERS.get(region, "abc")) for region in _AUTO_RANGE
}
"""Zones of each region."""
ZONES: dict[str, str] = {zone: region for region, zones in REGIONS.items() for zone in zones}
"""Region of each zone."""
AUTO_SUBNETS: dict[str, str] = {region: f"10.{octet}.0.0/20" for region, octet in _AUTO_RANGE.items()}
"""Primary range of the `default` network's subnetwork in each region."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine type."""

    name: str
    cpus: int
    memory_gib: int
    accelerator: str | None = None
    accelerators: int = 0
    zones: frozenset[str] | None = None
    """Where it can be had; None means everywhere."""
    on_demand: bool = True
    """Whether it can be had without Spot or flex-start."""

    @property
    def family(self) -> str:
        """The series, like `c2` or `a3`."""
        return self.name.partition("-")[0]


def _zones(text: str) -> frozenset[str]:
    """Zones from `region:letters` words."""
    pairs = (word.split(":") for word in text.split())
    return frozenset(f"{region}-{letter}" for region, letters in pairs for letter in letters)


_H100 = _zones(
    "asia-east1:c asia-northeast1:b asia-south1:c asia-south2:b asia-southeast1:bc australia-southeast1:c "
    "europe-north1:c europe-west1:bc europe-west3:c europe-west4:bc europe-west8:c europe-west9:c "
    "us-central1:abc us-east4:abc us-east5:a us-west1:ab us-west4:a"
)
_H100_MEGA = _zones(
    "asia-east1:c asia-northeast1:b asia-southeast1:bc australia-southeast1:c europe-north1:c europe-west1:bc "
    "europe-west3:c europe-west4:bc us-central1:abc us-east4:abc us-east5:a us-west1:ab us-west4:a"
)
_H200 = _zones(
    "asia-south1:b asia-south2:c europe-west1:b europe-west4:a us-central1:b us-east4:b us-east5:a us-south1:b "
    "us-west1:c"
)
_A100 = _zones(
    "asia-northeast1:ac asia-northeast3:ab asia-southeast1:abc europe-west4:ab me-west1:ac us-central1:abcf "
    "us-east1:b us-west1:b us-west3:b us-west4:b"
)
_A100_80 = _zones("asia-southeast1:c europe-west4:a us-central1:ac us-east4:c us-east5:ab")
_L4_REGIONS = (
    "asia-east1", "asia-northeast1", "asia-northeast3", "asia-south1", "asia-southeast1", "europe-west1",
    "europe-west2", "europe-west3", "europe-west4", "europe-west6", "me-central2", "northamerica-northeast1",
    "northamerica-northeast2", "us-central1", "us-east1", "us-east4", "us-west1", "us-west4",
)  # fmt: skip
_L4 = frozenset(zone for region in _L4_REGIONS for zone in REGIONS[region])

_GPU_SHAPES = [
    *(Machine(f"a3-highgpu-{n}g", 26 * n, 234 * n, "nvidia-h100-80gb", n, _H100, n == 8) for n in (1, 2, 4, 8)),
    Machine("a3-megagpu-8g", 208, 1872, "nvidia-h100-mega-80gb", 8, _H100_MEGA),
    Machine("a3-ultragpu-8g", 224, 2952, "nvidia-h200-141gb", 8, _H200),
    *(Machine(f"a2-highgpu-{n}g", 12 * n, 85 * n, "nvidia-tesla-a100", n, _A100) for n in (1, 2, 4, 8)),
    *(Machine(f"a2-ultragpu-{n}g", 12 * n, 170 * n, "nvidia-a100-80gb", n, _A100_80) for n in (1, 2, 4, 8)),
    *(
        Machine(f"g2-standard-{cpus}", cpus, 4 * cpus, "nvidia-l4", count, _L4)
        for cpus, count in ((4, 1), (8, 1), (12, 1), (16, 1), (32, 1), (24, 2), (48, 4), (96, 8))
    ),
]
_PLAIN_SHAPES = [
    Machine("e2-medium", 2, 4),
    *(Machine(f"e2-standard-{cpus}", cpus, 4 * cpus) for cpus in (2, 4, 8, 16, 32)),
    *(
        Machine(f"{family}-standard-{cpus}", cpus, 4 * cpus)
        for family in ("n2", "n2d", "n4")
        for cpus in (2, 4, 8, 16, 32)
    ),
    *(Machine(f"c2-standard-{cpus}", cpus, 4 * cpus) for cpus in (4, 8, 16, 30, 60)),
    *(Machine(f"c3-standard-{cpus}", cpus, 4 * cpus) for cpus in (4, 8, 22, 44)),
]
MACHINES: dict[str, Machine] = {machine.name: machine for machine in (*_GPU_SHAPES, *_PLAIN_SHAPES)}
"""Every machine type by name."""
ACCELERATORS: dict[str, str] = {
    "nvidia-h100-80gb": "NVIDIA H100 80GB",
    "nvidia-h100-mega-80gb": "NVIDIA H100 80GB MEGA",
    "nvidia-h200-141gb": "NVIDIA H200 141GB",
    "nvidia-tesla-a100": "NVIDIA A100 40GB",
    "nvidia-a100-80gb": "NVIDIA A100 80GB",
    "nvidia-l4": "NVIDIA L4",
}
"""Description of each accelerator type."""


def machines_in(zone: str) -> list[Machine]:
    """The machine types of a zone, by name."""
    return sorted(
        (one for one in MACHINES.values() if one.zones is None or zone in one.zones), key=lambda one: one.name
    )


def accelerators_in(zone: str) -> dict[str, int]:
    """The accelerator types of a zone, and how many one machine can have at most."""
    found: dict[str, int] = {}
    for machine in machines_in(zone):
        if machine.accelerator:
            found[machine.accelerator] = max(machine.accelerators, found.get(machine.accelerator, 0))
    return found


def zones_of(location: str) -> tuple[str, ...]:
    """The zones of a region, or the zone itself; empty for a place that does not exist."""
    if location in ZONES:
        return (location,)
    return REGIONS.get(location, ())


def region_of(location: str) -> str:
    """The region of a zone, or the region itself."""
    return ZONES.get(location, location)
