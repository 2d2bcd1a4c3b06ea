"""The two lines above the monitor: what is watched, and how it is as a whole.

Invariant: what does not fit is left out from the least important on, never cut in the middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

from tui.looks import Looks, RecordedLooks
from tui.monitor_text import count, drifted, drilled, guard, health, spent, target
from tui.style import clock

if TYPE_CHECKING:
    from backend.monitor import Snapshot

SIGNS = {"succeeded": ("✓", "$text-success"), "failed": ("✗", "$text-error"), "wait": ("?", "$text-warning")}
LATE = 3
"""Looks that may be missing before the picture counts as old."""
_GAP = 3


class MonitorHeader(Static):
    """Shows a snapshot's sum."""

    def show(self, snapshot: Snapshot, state: str) -> None:
        """Show a snapshot; ``state`` says whether it is live and how old."""
        width = self.size.width
        left: list[tuple[str, str]] = [("◆ ", "$primary"), (snapshot.stack, "bold")]
        room = width - 2 - len(snapshot.stack) - len(state) - 2
        where = f"  {snapshot.where}" if len(snapshot.where) + 2 <= room else ""
        first = Content.assemble(
            *left,
            (where, "$quiet"),
            " " * max(1, room - len(where) + 2),
            (state, "$quiet" if state[:1] == "●" else "$text-warning"),
        )
        self.update(Content("\n").join([first, _fitting(_parts(snapshot), width)]), layout=False)


def standing(looks: Looks, snapshot: Snapshot, *, held: bool, failed: bool) -> str:
    """Whether the picture is live, held, old or recorded, in words."""
    if isinstance(looks, RecordedLooks):
        at, length = clock(looks.position_s), clock(looks.length_s)
        word = "paused" if looks.paused else f"x{looks.pace:g}"
        return f"▸ recorded {looks.now.astimezone():%Y-%m-%d %H:%M:%S}  {at} of {length}  {word}"
    if held:
        return f"‖ held at {snapshot.at.astimezone():%H:%M:%S}"
    age = (datetime.now(UTC) - snapshot.at).total_seconds()
    if failed or age > LATE * looks.every_s + 5:
        return f"! {age:.0f} s old"
    return f"● live {snapshot.at.astimezone():%H:%M:%S}"


def _parts(snapshot: Snapshot) -> list[tuple[str, str]]:
    """What there is to say, the most important first; why the gateway is not well stands in events and details."""
    gateway, clusters = snapshot.gateway, snapshot.clusters
    sign, words = health(gateway)
    glyph, style = SIGNS[sign]
    known = [each.requests_per_s for each in clusters if each.requests_per_s is not None]
    tokens = [each.tokens_per_s for each in clusters if each.tokens_per_s is not None]
    short = words.partition(":")[0]
    parts = [(f"{glyph} {short}", style)]
    if snapshot.cost.guard_passed:
        parts.append(("! guard passed", "$text-error"))
    if drifted(snapshot.drift):
        parts.append((f"~ {drifted(snapshot.drift)}", "$text-warning"))
    if drilled(snapshot.drift):
        parts.append((f"… {drilled(snapshot.drift)}", "$text-warning"))
    if known:
        parts.append((f"{count(sum(known))} req/s, {count(sum(tokens))} tok/s", ""))
    parts += [(spent(snapshot.cost), ""), (target(gateway), "$quiet")]
    if not snapshot.cost.guard_passed and guard(snapshot.cost):
        parts.append((guard(snapshot.cost), "$quiet"))
    return parts


def _fitting(parts: Sequence[tuple[str, str]], width: int) -> Content:
    taken: list[tuple[str, str] | str] = []
    left = width
    for number, (text, style) in enumerate(parts):
        gap = _GAP if taken else 0
        if len(text) + gap > left:
            if number == 0:
                taken.append((f"{text[: left - 1]}…", style))
                left = 0
            continue
        taken += [" " * gap, (text, style)]
        left -= len(text) + gap
    return Content.assemble(*taken)
