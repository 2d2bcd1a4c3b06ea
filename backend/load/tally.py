"""What came to each cluster since a beginning, counted from its Pods' own metrics pages.

Invariant: a Pod that starts anew loses nothing that was counted; one whose page is missing adds nothing until it is
back, and then all that it did meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from backend.monitor.pages import FINISHED, GENERATED, RUNNING, TTFT, WAITING, Page, added, summed


@dataclass(slots=True)
class Count:
    """What is known of one cluster."""

    arrived: float = 0.0
    """Requests that came: those that were finished, and those that are under way now and were not before."""
    tokens: float = 0.0
    """Tokens that were generated."""
    ttft: Mapping[float, float] = field(default_factory=dict)
    """Buckets of the time to the first token, as in ``Page.buckets``, since the beginning."""


class Tally:
    """Counts by cluster; hears every page that a monitor reads."""

    def __init__(self) -> None:
        self.counts: dict[str, Count] = {}
        """Cluster -> what came to it."""
        self._pages: dict[tuple[str, str], Page] = {}
        self._begun = False

    def begin(self) -> None:
        """Count from here on: what a Pod that is seen later has done was done since."""
        self._begun = True
        self.counts = {cluster: Count() for cluster in self.counts}

    def take(self, cluster: str, pod: str, page: Page) -> None:
        """Take up a page that was read of a Pod."""
        count = self.counts.setdefault(cluster, Count())
        before = self._pages.get((cluster, pod))
        self._pages[cluster, pod] = page
        if not self._begun:
            return
        before = before or Page()
        count.arrived += max(0.0, _gained(before, page, FINISHED) + _under_way(page) - _under_way(before))
        count.tokens += _gained(before, page, GENERATED)
        count.ttft = summed([count.ttft, added(before.buckets.get(TTFT, {}), page.buckets.get(TTFT, {}))])


def _under_way(page: Page) -> float:
    return page.gauges.get(RUNNING, 0.0) + page.gauges.get(WAITING, 0.0)


def _gained(before: Page, after: Page, counter: str) -> float:
    old, new = before.counters.get(counter, 0.0), after.counters.get(counter, 0.0)
    return new if new < old else new - old
