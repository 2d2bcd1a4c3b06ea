"""The table of calls: one line a method, with the permission it needs.

A path that is in no table is answered 501 and logged, never guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from backend.emulator.google.bodytypes import Message
from backend.emulator.google.errors import invalid
from backend.emulator.google.messages import NOTHING
from backend.emulator.world import World

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One request as its handler sees it."""

    world: World
    path: Mapping[str, str]
    """What the path's placeholders matched."""
    query: Mapping[str, str]
    body: Json
    """The JSON body; empty when there was none."""


Handler = Callable[[Call], Json | Awaitable[Json]]


@dataclass(frozen=True, slots=True)
class Route:
    """A method and path of one API."""

    service: str
    method: str
    template: str
    permission: str
    """What the caller must be allowed to do, like `container.clusters.get`."""
    body: Message
    """What its body holds, where no published message type says it."""
    pattern: re.Pattern[str]
    handler: Handler


KNOWN: list[Route] = []
"""Every call that a loaded module answers."""


class Routes:
    """The calls of one API under one prefix."""

    def __init__(self, service: str, *prefixes: str) -> None:
        self.service = service
        self._prefixes = prefixes
        self._routes: list[Route] = []

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def add(self, method: str, template: str, permission: str, body: Message = NOTHING) -> Callable[[Handler], Handler]:
        """Register the decorated function for `METHOD template`; `{name}` matches up to the next slash or colon."""

        def register(handler: Handler) -> Handler:
            for prefix in self._prefixes:
                whole = prefix + template
                pattern = re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/:]+)", re.escape(whole)))
                route = Route(self.service, method, whole, permission, body, pattern, handler)
                self._routes.append(route)
                KNOWN.append(route)
            return handler

        return register


def find(routes: Iterable[Route], method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """The route for a request and what its placeholders matched."""
    for route in routes:
        if route.method == method and (match := route.pattern.fullmatch(path)):
            return route, match.groupdict()
    return None


def flag(value: str | None) -> bool:
    """A boolean of a query string: gcloud writes True, the Python clients true."""
    return (value or "").lower() in {"true", "1"}


def page(call: Call, items: list[Any], *, size: str = "pageSize", default: int = 500) -> tuple[list[Any], str | None]:
    """One page of a list and the token of the next; the token is an offset. Raises ApiError for what is no number."""
    count = min(_number(call, size) or default, default)
    start = _number(call, "pageToken")
    following = start + count
    return items[start:following], (str(following) if following < len(items) else None)


def _number(call: Call, name: str) -> int:
    """A parameter that counts; 0 when it is not given."""
    text = call.query.get(name) or "0"
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise invalid(f"Invalid value for field '{name}': '{text}'.", field=name)
    return int(text)
