"""The monitor: where traffic goes, what is full, what is broken, as it happens or as it was recorded.

Snapshots are taken as they come, and drawn once each. Invariants: watching changes nothing; load and drills begin only
after a question; what is not known is shown as unknown with its reason.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.getters import query_one
from textual.message import Message
from textual.widgets import Footer
from textual.worker import Worker

from backend.errors import McigError
from tui.fleet import SORTS
from tui.history import MEASURES
from tui.leaving import Leavable
from tui.looks import LiveLooks, Looks, RecordedLooks
from tui.trials import BACK, YES, drain, drill_question, load_question, send_load
from tui.widgets.fleet import Fleet
from tui.widgets.monitor_header import MonitorHeader, standing
from tui.widgets.monitor_panes import MonitorPanes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backend.monitor import Snapshot

SEEK_S = 10.0

HELP = """\
The chart shows how full each cluster's KV cache is, with the target of the balancing policy as a dashed line: the
gateway fills the nearest region up to it and sends what is more to the next one. Each row of the table is a cluster or
a Pod, as the Pods' own metrics tell it; **share** is the part of all requests that came. Rates, shares and latencies
are of the last 30 seconds.

**~** marks what is not as specified: it was changed behind mcig's back, or the specification is not applied yet.

A dash is a figure that nobody knows: there was no request yet, or the row says why it cannot be read.
"""


class MonitorScreen(Leavable[None]):
    """Shows one stack's traffic."""

    CSS_PATH = "monitor.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "pause", "Pause", tooltip="Hold the picture, or go on"),
        Binding("left_square_bracket,comma", "seek(-1)", "Seek", key_display="[ ]", tooltip="Ten seconds back"),
        Binding("right_square_bracket,full_stop", "seek(1)", "On", show=False, tooltip="Ten seconds on"),
        Binding("plus", "pace(1)", "Pace", key_display="+ -", tooltip="Play faster"),
        Binding("minus", "pace(-1)", "Slower", show=False, tooltip="Play slower"),
        Binding("v", "measure", "View", tooltip="Chart the next figure: share, requests, waiting, latency"),
        Binding("w", "window", "Window", show=False, tooltip="Two minutes, ten, half an hour, an hour"),
        Binding("s", "sort", "Sort", show=False, tooltip="Sort rows by name, KV cache, requests, waiting, latency"),
        Binding(
            "e", "details", "Details", show=False, tooltip="Details of the selected row in the place of the events"
        ),
        Binding("y", "why", "Why", tooltip="The whole stack, with cause and fix for what is not ready"),
        Binding("p", "ask_model", "Ask", tooltip="Send a prompt through the gateway"),
        Binding("l", "load", "Load", tooltip="Send load through the gateway, or stop it"),
        Binding("d", "drill", "Drill", tooltip="Drain a region for a while and see what that does"),
        Binding("escape,q", "leave", "Back", key_display="esc", tooltip="Leave the monitor"),
    ]
    header = query_one(MonitorHeader)

    class AskModel(Message):
        """A person wants to ask the model."""

    class Why(Message):
        """A person wants to know why something is not ready."""

    @dataclass
    class Left(Message):
        """A person has seen enough."""

        screen: MonitorScreen

    def __init__(self, looks: Looks) -> None:
        super().__init__()
        self.looks = looks
        self.panes = MonitorPanes(looks.every_s)
        self._held = False
        self._failure = ""
        self._test: Worker[None] | None = None

    @property
    def snapshot(self) -> Snapshot | None:
        """What is shown."""
        return self.panes.snapshot

    def compose(self) -> ComposeResult:
        """Lay out."""
        yield MonitorHeader(markup=False)
        yield self.panes
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to look."""
        if isinstance(self.looks, RecordedLooks):
            self.looks.restart = self._begin_again
        self.panes.fleet.focus()
        self._play()
        self.set_interval(1.0, self._tick)

    @work(group="looks", exclusive=True)
    async def _play(self) -> None:
        try:
            await self.looks.play(self.take)
        except McigError as error:
            self._failure = error.message
            self.notify(f"{error.message}\n{error.fix}".strip(), severity="error", timeout=12, markup=False)

    def take(self, snapshot: Snapshot) -> None:
        """Take the next snapshot; while the picture is held it is kept for later."""
        self.panes.take(snapshot)
        if not self._held:
            self.draw()

    def draw(self) -> None:
        """Draw the newest snapshot."""
        if not self.going:
            self.panes.draw()
            self._tick()

    def _begin_again(self, snapshots: Sequence[Snapshot]) -> None:
        """Take up a recording at another place, with all that led to it."""
        self.panes.begin_again(snapshots)
        self.draw()

    def _tick(self) -> None:
        if self.snapshot is not None and not self.going:
            state = standing(self.looks, self.snapshot, held=self._held, failed=bool(self._failure))
            self.header.show(self.snapshot, state)

    # --- keys ---------------------------------------------------------------------------------------------------------

    def help_text(self) -> tuple[str, str]:
        """Title and text of the help page."""
        return "The monitor", HELP

    def commands(self) -> Iterable[SystemCommand]:
        """What the palette offers here."""
        for name, measure in MEASURES.items():
            yield SystemCommand(f"Chart: {measure.title}", "In the chart", partial(self.panes.show_measure, name))
        for name in SORTS:
            yield SystemCommand(f"Sort by {name}", "The rows of the table", partial(self._sort, name))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What can be done here."""
        del parameters
        if action in {"seek", "pace"}:
            return not self.looks.live
        if action in {"ask_model", "load", "drill", "why"}:
            return self.looks.live
        return True

    @on(Fleet.Zoomed)
    def _zoomed(self) -> None:
        self.draw()

    def on_resize(self) -> None:
        """Lay the rows out anew."""
        self.call_after_refresh(self.draw)

    def action_pause(self) -> None:
        """Hold the picture, or go on."""
        if isinstance(self.looks, RecordedLooks):
            self.looks.toggle()
            self._tick()
            return
        self._held = not self._held
        self._tick() if self._held else self.draw()

    def action_seek(self, by: int) -> None:
        """Go on or back in a recording."""
        if isinstance(self.looks, RecordedLooks):
            self.looks.seek(by * SEEK_S)

    def action_pace(self, by: int) -> None:
        """Play a recording faster or slower."""
        if isinstance(self.looks, RecordedLooks):
            self.looks.change_pace(by)
            self._tick()

    def action_measure(self) -> None:
        """Chart the next figure."""
        self.panes.show_measure()

    def action_window(self) -> None:
        """Show more of the past, or the last two minutes again."""
        self.panes.show_window()

    def action_sort(self) -> None:
        """Sort by the next figure."""
        self._sort()

    def _sort(self, name: str = "") -> None:
        self.notify(f"sorted by {self.panes.sort(name)}", timeout=2)

    def action_details(self) -> None:
        """Details in the place of the events, where there is room for one only."""
        self.toggle_class("-details")

    def action_why(self) -> None:
        """See the whole stack."""
        self.post_message(self.Why())

    def action_ask_model(self) -> None:
        """Go on to the prompt panel."""
        self.post_message(self.AskModel())

    def action_leave(self) -> None:
        """Leave; out of a zoom first. A load or a drill that goes on is stopped, and restores what it changed."""
        if self.panes.fleet.only is not None:
            self.panes.fleet.action_zoom()
            return
        self.workers.cancel_node(self)
        self.post_message(self.Left(self))

    @property
    def _testing(self) -> bool:
        return self._test is not None and not self._test.is_finished

    @work(group="question")
    async def action_load(self) -> None:
        """Start load once that is confirmed, or stop it."""
        if not isinstance(self.looks, LiveLooks):
            return
        if self._testing and self._test is not None:
            self._test.cancel()
            self._news("load or drill stopped")
            return
        if await self.app.push_screen_wait(load_question(self.looks.stack)) == YES:
            self._test = self._try(partial(send_load, self.looks.stack, self._news))

    @work(group="test", exclusive=True)
    async def _try(self, trial: Callable[[], Awaitable[None]]) -> None:
        await trial()

    @work(group="question")
    async def action_drill(self) -> None:
        """Drain a region for a while, once that is confirmed."""
        if not isinstance(self.looks, LiveLooks) or self._testing:
            return
        region = await self.app.push_screen_wait(drill_question(self.looks.stack))
        if region not in {None, BACK.name}:
            self._test = self._try(partial(drain, self.looks.stack, str(region), self._news))

    def _news(self, text: str) -> None:
        if not self.going:
            self.panes.tell(text)
