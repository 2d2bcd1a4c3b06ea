"""Faults at the front door: calls that are answered with an error that a rehearsal asked for.

The bodies are those that the real APIs were seen to send. Invariant: a call that no fault hits passes untouched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.emulator import faults
from backend.emulator.google import access, geography, governance
from backend.emulator.google.errors import (
    ApiError,
    error_info,
    failed_precondition,
    invalid,
    permission_denied,
    service_disabled,
)
from backend.emulator.google.routing import Route
from backend.emulator.google.steps import step_of
from backend.emulator.world import World

Json = dict[str, Any]
_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def refusal(world: World, route: Route, method: str, path: Mapping[str, str], body: Json) -> ApiError | None:
    """The answer that a fault gives in place of the call's own; None when the call goes through."""
    step, name = step_of(route, path, body)
    place = _place(path)
    region = geography.region_of(place) if place not in {"", "global", "-"} else None
    asked = _Asked(world, route, step, name, path, body)
    if forbidden := _forbidden(asked, method, region):
        return forbidden
    for kind, answer in _REFUSALS.items():
        if kind == "permission-denied" and not access.allowed(world, route.permission):
            return answer(asked)
        if not _can_hit(kind, step, method, name):
            continue
        for fault in faults.playing(world, kind):
            if faults.hits(fault, step, name, region):
                faults.spend(world, fault)
                return answer(asked)
    return None


def silence(world: World, route: Route, path: Mapping[str, str], body: Json) -> float | None:
    """Seconds of wall clock that a fault lets a caller wait for nothing; None without one."""
    step, name = step_of(route, path, body)
    region = geography.region_of(_place(path)) if _place(path) not in {"", "global", "-"} else None
    for fault in faults.playing(world, "timeout"):
        if faults.hits(fault, step, name, region):
            faults.spend(world, fault)
            return float(fault.get("limit", faults.DEFAULT_SILENCE_S))
    return None


def silent_regions(world: World, step: str) -> list[str]:
    """Regions that a list of all locations has to do without, because a fault of that region alone plays."""
    found = []
    for fault in faults.playing(world, "internal-error", "timeout"):
        region = fault.get("region")
        if region is not None and faults.hits(fault, step, "", region):
            faults.spend(world, fault)
            found.append(region)
    return found


def timed_out() -> ApiError:
    """504, as the front end answers for a service that does not."""
    message = "Deadline expired before operation could complete."
    return ApiError(504, message, status="DEADLINE_EXCEEDED", reason="deadlineExceeded")


def _place(path: Mapping[str, str]) -> str:
    return path.get("location") or path.get("region") or path.get("zone") or ""


def _forbidden(asked: _Asked, method: str, region: str | None) -> ApiError | None:
    """The refusal by an organisation policy of what would be made; None where it is allowed."""
    resource = f"projects/{asked.world.project}"
    created = method == "POST" and asked.step in {"cluster", "subnet"} and _created(asked.route, asked.step)
    if created and region and not governance.allowed_location(asked.world, region):
        constraint = "constraints/gcp.resourceLocations"
        return ApiError(
            412,
            f"Location {region} violates constraint {constraint} on the resource {resource}.",
            status="FAILED_PRECONDITION",
            reason="conditionNotMet",
        )
    account = asked.route.permission == "iam.serviceAccounts.create"
    if account and governance.enforced(asked.world, "iam.disableServiceAccountCreation"):
        violation = {
            "type": "constraints/iam.disableServiceAccountCreation",
            "subject": f"{resource}/serviceAccounts",
            "description": "Service account creation is not allowed on this project.",
        }
        return ApiError(
            400,
            "Service account creation is not allowed on this project.",
            status="FAILED_PRECONDITION",
            reason="failedPrecondition",
            details=[{"@type": "type.googleapis.com/google.rpc.PreconditionFailure", "violations": [violation]}],
        )
    return None


def repeated(world: World, route: Route, method: str, path: Mapping[str, str], body: Json) -> ApiError | None:
    """The 409 for a request that was carried out, as if an earlier one had been; None without such a fault."""
    step, name = step_of(route, path, body)
    place = path.get("location") or path.get("region") or ""
    creates = method == "POST" and step in _CREATED and _created(route, step)
    for fault in faults.playing(world, "already-exists") if creates else ():
        if faults.hits(fault, step, name, geography.region_of(place) if place != "global" else None):
            faults.spend(world, fault)
            return ApiError(409, f"Already exists: {_full(world, path, step, name)}.")
    return None


_CREATED = frozenset({"cluster", "node-pool", "membership", "fleet-ingress", "subnet"})


def _created(route: Route, step: str) -> bool:
    last = {"node-pool": "/nodePools", "cluster": "/clusters", "membership": "/memberships",
            "fleet-ingress": "/features", "subnet": "/subnetworks"}[step]  # fmt: skip
    return route.template.endswith(last)


def _can_hit(kind: str, step: str, method: str, name: str) -> bool:
    match kind:
        case "operation-busy" | "too-many-operations":
            return step in {"cluster", "node-pool"} and method in _CHANGING
        case "subnet-conflict":
            return step == "subnet" and method == "POST"
        case "service-disabled":
            return step != "services"
        case "not-found":
            return method == "GET" and bool(name)
        case _:
            return True


@dataclass(frozen=True, slots=True)
class _Asked:
    world: World
    route: Route
    step: str
    name: str
    path: Mapping[str, str]
    body: Json

    @property
    def cluster(self) -> str:
        return self.name.partition("/")[0]


def _full(world: World, path: Mapping[str, str], step: str, name: str) -> str:
    location = path.get("location") or path.get("region") or "global"
    where = f"projects/{world.project}/locations/{location}"
    if step == "node-pool":
        cluster, _, pool = name.partition("/")
        return f"{where}/clusters/{cluster}/nodePools/{pool}"
    if step == "subnet":
        return f"projects/{world.project}/regions/{location}/subnetworks/{path.get('subnetwork', name)}"
    return f"{where}/{ {'cluster': 'clusters', 'membership': 'memberships'}.get(step, 'features') }/{name}"


def _busy(asked: _Asked) -> ApiError:
    number = int(asked.world.now() * 1000)
    return failed_precondition(
        f"Operation operation-{number}-56cbe250 is currently upgrading cluster {asked.cluster}. "
        "Please wait and try again once it is done."
    )


def _too_many(asked: _Asked) -> ApiError:
    message = (
        f'Too many operations: cluster "{asked.cluster}" hits the concurrent operations quota 5, '
        "please try again later."
    )
    return ApiError(429, message, details=[{"@type": "type.googleapis.com/google.rpc.RequestInfo"}])


def _rate_limited(asked: _Asked) -> ApiError:
    service, consumer = asked.route.service, f"project_number:{asked.world.project_number}"
    info = error_info(
        "RATE_LIMIT_EXCEEDED",
        "googleapis.com",
        service=service,
        consumer=f"projects/{asked.world.project_number}",
        quota_metric=f"{service}/read_requests",
        quota_limit="ReadRequestsPerMinutePerProject",
        quota_limit_value="600",
        quota_location="global",
        quota_unit="1/min/{project}",
    )
    message = (
        "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute per region' of service "
        f"'{service}' for consumer '{consumer}'."
    )
    if service == "compute.googleapis.com":
        return ApiError(403, message, reason="rateLimitExceeded", details=[info])
    return ApiError(429, message, details=[info])


def _denied(asked: _Asked) -> ApiError:
    resource = f"projects/{asked.world.project}"
    if asked.name and asked.step in {"cluster", "node-pool", "subnet"} and "create" not in asked.route.permission:
        resource = _full(asked.world, asked.path, asked.step, asked.name)
    return permission_denied(asked.route.service, asked.route.permission, resource)


def _disabled(asked: _Asked) -> ApiError:
    from backend.emulator.google.serviceusage import TITLES

    return service_disabled(asked.route.service, TITLES[asked.route.service], asked.world.project_number)


def _internal(_asked: _Asked) -> ApiError:
    return ApiError(500, "Internal error encountered.")


def _conflict(asked: _Asked) -> ApiError:
    wanted, region = asked.body.get("ipCidrRange", ""), asked.path.get("region", "")
    message = (
        f"Invalid value for field 'resource.ipCidrRange': '{wanted}'. Invalid IPCidrRange: {wanted} conflicts with "
        f"existing subnetwork 'proxies' in region '{region}'."
    )
    return invalid(message)


def _missing(asked: _Asked) -> ApiError:
    return ApiError(404, f"Not found: {_full(asked.world, asked.path, asked.step, asked.name)}.")


_REFUSALS = {
    "internal-error": _internal,
    "rate-limited": _rate_limited,
    "service-disabled": _disabled,
    "permission-denied": _denied,
    "not-found": _missing,
    "operation-busy": _busy,
    "too-many-operations": _too_many,
    "subnet-conflict": _conflict,
}
"""In the order in which the real front end would find them out."""
