"""The full-screen app: which screen follows which.

Screens lay out and post messages; what a message leads to stands here. Invariants: the first frame comes before
anything heavy is imported; nothing in the cloud changes before Start is pressed in the review; whatever ends the app,
the terminal is left clean and what was written is kept.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import work
from textual.screen import Screen

from tui.full_screen import FullScreen
from tui.looks import EVERY_S
from tui.screens.home import HomeScreen
from tui.session import Session

if TYPE_CHECKING:
    from backend.kept import Kept
    from backend.monitor import Snapshot
    from backend.spec import GatewaySpec
    from backend.stack import Stack
    from tui.screens.connecting import ConnectingScreen
    from tui.screens.monitor import MonitorScreen
    from tui.screens.review import ReviewScreen
    from tui.screens.run import RunScreen
    from tui.screens.wizard import WizardScreen

GENERAL = """\
**mcig** sets up a GKE multi-cluster Inference Gateway: the same model in two or more regions, and one gateway in front
that sends every request to the nearest region with room. It can rehearse all of it on this machine first.

Tab and shift+tab go from question to question, arrows choose, enter takes. The mouse works everywhere.
"""


class McigApp(FullScreen):
    """Home, wizard, review, run, prompt."""

    ABOUT = GENERAL

    def __init__(
        self,
        session: Session,
        *,
        watch: GatewaySpec | None = None,
        every_s: float = EVERY_S,
        keep: Callable[[Snapshot], None] | None = None,
    ) -> None:
        """Begin at home, or with ``watch`` in the monitor of a stack, which is then left with the app.

        ``every_s`` is the time between the monitor's looks, and ``keep`` gets what they see.
        """
        super().__init__(pictures=session.places.state / "pictures")
        self.session = session
        self._watched = watch
        self._every_s = every_s
        self._keep = keep

    def get_default_screen(self) -> Screen[None]:
        """The way in is the bottom of the stack, so that no empty screen is laid out before it."""
        return HomeScreen(self.session) if self._watched is None else super().get_default_screen()

    def on_mount(self) -> None:
        """Go on to the monitor where a stack is to be watched."""
        if self._watched is not None:
            self._connect(self._watched, "watch")

    async def on_unmount(self) -> None:
        """Give connections back."""
        await self.session.close()
        await self.session.close_survey()

    def _go(self, screen: Screen[None]) -> None:
        """Go on to a screen, once: a key pressed twice asks twice."""
        if type(self.screen) is not type(screen):
            self.push_screen(screen)

    # --- Home ---------------------------------------------------------------------------------------------------------

    @work(exclusive=True, group="way")
    async def on_home_screen_chosen(self, event: HomeScreen.Chosen) -> None:
        """Take a way on."""
        from tui import ways

        if event.way == "stack":
            await self._stack(event.stack)
        elif (kept := await ways.draft_for(self, self.session, event.way)) is not None:
            self._wizard(kept)

    async def _stack(self, name: str) -> None:
        from tui import ways

        purpose = await ways.purpose_of(self, name)
        if purpose is None or (kept := await ways.read(self, self.session, name)) is None:
            return
        spec = kept.draft.check().spec
        if purpose == "change" or spec is None:
            self._wizard(kept)
        else:
            self._connect(spec, purpose)

    # --- wizard and review --------------------------------------------------------------------------------------------

    def _wizard(self, kept: Kept) -> None:
        from tui.screens.wizard import WizardScreen

        self._go(WizardScreen(self.session, kept))

    def on_wizard_screen_left(self, event: WizardScreen.Left) -> None:
        """Home again."""
        event.screen.dismiss()

    def on_wizard_screen_finished(self, event: WizardScreen.Finished) -> None:
        """On to the plan."""
        self._connect(event.spec, "apply")

    def _connect(self, spec: GatewaySpec, purpose: str) -> None:
        from tui.screens.connecting import ConnectingScreen

        self._go(ConnectingScreen(self.session, spec, purpose))

    def on_connecting_screen_left(self, event: ConnectingScreen.Left) -> None:
        """Back to the answers."""
        if self._watched is not None:
            self.exit(1)
        else:
            event.screen.dismiss()

    def on_connecting_screen_ready(self, event: ConnectingScreen.Ready) -> None:
        """Show the plan, the prompt panel or the monitor in the place of the screen that connected."""
        if event.screen not in self.screen_stack:
            return
        while self.screen is not event.screen:
            self.screen.dismiss()
        if event.purpose == "ask":
            from tui.screens.prompt import PromptScreen

            self.switch_screen(PromptScreen(event.stack))
        elif event.purpose == "watch":
            self.switch_screen(self._monitor_of(event.stack))
        else:
            self.switch_screen(self._review_of(event.stack, destroy=event.purpose == "destroy"))
        self.mind(self.size)

    def _review_of(self, stack: Stack, *, destroy: bool = False) -> ReviewScreen:
        from backend.engine.events import Verb
        from tui.screens.review import ReviewScreen

        verb = Verb.DESTROY if destroy else Verb.APPLY
        return ReviewScreen(stack, verb=verb, token=self.session.hugging_face(stack.spec.target))

    def on_review_screen_back(self, event: ReviewScreen.Back) -> None:
        """Back to where the plan was asked for."""
        event.screen.dismiss()

    @work
    async def on_review_screen_save(self, event: ReviewScreen.Save) -> None:
        """Keep the specification as a preset."""
        from tui.keeping import save_preset

        await save_preset(self, event.stack.spec, self.session.places)

    @work
    async def on_review_screen_export(self, event: ReviewScreen.Export) -> None:
        """Write the plan as files."""
        from tui.keeping import export_plan

        await export_plan(self, event.stack.spec, self.session)

    def on_review_screen_start(self, event: ReviewScreen.Start) -> None:
        """Carry the plan out."""
        from tui.runs import LiveRun
        from tui.screens.run import RunScreen

        self.session.unfinished = shlex.join(["mcig", event.plan.verb, event.stack.spec.name])
        self._go(RunScreen(LiveRun(event.stack, event.plan, ignore=event.ignore), reopen=self._reopen))

    async def _reopen(self, spec: GatewaySpec) -> Stack:
        """Open the stack with other answers; the review and the pages that wait below a run go on with them."""
        from backend.draft import Draft
        from tui.screens.review import ReviewScreen
        from tui.screens.wizard import WizardScreen

        stack = await self.session.open(spec)
        for screen in self.screen_stack:
            if isinstance(screen, ReviewScreen):
                screen.stack = stack
            elif isinstance(screen, WizardScreen):
                await screen.take(Draft.of(stack.spec))
        return stack

    def on_review_screen_ask_model(self, event: ReviewScreen.AskModel) -> None:
        """Ask the model."""
        self._ask(event.stack)

    def on_run_screen_ask_model(self, event: RunScreen.AskModel) -> None:
        """Ask the model."""
        del event
        if self.session.stack is not None:
            self._ask(self.session.stack)

    def on_run_screen_ended(self, event: RunScreen.Ended) -> None:
        """What was applied is the stack's specification now, and no draft any more."""
        from backend import kept
        from backend.engine.events import Outcome

        if event.outcome is Outcome.SUCCEEDED:
            self.session.unfinished = ""
            kept.forget(self.session.places)

    def on_run_screen_destroy(self, event: RunScreen.Destroy) -> None:
        """Review what would be taken away."""
        del event
        if self.session.stack is not None:
            self._go(self._review_of(self.session.stack, destroy=True))

    async def on_run_screen_change_answers(self, event: RunScreen.ChangeAnswers) -> None:
        """Back to the pages: those that led here, else new ones with the stack's answers."""
        del event
        from backend.draft import Draft
        from backend.kept import Kept
        from tui.screens.wizard import WizardScreen

        stack = self.session.stack
        if any(isinstance(screen, WizardScreen) for screen in self.screen_stack):
            while not isinstance(self.screen, WizardScreen):
                await self.pop_screen()
        elif stack is not None:
            self._wizard(Kept(Draft.of(stack.spec)))

    # --- monitor ------------------------------------------------------------------------------------------------------

    def _monitor_of(self, stack: Stack) -> MonitorScreen:
        from tui.looks import LiveLooks
        from tui.screens.monitor import MonitorScreen

        return MonitorScreen(LiveLooks(stack, every_s=self._every_s, keep=self._keep))

    def on_run_screen_watch(self, event: RunScreen.Watch) -> None:
        """Watch what was set up."""
        del event
        if self.session.stack is not None:
            self._go(self._monitor_of(self.session.stack))

    def on_monitor_screen_ask_model(self, event: MonitorScreen.AskModel) -> None:
        """Ask the model."""
        del event
        if self.session.stack is not None:
            self._ask(self.session.stack)

    def on_monitor_screen_why(self, event: MonitorScreen.Why) -> None:
        """Tell what is not ready, and why."""
        del event
        from tui.screens.why import WhyScreen

        if self.session.stack is not None:
            self._go(WhyScreen(self.session.stack))

    def on_monitor_screen_left(self, event: MonitorScreen.Left) -> None:
        """Back to where watching began."""
        if self._watched is not None:
            self.exit(0)
        else:
            event.screen.dismiss()

    def _ask(self, stack: Stack) -> None:
        from tui.screens.prompt import PromptScreen

        self._go(PromptScreen(stack))
