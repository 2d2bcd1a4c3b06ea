"""One pass of the controllers: the clock they read and the waits they start.

Waits are data: the moment a thing was first seen is kept in `tables["timers"]`, so a restarted emulator goes on where
it was. Invariant: a timer lives exactly as long as some controller asks for it in every pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from backend.emulator.kube.controllers.seams import World

PREFIX = "kube "
"""Marks the controllers' own entries in `tables["timers"]`."""


@dataclass(slots=True)
class Turn:
    """The state of one pass."""

    world: World
    now: float
    """Unix seconds at the start of the pass."""
    due: float | None = None
    """Unix time at which the next pass has something to do by itself; None when only a change can bring work."""
    asked: set[str] = field(default_factory=set)

    def wake_at(self, when: float) -> None:
        """Ask for another pass no later than `when` (Unix seconds)."""
        self.due = when if self.due is None else min(self.due, when)

    def elapsed(self, key: str, seconds: float) -> bool:
        """True once `seconds` went by since the first pass that asked for `key`; until then asks for a later pass."""
        key = PREFIX + key
        self.asked.add(key)
        start: float = self.world.tables.setdefault("timers", {}).setdefault(key, self.now)
        if self.now >= start + seconds:
            return True
        self.wake_at(start + seconds)
        return False

    def waited(self, what: str, key: str, uid: str = "", share: float = 1.0) -> bool:
        """True once `share` of the pace of `what` on `key` has gone by; `uid` tells two lives of one name apart."""
        return self.elapsed(f"{what} {key} {uid} {share:g}", self.world.pace.seconds(what, key) * share)

    def forget_unasked(self) -> None:
        """Drop the timers that nobody asked for in this pass."""
        timers = self.world.tables.get("timers", {})
        for key in [key for key in timers if key.startswith(PREFIX) and key not in self.asked]:
            del timers[key]
