"""What a drill leaves on a backend policy while it lasts, told apart from what differs otherwise.

Pure; the standard library only. Invariant: a difference counts as a drill's only beside the annotation that a drill
writes, so a scope that somebody set by hand stays a difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

UNTIL = "mcig-drill-until"
"""Annotation: when the drill that drains a region meant to be over, ISO 8601."""
_SCOPES = "spec.default.scopes"


@dataclass(frozen=True, slots=True)
class Drilled:
    """A region that a drill has drained."""

    region: str
    until: str
    """As the annotation has it."""

    @property
    def said(self) -> str:
        """What goes on, in words."""
        return f"{self.region} is drained by a drill until {shown(self.until)}"


def drilled(changes: Iterable[Mapping[str, Any]]) -> tuple[Drilled | None, tuple[Mapping[str, Any], ...]]:
    """The drill among the fields of a policy that differ, ``{field, before, after}``, and the others."""
    named = [(str(one["field"]).rpartition(": ")[2], one) for one in changes]
    until = next((one["before"] for name, one in named if name.endswith(f".{UNTIL}")), None)
    if until is None:
        return None, tuple(one for _, one in named)
    scopes = next((one["before"] for name, one in named if name == _SCOPES), None)
    rest = tuple(one for name, one in named if name != _SCOPES and not name.endswith(f".{UNTIL}"))
    return Drilled(_region(scopes), str(until)), rest


def is_over(until: str, now: datetime) -> bool:
    """Whether a drill should have ended by itself; one that still stands then was killed."""
    moment = _moment(until)
    return moment is not None and moment < now


def shown(until: str) -> str:
    """The time of day at which a drill means to be over, here."""
    moment = _moment(until)
    return until if moment is None else f"{moment.astimezone():%H:%M:%S}"


def _moment(until: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(until)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _region(scopes: Any) -> str:
    for scope in scopes if isinstance(scopes, list) else ():
        region = (scope.get("selector") or {}).get("gke.io/region") if isinstance(scope, Mapping) else None
        if region:
            return str(region)
    return "a region"
