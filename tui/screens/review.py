"""The plan review: every step with its time, cost, permission and command, before anything is changed.

Invariant: nothing in the cloud changes on this screen. Looking at it and checking happen in workers; Start, Save,
Export and Back are messages for whoever shows the screen. What nobody asked for is never destroyed: adopted clusters
only after their names were typed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Button, Footer, Static

from backend.engine.events import Verb
from backend.engine.plan import Plan
from backend.errors import McigError
from backend.preflight.findings import refusing
from tui import consent
from tui.screens.planned import PlannedScreen
from tui.widgets.plan_head import PlanHead
from tui.widgets.plan_tabs import PlanTabs

if TYPE_CHECKING:
    from backend.stack import Stack

_STARTS = {Verb.APPLY: "Start", Verb.DESTROY: "Destroy"}
_VARIANTS: dict[Verb, Literal["success", "error"]] = {Verb.APPLY: "success", Verb.DESTROY: "error"}


HELP = """\
Every step that would be carried out, by region: what is done, how long it usually takes, and what it costs while it
stands. The selected step's command, the permissions it needs and where it differs from Google's guide stand beside it.

In a destroy, **a** takes clusters along that mcig did not make, and **h** what is shared with nobody who is left.

**1** to **4** show the steps, the checks with their fixes, what differs from Google's guide, and what is worth knowing
of your answers. Nothing has been changed so far, and nothing is before **s**.
"""


class ReviewScreen(PlannedScreen):
    """Shows what a run would do."""

    CSS_PATH = "review.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "start", "Start", tooltip="Carry the plan out", id="review.start"),
        Binding("w", "save", "Save", tooltip="Keep the answers as a preset of yours", id="review.save"),
        Binding(
            "x", "export", "Export", tooltip="Write the plan as a script, manifests or Terraform", id="review.export"
        ),
        Binding("p", "ask_model", "Ask", tooltip="Ask the model through the gateway", id="review.ask"),
        Binding("r", "look", "Refresh", show=False, tooltip="Look at the cloud again", id="review.look"),
        Binding("y", "copy", "Copy", tooltip="Copy the step's command, or the selected check's fix", id="review.copy"),
        Binding("a", "wider('adopted')", "Adopted", tooltip="Also clusters not made by mcig", id="review.adopted"),
        Binding("h", "wider('shared')", "Shared", tooltip="Also APIs and roles nobody needs", id="review.shared"),
        Binding("1", "tab('steps')", "Steps", show=False, tooltip="The steps"),
        Binding("2", "tab('checks')", "Checks", show=False, tooltip="What was checked beforehand"),
        Binding("3", "tab('differs')", "Differs", show=False, tooltip="What differs from Google's guide"),
        Binding("4", "tab('notes')", "Notes", show=False, tooltip="What should be known of the answers"),
        Binding("escape", "back", "Back", tooltip="Back to the answers; nothing has been changed", id="review.back"),
    ]

    @dataclass
    class Start(Message):
        """Carry the plan out."""

        stack: Stack
        plan: Plan
        ignore: tuple[str, ...] = ()
        """Ids of the checks that fail and are no reason to stop."""

    @dataclass
    class Save(Message):
        """Keep the specification as a preset."""

        stack: Stack

    @dataclass
    class Export(Message):
        """Write the plan as something to run elsewhere."""

        stack: Stack

    @dataclass
    class AskModel(Message):
        """There is nothing to do: ask the model."""

        stack: Stack

    @dataclass
    class Back(Message):
        """Back to where the answers are."""

        screen: ReviewScreen

    _begun = False
    """Whether a run of the plan was begun."""
    _asked = False
    """Whether somebody is being asked."""

    def compose(self) -> ComposeResult:
        """Lay out."""
        yield PlanHead()
        yield PlanTabs()
        with Vertical(id="foot"), Horizontal():
            yield Button(_STARTS[self.verb], id="start", variant=_VARIANTS[self.verb], compact=True)
            yield Button("Save", id="save", compact=True)
            yield Button("Export", id="export", compact=True)
            yield Button("Ask the model", id="ask_model", variant="primary", compact=True)
            yield Button("Try again", id="look", variant="primary", compact=True)
            yield Button("Back", id="back", compact=True)
            yield Static("Nothing has been changed yet.", id="unchanged")
        yield Footer(show_command_palette=False)

    def on_screen_resume(self) -> None:
        """Look again after a run: what the plan said is done."""
        if self._begun:
            self._begun = False
            self.action_look()

    def action_look(self) -> None:
        """Look at the cloud and plan anew."""
        self.look()

    def offer(self) -> None:
        """Offer what can be done now that there is a plan, or none."""
        changes = self.plan is not None and bool(self.plan.changes)
        offered = {
            "start": changes,
            "save": self._apply,
            "export": self._apply,
            "ask_model": self._may_ask,
            "look": self.has_class("-failed"),
        }
        for name, wanted in offered.items():
            self.query_one(f"#{name}", Button).display = wanted
        self.query_one("#unchanged", Static).display = changes or self.plan is None
        self.refresh_bindings()

    @property
    def _apply(self) -> bool:
        return self.verb is Verb.APPLY and self.plan is not None

    @property
    def _may_ask(self) -> bool:
        return self._apply and self.plan is not None and not self.plan.changes

    @on(Button.Pressed)
    async def _pressed(self, event: Button.Pressed) -> None:
        await self.run_action(event.button.id or "")

    def help_text(self) -> tuple[str, str]:
        """Title and text of the help page."""
        return "The plan", HELP

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What can be done now."""
        match action:
            case "wider":
                return self._may_take(str(parameters[0]))
            case "start":
                return self.plan is not None and bool(self.plan.changes)
            case "save" | "export":
                return self._apply
            case "ask_model":
                return self._may_ask
            case _:
                return True

    def action_tab(self, name: str) -> None:
        """Show one of the tabs."""
        self.body.switch(name)

    def _may_take(self, name: str) -> bool:
        from backend.stack import adopted

        if self.verb is not Verb.DESTROY or self.plan is None:
            return False
        return name == "shared" or self.takes.adopted or bool(adopted(self.plan, left=True))

    def action_wider(self, name: str) -> None:
        """Plan a destroy that takes more along, or no longer does."""
        takes = replace(self.takes, **{name: not getattr(self.takes, name)})
        try:
            self.stack = self.stack.taking(shared=takes.shared, adopted=takes.adopted)
        except McigError as error:
            self.notify(f"{error.message}\n{error.fix}", severity="warning", markup=False)
            return
        self.takes = takes
        self.look()

    @work
    async def action_start(self) -> None:
        """Begin; what fails or costs is asked about first."""
        plan = self.plan
        if plan is None or self._asked:
            return
        self._asked = True
        try:
            if await self._agreed(plan):
                self._begun = True
                self.post_message(self.Start(self.stack, plan, tuple(sorted(self.body.checks.ignored))))
        finally:
            self._asked = False

    async def _agreed(self, plan: Plan) -> bool:
        failing = [finding.id for finding in refusing(self.findings, self.body.checks.ignored)]
        if failing and not await consent.in_spite_of(self.app, failing):
            self.action_tab("checks")
            return False
        self.body.checks.ignored |= set(failing)
        return await consent.to(self.app, self.stack, plan)

    def action_save(self) -> None:
        """Keep the answers as a preset."""
        self.post_message(self.Save(self.stack))

    def action_export(self) -> None:
        """Write the plan as something to run elsewhere."""
        self.post_message(self.Export(self.stack))

    def action_ask_model(self) -> None:
        """Ask the model."""
        self.post_message(self.AskModel(self.stack))

    def action_back(self) -> None:
        """Back to the answers."""
        self.post_message(self.Back(self))

    def action_copy(self) -> None:
        """Copy the command of the step, or the fix of the check."""
        if not (told := self.body.command):
            self.notify("There is nothing to copy here.", severity="warning")
            return
        self.app.copy_to_clipboard(told)
        self.notify("Copied.")
