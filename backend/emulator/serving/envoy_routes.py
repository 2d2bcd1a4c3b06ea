"""Which request goes to which backend service: HTTPRoute matches as Envoy's routes, in the Gateway API's order.

Pure functions. Invariants: an exact path comes before a longer prefix before a shorter one, then more conditions before
fewer, then the older route (gateway-api.sigs.k8s.io, HTTPRouteRule.matches); what no match takes is answered with 404.
No regular expression of anybody gets here: Envoy would refuse the whole update for one that it does not understand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
Condition = tuple[str, str]
"""Name and exact value of a header or a query parameter."""

EXACT, PREFIX = "Exact", "PathPrefix"
NO_ROUTE = "fault filter abort"
"""What GKE's load balancers say, with 404, where no route matches."""


@dataclass(frozen=True, slots=True)
class Match:
    """One match of a rule, of a route; the default takes every request."""

    path: str = "/"
    kind: str = PREFIX
    method: str = ""
    headers: tuple[Condition, ...] = ()
    query: tuple[Condition, ...] = ()
    hosts: tuple[str, ...] = ()
    """Host names, `*.` in front for all below; none means any."""
    age: tuple[str, str, int] = ("", "", 0)
    """Creation time and name of the route, and which of its rules it is."""


@dataclass(frozen=True, slots=True)
class Share:
    """A match, and how much of what it takes goes to one backend service."""

    match: Match = Match()
    weight: int = 1


def precedence(match: Match) -> tuple[Any, ...]:
    """Sorts matches, the one that is tried first first."""
    host = max(map(len, match.hosts), default=0)
    conditions = not match.method, -len(match.headers), -len(match.query)
    return -host, match.kind != EXACT, -len(match.path), *conditions, match.age


def grouped(shares: Mapping[str, Iterable[Share]]) -> list[tuple[Match, dict[str, int]]]:
    """(match, service -> weight) of the shares of services, in the order in which they are tried."""
    found: dict[Match, dict[str, int]] = {}
    for service, each in shares.items():
        for share in each:
            found.setdefault(share.match, {})[service] = share.weight
    return sorted(found.items(), key=lambda each: precedence(each[0]))


def condition(match: Match) -> Json:
    """A match in Envoy's words."""
    found: Json
    if match.kind == EXACT:
        found = {"path": match.path}
    elif match.path.rstrip("/"):
        found = {"path_separated_prefix": match.path.rstrip("/")}
    else:
        found = {"prefix": "/"}
    headers: list[Json] = [{"name": name, "string_match": {"exact": value}} for name, value in match.headers]
    if match.method:
        headers.append({"name": ":method", "string_match": {"exact": match.method}})
    if match.hosts:
        names = "|".join(map(_host, match.hosts))
        headers.append({"name": ":authority", "string_match": {"safe_regex": {"regex": f"({names})(:[0-9]+)?"}}})
    if headers:
        found["headers"] = headers
    if match.query:
        found["query_parameters"] = [{"name": name, "string_match": {"exact": value}} for name, value in match.query]
    return found


def _host(name: str) -> str:
    return rf"[^:]+{re.escape(name[1:])}" if name.startswith("*.") else re.escape(name)
