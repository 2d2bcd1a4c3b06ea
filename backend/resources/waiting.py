"""One wait: what is seen is told whenever it changes, and remembered for the case that time runs out.

Invariant: a server that does not answer is waited for, one that is not there any more only for seconds.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from backend.engine.poll import Expired, poll
from backend.engine.resource import Note
from backend.errors import Busy, CloudError, StepTimeout, Unreachable

Found = TypeVar("Found")

REFUSED_FOR_S = 5.0
"""Longest time in which every look is refused before a wait gives up."""


class Watch:
    """A wait for one thing, with its patience."""

    def __init__(
        self,
        note: Note,
        what: str,
        *,
        timeout_s: float,
        look: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._note = note
        self._what = what
        self._timeout_s = timeout_s
        self._look = look
        self._clock = clock
        self._seen = ""
        self._refused_since: float | None = None

    def saw(self, text: str, *, operation: str | None = None) -> None:
        """Tell what is seen now, unless it is what was told last."""
        self._refused_since = None
        self._tell(text, operation)

    def unanswered(self, error: CloudError, text: str = "") -> None:
        """Tell that there was no answer; raises the error once nothing has listened for ``REFUSED_FOR_S``."""
        if not isinstance(error, Unreachable):
            self._refused_since = None
        elif self._refused_since is None:
            self._refused_since = self._clock()
        elif self._clock() - self._refused_since >= REFUSED_FOR_S:
            raise error
        self._tell(text or f"no answer: {error.cause or error.message}")

    def _tell(self, text: str, operation: str | None = None) -> None:
        if text != self._seen:
            self._seen = text
            self._note(text, operation=operation)

    async def until(self, check: Callable[[], Awaitable[Found | None]]) -> Found:
        """Look until ``check`` gives something; raises ``StepTimeout`` with what was seen last."""
        try:
            return await poll(check, timeout_s=self._timeout_s)
        except Expired as error:
            raise StepTimeout(
                f"{self._what} did not come about within {self._timeout_s / 60:.0f} minutes",
                cause=f"last seen: {self._seen}" if self._seen else "",
                fix=f"look with `{self._look}`; then `mcig apply` again goes on waiting",
            ) from error

    async def until_gone(self, look: Callable[[], Awaitable[object | None]], text: str = "") -> None:
        """Look until there is nothing any more; ``text`` is told while there is."""

        async def gone() -> bool | None:
            if await look() is None:
                return True
            if text:
                self.saw(text)
            return None

        await self.until(gone)

    async def when_free(self, ask: Callable[[], Awaitable[Found]]) -> Found:
        """Make a request, again and again while something else works on the same object."""

        async def attempt() -> Found | None:
            try:
                return await ask()
            except Busy as busy:
                self.saw(f"waiting for another operation: {busy.message}")
                return None

        return await self.until(attempt)
