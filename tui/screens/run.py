"""The run screen: lanes, progress, log and details of a run that goes on or of a journal that is played.

Invariant: what failed is on the screen with its cause and its fix, and with the ways on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.getters import query_one
from textual.message import Message
from textual.widgets import Button, Footer

from backend.engine.events import Failure, Outcome
from backend.errors import McigError
from tui.run_ways import Ways
from tui.runs import LiveRun, RecordedRun, RunSource
from tui.screens.playing import PlayingScreen
from tui.screens.step import StepScreen
from tui.screens.stockout import elsewhere
from tui.screens.telling import TellingScreen
from tui.step_text import errors_text
from tui.style import Style
from tui.widgets.lanes import Lanes
from tui.widgets.run_end import RunEnd
from tui.widgets.run_picture import RunPicture

if TYPE_CHECKING:
    from backend.spec import GatewaySpec
    from backend.stack import Stack

HELP = """\
A column for what is shared and one a region; every step is a line with its state as a sign and a word. Below are the
details of the selected step and the log; **l** gives the log the room, **/** shows only lines with a word in them.

Nothing is lost when a run is stopped or a step fails: what was made stays, what does not need the failed step goes on,
and another try does what is still to be done. Where a zone has no GPUs, **o** shows what else there is and goes on with
it; after a destroy **w** shows what remains, and what would take it away.
"""


class RunScreen(PlayingScreen):
    """Shows one run after another of the same stack."""

    CSS_PATH = "run.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "ask_model", "Ask", tooltip="Ask the model through the gateway", id="run.ask"),
        Binding("m", "watch", "Monitor", tooltip="Watch where traffic goes", id="run.watch"),
        Binding("o", "others", "Other GPUs", tooltip="What else there is in place of the GPUs", id="run.others"),
        Binding("w", "remains", "Remains", tooltip="What the destroy left, and what undoes it", id="run.remains"),
        Binding("r", "retry", "Retry", tooltip="Look again and do what is still to be done", id="run.retry"),
        Binding("e", "change", "Change", show=False, tooltip="Change the answers and review again", id="run.change"),
        Binding(
            "d", "destroy", "Destroy", show=False, tooltip="Review what destroying would take away", id="run.destroy"
        ),
        Binding("space", "pause", "Pause", tooltip="Pause the recording, or go on", id="run.pause"),
        Binding("plus,right_square_bracket", "pace(1)", "Pace", key_display="+ -", tooltip="Faster", id="run.faster"),
        Binding("minus,left_square_bracket", "pace(-1)", "Slower", show=False, tooltip="Play slower", id="run.slower"),
        Binding("l", "log", "Log", tooltip="Show the log, or the details of the selected step", id="run.log"),
        Binding("y", "copy", "Copy", tooltip="Copy what failed, with cause and fix", id="run.copy"),
        Binding("c", "stop", "Stop", tooltip="Stop cleanly; what was made stays", id="run.stop"),
        Binding("escape", "leave", "Back", tooltip="Leave the run", id="run.leave"),
    ]
    end = query_one(RunEnd)

    class AskModel(Message):
        """A person wants to ask the model."""

    class Watch(Message):
        """A person wants to watch the traffic."""

    class ChangeAnswers(Message):
        """A person wants to change the answers and plan again."""

    class Destroy(Message):
        """A person wants to take the stack away."""

    @dataclass
    class Ended(Message):
        """The run is over; ``None`` when it never began."""

        outcome: Outcome | None

    def __init__(self, source: RunSource, *, reopen: Callable[[GatewaySpec], Awaitable[Stack]] | None = None) -> None:
        """``reopen`` opens the stack with another specification; without it the answers cannot be changed here."""
        super().__init__(source)
        self._reopen = reopen

    def compose(self) -> ComposeResult:
        """Lay out."""
        yield RunPicture(self.source, self.progress)
        yield RunEnd()
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin the run."""
        self.begin(self.source)
        self.picture.lanes.focus()

    def begin(self, source: RunSource) -> None:
        """Carry a run out, or play it."""
        self.end.clear()
        super().begin(source)

    def over(self) -> None:
        """Tell how it has ended, and the ways on."""
        finished = self.progress.finished
        self.post_message(self.Ended(None if finished is None else finished.outcome))
        self.end.tell(self._ways)
        self._look_back()

    @work(group="after", exclusive=True)
    async def _look_back(self) -> None:
        """Learn what comes after the run: GPUs to be had elsewhere, what remains, a guard that is passed."""
        run = self.source
        if not isinstance(run, LiveRun):
            return
        await run.look_back()
        if self.going_on or self.source is not run:
            return
        self.end.tell(self._ways)
        self.refresh_bindings()
        if self.app.screen is self:
            if self.check_action("remains", ()):
                self.action_remains()
            elif self.check_action("others", ()) and run.stack.spec.on_stockout != "stop":
                self.action_others()

    @on(Lanes.Opened)
    def _opened(self) -> None:
        if (step := self.picture.lanes.selected) is not None:
            self.app.push_screen(StepScreen(step, now=self.source.now, speed=self.source.speed))

    @on(Button.Pressed)
    async def _pressed(self, event: Button.Pressed) -> None:
        await self.run_action(event.button.id or "")

    def help_text(self) -> tuple[str, str]:
        """Title and text of the help page."""
        return "A run", HELP

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What can be done now."""
        del parameters
        return self._ways.offer(action)

    @property
    def _ways(self) -> Ways:
        return Ways(self.source, self.progress, self.failure, self.going_on, self._reopen is not None)

    def action_ask_model(self) -> None:
        """Go on to the prompt panel."""
        self.post_message(self.AskModel())

    def action_watch(self) -> None:
        """Go on to the monitor."""
        self.post_message(self.Watch())

    def action_change(self) -> None:
        """Change the answers."""
        self.post_message(self.ChangeAnswers())

    def action_destroy(self) -> None:
        """Review a destroy."""
        self.post_message(self.Destroy())

    def action_remains(self) -> None:
        """Tell what a destroy left, and what would take it away."""
        if isinstance(self.source, LiveRun) and (left := self.source.remains) is not None:
            text = "\n".join(left.lines(Style(width=10_000))).strip()
            self.app.push_screen(TellingScreen("What remains", text, "\n".join(left.commands)))

    @work(group="again", exclusive=True)
    async def action_others(self) -> None:
        """Offer what else there is in place of GPUs that could not be had, and go on with it.

        A rehearsal goes on at once; where it costs money the review shows the new plan first.
        """
        run = self.source
        if not isinstance(run, LiveRun) or self._reopen is None:
            return
        spec = await elsewhere(self.app, run.stack.spec, run.out_of_stock)
        if spec is None:
            return
        self.end.looking("planning with the other choice")
        try:
            stack = await self._reopen(spec)
            if stack.connection.speed is None:
                self.dismiss(None)
                return
            source = run.with_other(stack, await stack.plan(run.verb))
        except McigError as error:
            self._refused(error)
        else:
            self.begin(source)

    def action_pause(self) -> None:
        """Pause a recording, or go on."""
        if isinstance(self.source, RecordedRun):
            self.source.toggle()
            self.picture.draw(now=True)

    def action_pace(self, by: int) -> None:
        """Play a recording faster or slower."""
        if isinstance(self.source, RecordedRun):
            (self.source.faster if by > 0 else self.source.slower)()
            self.picture.draw(now=True)

    def action_log(self) -> None:
        """Show the log, or the details, where there is room for one only; else go there."""
        shown = self.toggle_class("-log").has_class("-log")
        (self.picture.log_pane.log_view if shown else self.picture.lanes).focus()

    def action_copy(self) -> None:
        """Copy what failed."""
        selected = self.picture.lanes.selected
        failed = [selected] if selected is not None and selected.error else self.progress.failed
        self.app.copy_to_clipboard(errors_text(failed, self.failure))
        self.notify("Copied what failed, with cause and fix.")

    @work(group="again", exclusive=True)
    async def action_retry(self) -> None:
        """Look at the cloud again and carry out what is still to be done."""
        if isinstance(self.source, RecordedRun):
            self.begin(RecordedRun(self.source.events, pace=self.source.pace))
            return
        if not isinstance(self.source, LiveRun):
            return
        self.end.looking()
        try:
            source = await self.source.again()
        except McigError as error:
            self._refused(error)
        else:
            self.begin(source)

    def _refused(self, error: McigError) -> None:
        self.failure = Failure.of(error)
        self.end.tell(self._ways)

    @work
    async def action_stop(self) -> None:
        """Stop cleanly, once that is confirmed."""
        await self.ask_to_stop()

    def action_leave(self) -> None:
        """Leave; a run that goes on is asked about first."""
        if not self.holds(self.dismiss):
            self.dismiss(None)
