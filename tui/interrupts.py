"""Stopping a command: the first signal asks it to end well, the second ends it at once.

Invariant: while a coroutine runs, Ctrl-C and SIGTERM cancel it, so that locks are given back and the run's last event
is told; outside of one they raise ``KeyboardInterrupt`` as usual. A command that has told its end does not wait for
threads that are still in a call: nobody wants the answer any more, and a request to a cloud may take half a minute to
give up.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any, NoReturn, TypeVar

Result = TypeVar("Result")

INTERRUPTED = 130
"""Exit code of an interrupted command."""
GRACE_S = 0.5
"""How long the threads of a command that was not interrupted may take to end."""


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
            asyncio.get_running_loop().set_default_executor(_Threads())
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

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Give the threads back and wait for none: what was awaited is over, the rest was given up."""
        del wait, cancel_futures
        super().shutdown(wait=False, cancel_futures=True)


def end(code: int) -> NoReturn:
    """End the process, without the interpreter's own wait where a thread is still in a call."""
    if code != INTERRUPTED and _threads_end(GRACE_S):
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _threads_end(within_s: float) -> bool:
    until = time.monotonic() + within_s
    others = [one for one in threading.enumerate() if one is not threading.current_thread() and not one.daemon]
    for one in others:
        one.join(max(0.0, until - time.monotonic()))
    return not any(one.is_alive() for one in others)


def _leave(number: int, frame: FrameType | None) -> None:
    del number, frame
    os._exit(INTERRUPTED)
