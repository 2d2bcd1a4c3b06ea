"""What a check is, and what it is given.

A check reads what it needs, all at once, and judges it. Invariants: judging is pure; a finding of the same id is given
whether it turns out well or badly, so that a mended one is seen to be ``ok``.
"""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from backend.places import Places
from backend.preflight.findings import Finding, Topic, Verdict
from backend.preflight.readings import Gap, Readings
from backend.spec import GatewaySpec

Again = Callable[..., str]
"""Gives the command line that runs the preflight of the same specification with further options."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the world."""

    spec: GatewaySpec
    readings: Readings
    token: SecretStr | None
    """The Hugging Face token; ``None`` without one."""
    places: Places
    environ: Mapping[str, str]
    permissions: Mapping[str, str]
    """IAM permissions that carrying out the specification needs, each with the step that needs it."""
    wanted_apis: frozenset[str]
    """APIs that the first step turns on."""
    again: Again

    @property
    def project(self) -> str:
        """Id of the project."""
        return self.readings.project

    def setting(self, **values: Any) -> str:
        """The command that looks again with other fields of the specification; paths with ``__`` for a dot."""
        pairs = [f"{path.replace('__', '.')}={value}" for path, value in values.items()]
        return self.again(*(part for pair in pairs for part in ("--set", pair)))


@dataclass(frozen=True, slots=True)
class Check:
    """One kind of check."""

    ids: str
    """Form of the ids of its findings, such as ``quota/REGION/METRIC``."""
    topic: Topic
    reads: str
    """What it looks at."""
    saves: str
    """What it saves from."""
    run: Callable[[Question], Awaitable[Sequence[Finding]]]

    def unknown(self, why: str, fix: str | None = None) -> Finding:
        """The finding for a check that came to no end."""
        return Finding(self.ids, Verdict.UNKNOWN, why, self.saves, fix, self.topic)


def unread(identity: str, gap: Gap, *, what: str, why: str, topic: Topic) -> Finding:
    """The finding for what could not be read; ``what`` names it at the beginning of a sentence."""
    return Finding(
        identity, Verdict.UNKNOWN, f"{what} could not be read: {gap.why}", why, gap.fix or None, topic, gap.off, gap.why
    )


def again_by_name(spec: GatewaySpec) -> Again:
    """``mcig doctor`` on the specification's name."""
    return lambda *options: shlex.join(["mcig", "doctor", spec.name, *options])
