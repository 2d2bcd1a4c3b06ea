"""A screen that carries runs out, or plays them, one after another.

Invariants: a run that goes on is never left without a question, and stopping it is the engine's own clean stop; what a
run raises is kept as a failure to be told and never lost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from textual import work
from textual.getters import query_one
from textual.worker import Worker

from backend.engine.events import Failure
from backend.errors import McigError
from tui.leaving import Leavable
from tui.progress import Progress
from tui.runs import RecordedRun, RunSource
from tui.screens.stopping import KEEP, STOP, StopQuestion
from tui.widgets.run_picture import RunPicture


class PlayingScreen(Leavable[None]):
    """Plays runs on its picture."""

    picture = query_one(RunPicture)

    def __init__(self, source: RunSource) -> None:
        super().__init__()
        self.source = source
        """The run, or the recording of one."""
        self.progress = Progress(source.facts, speed=source.speed)
        """How far it is."""
        self.failure: Failure | None = None
        """Why it could not begin or go on; ``None`` where its steps tell."""
        self._worker: Worker[None] | None = None
        self._afterwards: Callable[[], object] | None = None

    @property
    def going_on(self) -> bool:
        """Whether the run has not ended yet."""
        return self._worker is not None and not self._worker.is_finished

    def begin(self, source: RunSource) -> None:
        """Carry a run out, or play it."""
        self.source, self.failure = source, None
        self.progress = Progress(source.facts, speed=source.speed)
        self.picture.show(source, self.progress)
        self._worker = self._play(source, self.progress)
        self.refresh_bindings()

    def over(self) -> None:
        """Go on after a run that has ended and is not left."""

    @work(group="engine", exclusive=True, exit_on_error=False)
    async def _play(self, source: RunSource, progress: Progress) -> None:
        try:
            await source.play(progress, lambda text: self.notify(text, markup=False))
        except Exception as error:
            self.failure = Failure.of(error)
            if not isinstance(error, McigError):
                self.failure = replace(self.failure, cause="a fault in mcig itself", fix="r tries again")
        finally:
            self.call_later(self._ended)

    def _ended(self) -> None:
        self.picture.end()
        for asked in [screen for screen in self.app.screen_stack if isinstance(screen, StopQuestion)]:
            asked.dismiss(KEEP)
        self.refresh_bindings()
        self.over()
        if self._afterwards is not None:
            self._afterwards()

    def holds(self, then: Callable[[], object]) -> bool:
        """A run that goes on is asked about; to ask again is to say yes, and once more waits for nothing.

        A recording just ends.
        """
        if not self.going_on or isinstance(self.source, RecordedRun) or self._stopping:
            return False
        if isinstance(asked := self.app.screen, StopQuestion):
            self._afterwards = then
            asked.dismiss(STOP)
        else:
            self._stop_and(then)
        return True

    async def ask_to_stop(self) -> bool:
        """Stop cleanly, once that is confirmed; says whether it was."""
        stop = await self.app.push_screen_wait(StopQuestion(self.source)) == STOP
        if stop and self._worker is not None and not self._stopping:
            self._worker.cancel()
        return stop

    @property
    def _stopping(self) -> bool:
        return self._worker is not None and self._worker.is_cancelled

    @work
    async def _stop_and(self, then: Callable[[], object]) -> None:
        if await self.ask_to_stop():
            self._afterwards = self._afterwards or then
            if not self.going_on:
                self._afterwards()
