"""One wait: what is seen is told whenever it changes, and remembered for the case that time runs out.

Invariant: a server that does not answer is waited for, as on a laptop that wakes up or while a control plane restarts;
where nothing listens any more, only for as long as such a hindrance lasts.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from backend.engine.poll import Expired, poll
from backend.engine.resource import Note
from backend.errors import Busy, RateLimited, StepTimeout, Unavailable, Unreachable

Found = TypeVar("Found")


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
        self._silent_since: float | None = None
        self._refused_since: float | None = None

    def saw(self, text: str, *, operation: str | None = None) -> None:
        """Tell what is seen now, unless it is what was told last."""
        if text != self._seen:
            self._seen = text
            self._note(text, operation=operation)

    async def until(self, check: Callable[[], Awaitable[Found | None]], *, patient: bool = True) -> Found:
        """Look until ``check`` gives something; raises ``StepTimeout`` with what was seen last.

        A look without an answer is told and made again. Who is not ``patient`` has the error once there has been none
        for longer than it takes to come back.
        """

        async def answered() -> Found | None:
            try:
                found = await check()
            except (Unavailable, RateLimited) as error:
                self._unanswered(error, patient)
                return None
            self._silent_since = self._refused_since = None
            return found

        return await self._poll(answered)

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

        return await self._poll(attempt)

    async def _poll(self, check: Callable[[], Awaitable[Found | None]]) -> Found:
        try:
            return await poll(check, timeout_s=self._timeout_s)
        except Expired as error:
            raise StepTimeout(
                f"{self._what} did not come about within {self._timeout_s / 60:.0f} minutes",
                cause=f"last seen: {self._seen}" if self._seen else "",
                fix=f"look with `{self._look}`; then the same command again goes on waiting",
            ) from error

    def _unanswered(self, error: Unavailable | RateLimited, patient: bool) -> None:
        now = self._clock()
        if self._silent_since is None:
            self._silent_since = now
        if not isinstance(error, Unreachable):
            self._refused_since = None
        elif self._refused_since is None:
            self._refused_since = now
        since = self._refused_since if patient else self._silent_since
        if since is not None and now - since >= error.patience_s:
            error.patience_s = 0.0
            raise error
        self.saw(f"no answer: {error.cause or error.message}")
