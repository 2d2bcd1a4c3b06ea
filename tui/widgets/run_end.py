"""How a run ended, in a strip below it, with the ways on.

Invariant: a failure names what failed and what to do about it.
"""

from __future__ import annotations

import shlex

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.getters import query_one
from textual.widgets import Button, Static

from backend.engine.events import Failure, Outcome, Verb
from tui.progress import Progress
from tui.run_ways import Ways
from tui.runs import LiveRun, RecordedRun, RunSource
from tui.style import elapsed

_FAILURES = 2
"""Failed steps that are named with what to do; their whole story is in the details."""
_DONE = {Verb.APPLY: "Applied", Verb.DESTROY: "Destroyed"}


class RunEnd(Vertical):
    """Hidden until the run is over."""

    said = query_one("#said", Static)

    def compose(self) -> ComposeResult:
        """Lay out."""
        yield Static(id="said", markup=False)
        with Horizontal():
            yield Button("Ask the model (p)", variant="success", id="ask_model", compact=True)
            yield Button("Other GPUs (o)", variant="success", id="others", compact=True)
            yield Button("What remains (w)", variant="primary", id="remains", compact=True)
            yield Button("Retry (r)", variant="primary", id="retry", compact=True)
            yield Button("Change answers (e)", id="change", compact=True)
            yield Button("Destroy (d)", variant="error", id="destroy", compact=True)
            yield Button("Back", id="leave", compact=True)

    def on_mount(self) -> None:
        """Begin hidden."""
        self.display = False

    def clear(self) -> None:
        """Hide, as another run begins."""
        self.display = False

    def looking(self, said: str = "looking at the cloud again") -> None:
        """Say what is done before another try."""
        self.said.update(f"… {said}")

    def tell(self, ways: Ways) -> None:
        """Say how it ended and offer what can be done now."""
        self.said.update("\n".join([*_mind(ways.source), _sentence(ways.source, ways.progress, ways.failure)]))
        self.set_class(ways.succeeded, "-good")
        for button in self.query(Button):
            button.display = ways.offer(button.id or "")
        recorded = isinstance(ways.source, RecordedRun)
        self.query_one("#retry", Button).label = "Play again (r)" if recorded else "Retry (r)"
        self.display = True


def _mind(source: RunSource) -> list[str]:
    """What comes before how it ended: a guard that is passed, GPUs that could not be had."""
    told = []
    if source.guard:
        told.append(f"! guard: {source.guard}. d takes the stack away; nobody watches once mcig has ended.")
    if isinstance(source, LiveRun) and (out := source.out_of_stock):
        told.append(f"! No GPUs for {', '.join(out)}. o shows what else there is.")
    return told


def _sentence(source: RunSource, progress: Progress, failure: Failure | None) -> str:
    if failure is not None:
        told = (failure.message, f"cause: {failure.cause}", f"fix: {failure.fix}")
        return "\n".join(
            f"{sign}{part}" for sign, part in zip(("✗ ", "  ", "  "), told, strict=True) if not part.endswith(": ")
        )
    finished = progress.finished
    if finished is None:
        return "■ The recording ends here: the run was killed. The next run went on where it stopped."
    counts = ", ".join(f"{count} {word}" for word, count in finished.counts.items() if count) or "nothing to do"
    took = elapsed(finished.elapsed_s)
    if finished.outcome is Outcome.SUCCEEDED:
        return f"✓ {_DONE[source.verb]} {source.stack_name} in {took}: {counts}."
    if finished.outcome is Outcome.CANCELLED:
        again = f"mcig {source.verb} {shlex.quote(source.stack_name)}"
        return f"■ Stopped after {took}: {counts}. What was made stays.\n  `{again}` goes on where this stopped."
    failed = [step for step in progress.failed if step.error is not None]
    lines = [f"✗ Not finished after {took}: {counts}. What was made stays."]
    for step in failed[:_FAILURES]:
        error = step.error or Failure("")
        lines.append(f"  {step.facts.resource}: {error.fix or ' '.join(error.message.split())}")
    if len(failed) > _FAILURES:
        lines.append(f"  and {len(failed) - _FAILURES} more")
    return "\n".join(lines)
