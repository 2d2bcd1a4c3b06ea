"""Stopping a command: the first signal asks it to end well, the second ends it at once.

Invariant: while a coroutine runs, Ctrl-C and SIGTERM cancel it, so that locks are given back and the run's last event
is told; outside of one they raise ``KeyboardInterrupt`` as usual. Once a command was interrupted nobody waits for
threads that are still in a call: a request to a cloud may take half a minute to give up.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any, NoReturn, TypeVar

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
            asyncio.get_running_loop().set_default_executor(_Threads(lambda: self._count > 0))
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


class _Threads(ThreadPoolExecutor):
    """The threads of a command's blocking calls."""

    def __init__(self, interrupted: Callable[[], bool]) -> None:
        super().__init__()
        self._interrupted = interrupted

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Give the threads back; an interrupted command waits for none of them."""
        interrupted = self._interrupted()
        super().shutdown(wait and not interrupted, cancel_futures=cancel_futures or interrupted)


def end(code: int) -> NoReturn:
    """End the process; after an interruption without the interpreter's own wait for threads."""
    if code != INTERRUPTED:
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _leave(number: int, frame: FrameType | None) -> None:
    del number, frame
    os._exit(INTERRUPTED)
