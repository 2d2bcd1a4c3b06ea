"""Which requests an HTTPRoute sends to which import, rule by rule.

Pure. Invariants: a rule without matches takes every request of the route's host names; a backendRef of weight 0 gets
none; a match by regular expression takes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from backend.emulator.kube.controllers.objects import path_of
from backend.emulator.kube.controllers.seams import Object
from backend.emulator.serving.envoy_routes import PREFIX, Condition, Match, Share

REGEX = "RegularExpression"


def shares(routes: Iterable[Object], listener: Object) -> dict[str, list[Share]]:
    """Import, as NAMESPACE/NAME -> which requests it gets through one listener."""
    found: dict[str, list[Share]] = defaultdict(list)
    for route in routes:
        namespace = route["metadata"]["namespace"]
        for number, rule in enumerate(route["spec"].get("rules", ())):
            for match in matches(route, rule, number, listener):
                for ref in rule.get("backendRefs", ()):
                    target = f"{ref.get('namespace', namespace)}/{ref['name']}"
                    found[target].append(Share(match, int(ref.get("weight", 1))))
    return found


def matches(route: Object, rule: Object, number: int, listener: Object) -> Iterator[Match]:
    """The matches of a rule."""
    hosts = tuple(sorted(route["spec"].get("hostnames", ())))
    if not hosts and listener.get("hostname"):
        hosts = (listener["hostname"],)
    age = route["metadata"].get("creationTimestamp", ""), path_of(route), number
    for each in rule.get("matches") or [{}]:
        path = each.get("path", {})
        parts = (path, *each.get("headers", ()), *each.get("queryParams", ()))
        if any(part.get("type") == REGEX for part in parts):
            continue
        yield Match(
            path=path.get("value", "/"),
            kind=path.get("type", PREFIX),
            method=each.get("method", ""),
            headers=_conditions(each.get("headers", ())),
            query=_conditions(each.get("queryParams", ())),
            hosts=hosts,
            age=age,
        )


def _conditions(wanted: Iterable[Object]) -> tuple[Condition, ...]:
    return tuple((each["name"], each["value"]) for each in wanted)
