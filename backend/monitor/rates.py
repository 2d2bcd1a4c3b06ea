"""What a Pod did between two readings: rates from counters that start again at zero with every restart.

Invariant: a rate is known only between two readings of the same Pod with time between them; a clock that jumps back, a
missing page or a first sight give None and never zero.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from backend.monitor.pages import BETWEEN, FINISHED, GENERATED, RUNNING, TTFT, WAITING, Page, added, summed

WINDOW_S = 30.0
"""Seconds over which rates and quantiles are taken."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One page and when it was read, in seconds of a clock that does not jump."""

    at: float
    page: Page


@dataclass(frozen=True, slots=True)
class Work:
    """What was done in a window of time."""

    seconds: float
    tokens: float | None
    """None where no page counts them."""
    requests: float | None
    """Requests that came: those that ended, and those that are under way more than before."""
    ttft: Mapping[float, float]
    """Buckets of the time to the first token, as in ``Page.buckets``."""
    between: Mapping[float, float]

    @property
    def tokens_per_s(self) -> float | None:
        """Generated tokens a second."""
        return None if self.tokens is None else self.tokens / self.seconds

    @property
    def requests_per_s(self) -> float | None:
        """Requests that came, a second; what a server dropped without counting it is taken off, never below nought."""
        return None if self.requests is None else max(0.0, self.requests) / self.seconds


class Meter:
    """The readings of one Pod within the window."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._steps: deque[tuple[float, Work]] = deque()
        self._last: Reading | None = None

    def take(self, reading: Reading) -> None:
        """Add a reading; one that is not later than the one before starts anew.

        A page that lacks counters which the one before had is half of one, and no reading at all.
        """
        last = self._last
        if last is not None and last.page.counters.keys() - reading.page.counters.keys():
            if reading.at - last.at > self._window_s:
                self.lose()
                self._last = None
            return
        self._last = reading
        if last is None:
            return
        seconds = reading.at - last.at
        if seconds <= 0:
            self._steps.clear()
            return
        self._steps.append((reading.at, _between(last.page, reading.page, seconds)))
        while self._steps and self._steps[0][0] <= reading.at - self._window_s:
            self._steps.popleft()

    def lose(self) -> None:
        """Note that the Pod did not answer: what happens until the next reading is not known to the second."""
        self._steps.clear()

    @property
    def work(self) -> Work | None:
        """What was done within the window; None after less than two readings."""
        if not self._steps:
            return None
        steps = [work for _, work in self._steps]
        return Work(
            sum(each.seconds for each in steps),
            _sum([each.tokens for each in steps]),
            _sum([each.requests for each in steps]),
            summed([each.ttft for each in steps]),
            summed([each.between for each in steps]),
        )


def _between(before: Page, after: Page, seconds: float) -> Work:
    return Work(
        seconds,
        _gained(before, after, GENERATED),
        _came(before, after),
        added(before.buckets.get(TTFT, {}), after.buckets.get(TTFT, {})),
        next(
            (added(before.buckets.get(name, {}), after.buckets[name]) for name in BETWEEN if name in after.buckets), {}
        ),
    )


def _came(before: Page, after: Page) -> float | None:
    """Requests that came between two pages: so a long one counts when it comes, and where."""
    ended = _gained(before, after, FINISHED)
    if ended is None:
        return None
    now, then = (_under_way(page) for page in (after, before))
    if now is None or then is None:
        return ended
    again = after.counters[FINISHED] < before.counters.get(FINISHED, 0.0)
    return ended + now - (0.0 if again else then)


def _under_way(page: Page) -> float | None:
    known = [page.gauges[name] for name in (RUNNING, WAITING) if name in page.gauges]
    return sum(known) if len(known) == 2 else None


def _gained(before: Page, after: Page, counter: str) -> float | None:
    new = after.counters.get(counter)
    if new is None:
        return None
    old = before.counters.get(counter, 0.0)
    return new if new < old else new - old


def _sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
