"""Lists that Google answers in pages, read by their paths.

Invariant: what is given is the whole list; one that does not end within ``MOST_PAGES`` is an error.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from backend.errors import Unavailable

Json = dict[str, Any]
MOST_PAGES = 50


async def pages(read: Callable[[str], Awaitable[Json]], path: str, query: Mapping[str, str]) -> list[Json]:
    """The answers with all pages of a list; ``read`` gets a path with its query. Raises ``Unavailable``."""
    answers: list[Json] = []
    token = ""
    while len(answers) < MOST_PAGES:
        asked = {**query, **({"pageToken": token} if token else {})}
        answers.append(await read(f"{path}?{urlencode(asked)}" if asked else path))
        token = answers[-1].get("nextPageToken", "")
        if not token:
            return answers
    raise Unavailable(
        f"the list at {path} does not end within {MOST_PAGES} pages",
        cause="the project has more of these than mcig reads, or the answers repeat themselves",
        fix="the same command again; or use a project with fewer",
    )


def scoped(answers: Iterable[Json], key: str) -> list[Json]:
    """The things of all regions or zones in the pages of an aggregated list of Compute Engine."""
    return [one for answer in answers for scope in (answer.get("items") or {}).values() for one in scope.get(key) or ()]
