"""What can be done while a run goes on and after it.

Invariant: keys and buttons offer the same, because both ask here.
"""

from __future__ import annotations

from dataclasses import dataclass

from backend.engine.events import Failure, Outcome, Verb
from tui.progress import Progress
from tui.runs import LiveRun, RecordedRun, RunSource


@dataclass(frozen=True, slots=True)
class Ways:
    """Where a run stands, and what that allows."""

    source: RunSource
    progress: Progress
    failure: Failure | None
    """Why it could not begin or go on; ``None`` where its steps tell."""
    going_on: bool
    reopens: bool
    """Whether the stack can be opened with other answers here."""

    @property
    def succeeded(self) -> bool:
        """Whether it has ended well."""
        finished = self.progress.finished
        return self.failure is None and finished is not None and finished.outcome is Outcome.SUCCEEDED

    def offer(self, action: str) -> bool:
        """Whether an action can be taken now; what is not known here always can."""
        run, recorded, over = self.source, isinstance(self.source, RecordedRun), not self.going_on
        apply, good = run.verb is Verb.APPLY, self.succeeded
        match action:
            case "pause" | "pace":
                return recorded and self.going_on
            case "stop":
                return self.going_on and not recorded
            case "retry":
                return over and (recorded or not good)
            case "others":
                return over and self.reopens and isinstance(run, LiveRun) and bool(run.out_of_stock)
            case "remains":
                return isinstance(run, LiveRun) and run.remains is not None and run.remains.anything
            case "change":
                return over and not recorded and not good
            case "destroy":
                return over and not recorded and apply and (not good or bool(run.guard))
            case "ask_model" | "watch":
                return good and not recorded and apply
            case "copy":
                return bool(self.progress.failed) or self.failure is not None
            case _:
                return True
