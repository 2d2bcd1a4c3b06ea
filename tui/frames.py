"""When a run is drawn: what has happened at once, clocks now and then, details, which cost a layout, less often.

Invariant: however many events come, a frame draws once; what was put off is drawn by one of the next frames.
"""

from __future__ import annotations

PER_SECOND = 10
"""Frames a second."""
_IDLE = 5
"""Frames after which clocks are drawn again where nothing happens."""
_DETAILS = 3
"""Frames between two looks at the details of the selected step."""


class Frames:
    """Counts frames and what they have drawn."""

    def __init__(self) -> None:
        self._drawn: object = None
        self._idle = self._count = 0
        self._details_due = False

    def due(self, state: object, *, moving: bool, now: bool = False) -> bool:
        """Whether this frame draws; ``moving`` says that clocks go on, ``now`` that it has to."""
        self._idle += 1
        if state == self._drawn and not now and (self._idle < _IDLE or not moving):
            return False
        self._drawn, self._idle, self._count = state, 0, self._count + 1
        self._details_due = True
        return True

    def details_due(self, *, drawn: bool, now: bool = False) -> bool:
        """Whether this frame, which has drawn or not, draws the details."""
        if not self._details_due or (drawn and not now and self._count % _DETAILS):
            return False
        self._details_due = False
        return True
