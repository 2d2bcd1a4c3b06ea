"""The log of one container: a bounded list of timed lines that readers can follow, run by run.

Invariant: only the last `LINES` lines are kept; a follower sees every line that is written while it reads.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from datetime import UTC, datetime

LINES = 10_000
"""Lines kept per container."""


class PodLog:
    """Lines of one container with the unix time at which each was written."""

    def __init__(self) -> None:
        self._lines: deque[tuple[float, str]] = deque(maxlen=LINES)
        self._written = 0
        self._runs = (0, 0)
        """How many lines were written when the run before began, and when this one did."""
        self._closed = False
        self._news = asyncio.Event()

    def write(self, at: float, line: str) -> None:
        """Append a line."""
        self._lines.append((at, line))
        self._written += 1
        self._wake()

    def open(self, *, new_run: bool = False) -> None:
        """Take lines again after `close`; a container that is started anew begins with an empty log."""
        self._closed = False
        if new_run:
            self._runs = (self._runs[1], self._written)

    def close(self) -> None:
        """Let followers end; the lines stay readable."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def read(
        self, tail: int | None, since: float | None, *, timestamps: bool = False, previous: bool = False
    ) -> list[str]:
        """Return the last `tail` lines (all when None) of this run written at or after unix time `since`.

        With `timestamps` each line is led by its RFC 3339 time, with `previous` it is the run before, as parameters of
        the Pod log API ask.
        """
        before, begun = (max(0, run - self._written + len(self._lines)) for run in self._runs)
        lines = list(self._lines)[before:begun] if previous else list(self._lines)[begun:]
        chosen = [item for item in lines if since is None or item[0] >= since]
        if tail is not None:
            chosen = chosen[-tail:] if tail > 0 else []
        return [_shown(at, line, timestamps=timestamps) for at, line in chosen]

    async def follow(self, tail: int | None, since: float | None, *, timestamps: bool = False) -> AsyncIterator[str]:
        """Yield what `read` returns and then every new line until the container is gone."""
        seen = self._written
        for line in self.read(tail, since, timestamps=timestamps):
            yield line
        while True:
            fresh = min(self._written - seen, len(self._lines))
            if fresh:
                seen = self._written
                for at, line in list(self._lines)[-fresh:]:
                    yield _shown(at, line, timestamps=timestamps)
            elif self._closed:
                return
            else:
                await self._news.wait()


def _shown(at: float, line: str, *, timestamps: bool) -> str:
    if not timestamps:
        return line
    return f"{datetime.fromtimestamp(at, UTC).isoformat(timespec='microseconds').replace('+00:00', 'Z')} {line}"
