"""Where requests go before, at and after spill-over, in three policies: prints the README's table.

Run by path: ``python tests/benchmarks/spillover.py``. Each policy is applied to the rehearsal and loaded through the
near region's address with more than it may take. Ten seconds after the first request that went elsewhere the near
region must be at the policy's target within 7 points of it, on average. Ends with 1 when it is not.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SECONDS = 60.0
SETTLED_S = 10.0
"""Seconds after the first spilled request from which the near region has to be at its target."""
NEAR_BY = 0.07
"""How far from the target it may be then, as a fraction."""
WARM = 0.05
"""Share of a look's requests elsewhere from which it counts as spilled."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Policy:
    """A policy to measure."""

    name: str
    settings: tuple[str, ...]
    rate: float
    """Requests a second: more than the near region may take, and less than both may."""
    target: float
    """What the near region is filled to."""
    per_endpoint: int | None = None
    """Requests under way at one endpoint that count as full; None where the KV cache is what counts."""

    def fill(self, cluster: Json, pods: int) -> float | None:
        """How full a cluster is at one look, as a fraction, in the policy's own measure."""
        if self.per_endpoint is None:
            return None if cluster["kv_cache"] is None else float(cluster["kv_cache"])
        if cluster["running"] is None:
            return None
        return float(cluster["running"] + (cluster["waiting"] or 0)) / (pods * self.per_endpoint)


POLICIES = (
    Policy("CUSTOM_METRICS, KV cache 60 %", ("balancing.max_utilization_percent=60",), 26, 0.6),
    Policy("CUSTOM_METRICS, KV cache 30 %", ("balancing.max_utilization_percent=30",), 15, 0.3),
    Policy(
        "IN_FLIGHT, 30 an endpoint",
        ("balancing.mode=IN_FLIGHT", "balancing.max_in_flight_requests_per_endpoint=30"),
        22,
        1.0,
        30,
    ),
)
PODS = 2
"""Model servers of each cluster of the rehearsal."""


@dataclass(frozen=True)
class Found:
    """What one policy did."""

    policy: Policy
    before_s: float
    """Seconds from the first request until the first that went elsewhere."""
    fill_at: float
    """How full the near region was then."""
    shares: tuple[float, float, float]
    """The near region's share before, in the ten seconds from the first spilled request on, and after."""
    fill_after: float
    lost: int

    @property
    def holds(self) -> bool:
        """Whether it settled at the target."""
        return abs(self.fill_after - self.policy.target) <= NEAR_BY * max(1.0, self.policy.target)

    def row(self) -> str:
        """A row of the table."""
        cells = [self.policy.name, f"{self.policy.rate:g}/s", f"{self.before_s:.0f} s, {100 * self.fill_at:.0f} % full"]
        cells += [f"{100 * share:.0f} / {100 - 100 * share:.0f}" for share in self.shares]
        cells += [f"{100 * self.fill_after:.0f} % of {100 * self.policy.target:.0f} %", str(self.lost)]
        return f"| {' | '.join(cells)} |"


HEAD = (
    "| policy | requests | near region alone | before | 10 s of spill-over | after | near region settles at | lost |\n"
    "|---|---|---|---|---|---|---|---|"
)


def mcig(home: str, *arguments: str) -> str:
    """Run one command and give its standard output; raises when it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "tui", *arguments],
        env={**os.environ, "MCIG_HOME": home},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout


def measured(policy: Policy, result: Json) -> Found:
    """Read a policy's behaviour off the document of ``mcig load --json``."""
    looks = [point for point in result["timeline"] if _requests(point) > 0]
    near = next(index for index, each in enumerate(result["clusters"]) if each["region"] == result["region"])
    elsewhere = [look for look in looks if 1 - look["clusters"][near]["share"] > WARM]
    if not elsewhere:
        raise SystemExit(f"{policy.name}: nothing spilled over; the near region took it all")
    began, spilled = looks[0]["t_s"], elsewhere[0]["t_s"]
    last = began + result["seconds"]
    before = [look for look in looks if look["t_s"] < spilled]
    at = [look for look in looks if spilled <= look["t_s"] < spilled + SETTLED_S]
    after = [look for look in looks if spilled + SETTLED_S <= look["t_s"] <= last]
    fills = [fill for look in after if (fill := policy.fill(look["clusters"][near], PODS)) is not None]
    return Found(
        policy,
        spilled - began,
        policy.fill(elsewhere[0]["clusters"][near], PODS) or 0.0,
        (_share(before, near), _share(at, near), _share(after, near)),
        sum(fills) / len(fills),
        result["lost"],
    )


def _requests(look: Json) -> float:
    return sum(float(each["requests"]) for each in look["clusters"])


def _share(looks: Sequence[Json], near: int) -> float:
    whole = sum(_requests(look) for look in looks)
    return sum(look["clusters"][near]["requests"] for look in looks) / whole if whole else 1.0


def main() -> int:
    """Measure and print; 0 when everything holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--only", default="", help="only policies whose name has this in it, such as IN_FLIGHT")
    options = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as home:
        try:
            for policy in (each for each in POLICIES if options.only in each.name):
                settings = [part for one in policy.settings for part in ("--set", one)]
                mcig(home, "apply", "rehearsal", "--yes", "--plain", "--speed", "max", *settings)
                asked = ["--rate", str(policy.rate), "--seconds", str(options.seconds), "--json"]
                found.append(measured(policy, json.loads(mcig(home, "load", *asked))))
        finally:
            mcig(home, "emulator", "stop")
    sys.stdout.write("\n".join([HEAD, *(each.row() for each in found)]) + "\n")
    missed = [each.policy.name for each in found if not each.holds]
    sys.stdout.write(f"does not settle: {', '.join(missed)}\n" if missed else "holds\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
