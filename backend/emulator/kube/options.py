"""Options that requests carry in their query, and deletes in their body too."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web

from backend.emulator.kube import body, errors
from backend.emulator.kube.selectors import Match, fields_match, labels_match
from backend.emulator.kube.target import Target

_TRUE = ("true", "1")


def flag(request: web.Request, name: str) -> bool:
    """Whether a boolean option is set."""
    return request.query.get(name) in _TRUE


def manager(request: web.Request) -> str:
    """Who writes: ``fieldManager``, else the client's name in the User-Agent."""
    agent = request.headers.get("User-Agent", "unknown").partition("/")[0]
    return request.query.get("fieldManager") or agent[:128]


def dry_run(request: web.Request) -> bool:
    """Whether nothing is to be kept; raises 422 for anything but All."""
    values = request.query.getall("dryRun", [])
    if any(value != "All" for value in values):
        cause = errors.unsupported("dryRun", ",".join(values), ("All",))
        raise errors.invalid("meta.k8s.io", "CreateOptions", "", [cause])
    return bool(values)


def directive(request: web.Request) -> str:
    """What to do about unknown fields: Strict, Warn (when not said) or Ignore; raises 422."""
    wanted = request.query.get("fieldValidation") or "Warn"
    if wanted not in ("Strict", "Warn", "Ignore"):
        cause = errors.unsupported("fieldValidation", wanted, ("Ignore", "Strict", "Warn"))
        raise errors.invalid("meta.k8s.io", "CreateOptions", "", [cause])
    return wanted


def whole(name: str, value: Any) -> int:
    """A whole number in an option; raises 400 for anything else."""
    if isinstance(value, bool) or not str(value).removeprefix("-").isdecimal() or not str(value).isascii():
        raise errors.bad_request(f'{name}: strconv.ParseInt: parsing "{value}": invalid syntax')
    return int(value)


def moment(name: str, value: str) -> float:
    """The Unix time of a moment in an option, RFC 3339; raises 400 for anything else."""
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise errors.bad_request(f'{name}: parsing time "{value}" as "2006-01-02T15:04:05Z07:00": cannot parse')
    return found.timestamp()


def selection(request: web.Request, place: Target) -> Match:
    """What ``labelSelector`` and ``fieldSelector`` ask for, and the name in the path if there is one."""
    rules: list[Match] = []
    if text := request.query.get("labelSelector"):
        rules.append(labels_match(text))
    if text := request.query.get("fieldSelector"):
        rules.append(fields_match(text, place.resource))
    if place.name is not None:
        rules.append(lambda obj: obj["metadata"]["name"] == place.name)
    return lambda obj: all(rule(obj) for rule in rules)


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """How to delete: seconds of grace for a Pod, what becomes of what is owned, and which object is meant."""

    grace: int | None
    propagation: str
    preconditions: dict[str, Any]
    dry_run: bool


async def delete_options(request: web.Request) -> DeleteOptions:
    """The options of a delete, from its body, else from its query."""
    given = await body.read_object(request) if request.can_read_body and await body.read(request) else {}
    grace = given.get("gracePeriodSeconds", request.query.get("gracePeriodSeconds"))
    orphan = given.get("orphanDependents") or flag(request, "orphanDependents")
    policy = given.get("propagationPolicy") or request.query.get("propagationPolicy")
    return DeleteOptions(
        grace=None if grace in (None, "") else whole("gracePeriodSeconds", grace),
        propagation=policy or ("Orphan" if orphan else "Background"),
        preconditions=_preconditions(given),
        dry_run=bool(given.get("dryRun")) or dry_run(request),
    )


def _preconditions(given: dict[str, Any]) -> dict[str, Any]:
    found = given.get("preconditions") or {}
    if not isinstance(found, dict):
        raise errors.bad_request("json: cannot unmarshal into Go struct field DeleteOptions.preconditions")
    return found
