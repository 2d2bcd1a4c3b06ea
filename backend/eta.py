"""How long the steps of a plan take, as ranges.

A step's spread is the catalogue's, drawn towards what the same kind of step took before on this machine against the
same target. Invariants: fewer than three runs of one's own change nothing; a rehearsal never speaks for the real cloud
or the other way round.
"""

from __future__ import annotations

import heapq
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median, stdev

from backend import catalog
from backend.engine.durations import Duration, log_normal
from backend.engine.events import Action, Event, Outcome, RunStarted, StepFinished
from backend.engine.plan import Plan, PlannedStep

FEWEST = 3
"""Samples of one's own below which only the catalogue counts."""
WEIGHT = 4
"""Samples of one's own that weigh as much as the catalogue."""
RUNS = 20
"""Journals that are looked at, the latest ones."""
SHORTEST_S = 1.0
"""Seconds that a rehearsed step must last to count: shorter ones measure this machine, not the cloud."""

Key = tuple[str, Action]
"""Kind of resource and what was done."""


def kind_of(resource: str) -> str:
    """Kind of a resource's id: ``node-pool`` of ``node-pool/gke-west/h100``, ``pool`` of ``pool@gke-west``."""
    return resource.partition("/")[0].partition("@")[0]


@dataclass(frozen=True, slots=True)
class History:
    """What steps took before, in seconds on the real cloud."""

    samples: Mapping[Key, Sequence[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, runs: Iterable[Iterable[Event]], target: str) -> History:
        """Collect the successful steps of runs against one target."""
        found: dict[Key, list[float]] = defaultdict(list)
        for run in runs:
            scale: float | None = None
            for event in run:
                match event.payload:
                    case RunStarted() as started:
                        scale = started.speed if started.target == target else None
                    case StepFinished(outcome=Outcome.SUCCEEDED) as step if scale is not None:
                        if step.action is not Action.NO_OP and (scale == 1 or step.elapsed_s >= SHORTEST_S):
                            found[kind_of(step.resource), step.action].append(step.elapsed_s * scale)
        return cls(dict(found))

    @classmethod
    def read(cls, journals: Path, target: str) -> History:
        """Collect from the latest journals below a folder; what cannot be read is left out."""
        latest = heapq.nlargest(RUNS, journals.glob("*/*.jsonl"), key=lambda path: path.name)
        return cls.of((_relevant(path) for path in latest), target)


def blend(known: Duration, samples: Sequence[float]) -> Duration:
    """Draw what is known towards one's own samples, the more the more of them there are."""
    own = [math.log(seconds) for seconds in samples if seconds > 0]
    if len(own) < FEWEST or not known.p50_s:
        return known
    share = len(own) / (len(own) + WEIGHT)
    middle = (1 - share) * math.log(known.p50_s) + share * median(own)
    return log_normal(math.exp(middle), (1 - share) * known.sigma + share * stdev(own))


def estimated(plan: Plan, history: History) -> Plan:
    """The plan with every step's estimate as a range."""
    return replace(plan, steps=tuple(_estimated(step, history) for step in plan.steps))


def _estimated(step: PlannedStep, history: History) -> PlannedStep:
    about, kind = step.about, kind_of(step.resource)
    if not about.estimate_s:
        return step
    late = about.estimate_p90_s or about.estimate_s * catalog.spread(kind)
    found = blend(Duration(about.estimate_s, max(late, about.estimate_s)), history.samples.get((kind, step.action), ()))
    return replace(step, about=replace(about, estimate_s=found.p50_s, estimate_p90_s=found.p90_s))


def _relevant(path: Path) -> Iterable[Event]:
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if '"run_started"' in line or '"step_finished"' in line:
                    yield Event.from_json(json.loads(line))
    except (OSError, ValueError):
        return
