"""A run as it goes: its head, a line for each step, the details of one of them, and the log.

Drawn a dozen times a second at most, whatever comes. Invariant: the step that is worth a look is selected until
somebody selects one.
"""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.getters import query_one

from tui.frames import PER_SECOND, Frames
from tui.progress import Progress, StepProgress
from tui.runs import RunSource
from tui.widgets.lanes import Lanes
from tui.widgets.run_details import RunDetails
from tui.widgets.run_header import RunHeader
from tui.widgets.run_log import RunLog


class RunPicture(Vertical):
    """Shows one run after another."""

    header = query_one(RunHeader)
    lanes = query_one(Lanes)
    details = query_one(RunDetails)
    log_pane = query_one(RunLog)

    def __init__(self, source: RunSource, progress: Progress) -> None:
        super().__init__()
        self._source, self._progress = source, progress
        self._frames = Frames()
        self._follow = True
        self.moving = False
        """Whether the run goes on, so that its clocks do."""

    def compose(self) -> ComposeResult:
        """Lay out."""
        yield RunHeader(self._source, self._progress)
        yield Lanes(self._source.now)
        with Horizontal(id="below"):
            yield RunDetails()
            yield RunLog()

    def on_mount(self) -> None:
        """Draw what comes."""
        self.set_interval(1 / PER_SECOND, self.draw)

    def show(self, source: RunSource, progress: Progress) -> None:
        """Show another run, from its beginning."""
        self._source, self._progress, self._follow, self.moving = source, progress, True, True
        self.lanes.show(progress, source.now)
        self.header.show(source, progress)
        self.log_pane.show(progress)

    def draw(self, *, now: bool = False) -> None:
        """Draw what has happened since the last frame; without news only the clocks, now and then."""
        progress = self._progress
        drawn = self._frames.due((progress.told, progress.ended), moving=self.moving, now=now)
        if drawn:
            self.log_pane.take()
            self._select(*progress.failed, *progress.running)
            self.lanes.tick()
            self.header.refresh()
        if self._frames.details_due(drawn=drawn, now=now):
            self._tell_step()

    def end(self) -> None:
        """Draw how it has ended: what failed, else the last step that has something to tell."""
        self.moving = False
        self.draw(now=True)
        told = [step for step in self._progress.steps.values() if step.detail]
        if self._select(*self._progress.failed, *reversed(told)):
            self._tell_step()

    def _select(self, *worth: StepProgress) -> bool:
        if self._follow and worth:
            self.lanes.select(worth[0].facts.resource)
        return self._follow and bool(worth)

    def _tell_step(self) -> None:
        if (step := self.lanes.selected) is not None:
            self.details.show(step, now=self._source.now(), speed=self._source.speed)

    @on(Lanes.Selected)
    def _selected(self) -> None:
        self._follow = False
        self._tell_step()
