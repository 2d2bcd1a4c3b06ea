"""What a preflight check found, as data.

Invariant: a finding never claims more than was read. What could not be read is ``unknown`` and says why, and a figure
that is missing is neither zero nor enough.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """How a check came out."""

    OK = "ok"
    """As it should be."""
    WARN = "warn"
    """It can be done, and should be known."""
    FAIL = "fail"
    """Setting up would fail here."""
    UNKNOWN = "unknown"
    """It could not be found out."""


class Topic(StrEnum):
    """What a check is about; a wizard shows each topic on a page of its own."""

    PROJECT = "project"
    """Credentials, project, billing, APIs, permissions, organisation policies."""
    REGIONS = "regions"
    """Zones, and the quota of the ordinary nodes."""
    GPU = "gpu"
    """GPU quota, machine types in zones, capacity."""
    MODEL = "model"
    """GPU memory, Hugging Face token, model and adapters."""
    NETWORK = "network"
    """VPC, subnetworks, proxy-only subnets, names that are taken."""
    VERSIONS = "versions"
    """GKE, chart, vLLM and metric names."""
    LOCAL = "local"
    """This machine: kubeconfig, clock, proxy, gcloud."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    id: str
    """Stable name such as ``quota/us-east4/PREEMPTIBLE_NVIDIA_H100_GPUS``, as ``--ignore`` takes it."""
    status: Verdict
    message: str
    """What was found, in a sentence with its figures."""
    why: str
    """Why it matters for this stack."""
    fix: str | None
    """The command or key that mends it; ``None`` where nothing has to be mended."""
    topic: Topic
    once_enabled: bool = False
    """Whether it is unknown only because an API is off that applying turns on first."""
    cause: str = ""
    """Why it could not be read, the same words for all that one refusal leaves unknown; empty when it was read."""
    follows: str | None = None
    """Id of the failure that has to be mended before this can be known."""

    def to_json(self) -> dict[str, Any]:
        """The finding as ``mcig doctor --json`` prints it."""
        return {
            "id": self.id,
            "status": str(self.status),
            "message": self.message,
            "why": self.why,
            "fix": self.fix,
            "topic": str(self.topic),
            "follows": self.follows,
        }


_TOPICS = list(Topic)
_WORST = [Verdict.FAIL, Verdict.UNKNOWN, Verdict.WARN, Verdict.OK]


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings by topic, the worst first, the same for the same findings."""
    return tuple(sorted(findings, key=lambda one: (_TOPICS.index(one.topic), _WORST.index(one.status), one.id)))


def refusing(findings: Iterable[Finding], ignore: Collection[str] = ()) -> tuple[Finding, ...]:
    """The failures that are not to be ignored; the beginning of an id, such as ``capacity``, stands for all below."""
    return tuple(
        one
        for one in findings
        if one.status is Verdict.FAIL and not any(one.id == id_ or one.id.startswith(f"{id_}/") for id_ in ignore)
    )
