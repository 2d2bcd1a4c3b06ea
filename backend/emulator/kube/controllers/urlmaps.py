"""A Gateway's URL map, from the matches of its routes; pure.

Invariant: it says what the data plane does, match by match and in the same order: its rules come from the same shares.
What no rule takes is answered with 404.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from backend.emulator.kube.controllers.objects import suffix
from backend.emulator.serving.envoy_routes import EXACT, Condition, Match, Share, grouped

Json = dict[str, Any]

_NOWHERE: Json = {"faultInjectionPolicy": {"abort": {"httpStatus": 404, "percentage": 100}}}


def url_map(shares: Mapping[str, Iterable[Share]], urls: Mapping[str, str], not_found: str) -> Json:
    """The URL map for the shares of imports; `urls` are those of their backend services, `not_found` the default's."""
    by_hosts: dict[tuple[str, ...], list[Json]] = {}
    for match, weights in grouped(shares):
        rules = by_hosts.setdefault(match.hosts, [])
        services = [{"backendService": urls[name], "weight": weight} for name, weight in weights.items()]
        action = {"weightedBackendServices": services}
        rules.append({"priority": len(rules) + 1, "matchRules": match_rules(match), "routeAction": action})
    found: Json = {"defaultService": not_found, "defaultRouteAction": _NOWHERE}
    if by_hosts:
        names = {hosts: f"host{suffix(12, *hosts)}" for hosts in by_hosts}
        found["hostRules"] = [{"hosts": [*hosts] or ["*"], "pathMatcher": name} for hosts, name in names.items()]
        found["pathMatchers"] = [
            {"name": names[hosts], "defaultRouteAction": _NOWHERE, "routeRules": rules}
            for hosts, rules in by_hosts.items()
        ]
    return found


def match_rules(match: Match) -> list[Json]:
    """A match in the URL map's words; a prefix is of whole path segments, which takes two rules."""
    rest: Json = {}
    method = ((":method", match.method),) if match.method else ()
    if headers := (*match.headers, *method):
        rest["headerMatches"] = _exactly("headerName", headers)
    if match.query:
        rest["queryParameterMatches"] = _exactly("name", match.query)
    path = match.path.rstrip("/")
    if match.kind == EXACT:
        return [{"fullPathMatch": match.path, **rest}]
    paths = [{"fullPathMatch": path}, {"prefixMatch": f"{path}/"}] if path else [{"prefixMatch": "/"}]
    return [each | rest for each in paths]


def _exactly(name: str, conditions: Iterable[Condition]) -> list[Json]:
    return [{name: each, "exactMatch": value} for each, value in conditions]
