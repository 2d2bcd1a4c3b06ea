"""Stopping a command: the first signal asks it to end well, the second ends it at once.

Invariant: while a coroutine runs, Ctrl-C and SIGTERM cancel it, so that locks are given back and the run's last event
is told; outside of one they raise ``KeyboardInterrupt`` as usual.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType
from typing import Any, TypeVar

Result = TypeVar("Result")

INTERRUPTED = 130
"""Exit code of an interrupted command."""


class Interrupts:
    """Handles Ctrl-C and SIGTERM for one command."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._task: asyncio.Task[Any] | None = None
        self._count = 0

    @contextlib.contextmanager
    def installed(self) -> Iterator[Interrupts]:
        """Take the signals over until the end of the block; after an interruption the next one ends the process."""
        before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, _leave if self._count else handler)

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine to its end; raises ``KeyboardInterrupt`` when it was stopped."""

        async def watched() -> Result:
            self._task = asyncio.current_task()
            try:
                return await coroutine
            finally:
                self._task = None

        try:
            return asyncio.run(watched())
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Let the first signal raise ``KeyboardInterrupt`` within the block, as while a question is open."""
        task, self._task = self._task, None
        try:
            yield
        finally:
            self._task = task

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._count += 1
        if self._count > 1 and self._task is not None:
            os._exit(INTERRUPTED)
        if self._task is None:
            raise KeyboardInterrupt
        self._say("stopping; once more stops at once")
        self._task.get_loop().call_soon_threadsafe(self._task.cancel)


def _leave(number: int, frame: FrameType | None) -> None:
    del number, frame
    os._exit(INTERRUPTED)
