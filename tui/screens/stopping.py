"""The question before a run that goes on is stopped.

Invariant: escape keeps the run going.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from tui.screens.question import Choice, Question

if TYPE_CHECKING:
    from tui.runs import RunSource

STOP = "stop"
"""The answer that stops the run."""
KEEP = "stay"
"""The answer that does not."""


class StopQuestion(Question):
    """Says what stopping means; answered with ``STOP`` the run is to be stopped."""

    def __init__(self, run: RunSource) -> None:
        text = (
            "Stopping is clean: what was made stays, what is under way in the cloud goes on there, and "
            f"`mcig {run.verb} {shlex.quote(run.stack_name)}` goes on where this stopped."
        )
        choices = (Choice(KEEP, "Stay", "primary"), Choice(STOP, "Stop cleanly", "warning"))
        super().__init__("Stop the run?", text, choices)
