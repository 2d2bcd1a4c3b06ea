"""The plan review: every step with its time, cost, permission and command, before anything is changed.

Invariant: nothing in the cloud changes on this screen. Looking at it and checking happen in workers; Start, Save,
Export and Back are messages for whoever shows the screen. What nobody asked for is never destroyed: adopted clusters
only after their names were typed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.getters import query_one
from textual.message import Message
from textual.widgets import Button, Footer, Static, TabbedContent, TabPane

from backend.engine.events import Verb
from backend.engine.plan import Plan
from backend.errors import McigError
from backend.preflight.findings import Finding, refusing
from tui import consent
from tui.check_groups import label
from tui.leaving import Leavable
from tui.review_text import departures_text, notes_text, planned_lines, totals
from tui.runs import place
from tui.step_text import as_content
from tui.widgets.check_list import CheckList
from tui.widgets.plan_list import PlanList

if TYPE_CHECKING:
    from pydantic import SecretStr

    from backend.stack import Stack

_TITLES = {Verb.APPLY: "Plan for", Verb.DESTROY: "Destroy"}
_STARTS = {Verb.APPLY: "Start", Verb.DESTROY: "Destroy"}
_VARIANTS: dict[Verb, Literal["success", "error"]] = {Verb.APPLY: "success", Verb.DESTROY: "error"}


HELP = """\
Every step that would be carried out, by region: what is done, how long it usually takes, and what it costs while it
stands. The selected step's command, the permissions it needs and where it differs from the document stand beside it.

In a destroy, **a** takes clusters along that mcig did not make, and **h** what is shared with nobody who is left.

**1** to **4** show the steps, the checks with their fixes, what differs from the document, and what is worth knowing of
your answers. Nothing has been changed so far, and nothing is before **s**.
"""


class ReviewScreen(Leavable[None]):
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
        Binding("3", "tab('differs')", "Differs", show=False, tooltip="What differs from the document"),
        Binding("4", "tab('notes')", "Notes", show=False, tooltip="What should be known of the answers"),
        Binding("escape", "back", "Back", tooltip="Back to the answers; nothing has been changed", id="review.back"),
    ]
    head = query_one("#head", Static)
    steps = query_one(PlanList)
    tabs = query_one(TabbedContent)
    checks = query_one(CheckList)
    step_box = query_one("#step", VerticalScroll)
    step_text = query_one("#step-text", Static)

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

    def __init__(
        self,
        stack: Stack,
        plan: Plan | None = None,
        findings: Sequence[Finding] | None = None,
        *,
        verb: Verb = Verb.APPLY,
        token: SecretStr | None = None,
    ) -> None:
        super().__init__()
        self.stack, self.plan = stack, plan
        self._verb = verb if plan is None else plan.verb
        self._findings: list[Finding] = list(findings or ())
        self._checked = findings is not None
        self._token = token
        self._begun = self._asked = False
        self._takes = consent.Takes()

    def compose(self) -> ComposeResult:
        """Lay out."""
        yield Static(id="head")
        with Horizontal(id="body"):
            with TabbedContent(id="tabs"):
                with TabPane("Steps", id="steps"):
                    yield PlanList()
                with TabPane("Checks", id="checks"):
                    yield CheckList()
                with TabPane("Differs", id="differs"), VerticalScroll():
                    yield Static(id="differs-text")
                with TabPane("Notes", id="notes"), VerticalScroll():
                    yield Static(id="notes-text")
            with VerticalScroll(id="step"):
                yield Static(id="step-text")
        with Vertical(id="foot"), Horizontal():
            yield Button(_STARTS[self._verb], id="start", variant=_VARIANTS[self._verb], compact=True)
            yield Button("Save", id="save", compact=True)
            yield Button("Export", id="export", compact=True)
            yield Button("Ask the model", id="ask_model", variant="primary", compact=True)
            yield Button("Try again", id="look", variant="primary", compact=True)
            yield Button("Back", id="back", compact=True)
            yield Static("Nothing has been changed yet.", id="unchanged")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Show the plan that was given, or make one."""
        if self.plan is None:
            self.action_look()
        else:
            self._show(self.plan)
            if not self._checked:
                self._check()

    def on_screen_resume(self) -> None:
        """Look again after a run: what the plan said is done."""
        if self._begun:
            self._begun = False
            self.action_look()

    def action_look(self) -> None:
        """Look at the cloud and plan anew."""
        self._look()

    @work(group="look", exclusive=True)
    async def _look(self) -> None:
        self.plan = None
        self.remove_class("-failed")
        self._say("… looking at the cloud")
        self._offer()
        try:
            plan = await self.stack.plan(self._verb)
        except McigError as error:
            parts = (("failed", error.message), ("cause", error.cause), ("fix", error.fix))
            self._say("✗ The plan could not be made. Your answers are kept.")
            self.step_text.update(as_content(pair for pair in parts if pair[1]))
            self.add_class("-failed")
            self._offer()
            return
        self.plan = plan
        self._show(plan)
        if self._verb is Verb.APPLY:
            self._check()

    @work(group="check", exclusive=True)
    async def _check(self) -> None:
        preflight = getattr(self.stack, "preflight", None)
        if preflight is None:
            return
        self._findings = []
        self._tell_findings(going_on=True)
        try:
            async for finding in preflight(token=self._token):
                self._findings.append(finding)
                self._tell_findings(going_on=True)
        except McigError as error:
            told = f"{error.message}\n{error.fix}"
            self.notify(told, title="The checks could not be made", severity="warning", markup=False)
        self._tell_findings(going_on=False)

    def _show(self, plan: Plan) -> None:
        figures = Content("   ").join(
            Content.assemble((f"{label} " if label else "", "$quiet"), text) for label, text in totals(plan, self.stack)
        )
        self._say(figures if plan.changes else Content("✓ Nothing to do: all is as wanted."))
        self.steps.show(plan)
        if self.tabs.active == "steps":
            self.steps.focus()
        self.query_one("#differs-text", Static).update(departures_text(plan))
        self.query_one("#notes-text", Static).update(notes_text(self.stack.notes_on(plan)))
        self._tell_findings(going_on=False)
        self._offer()

    def _say(self, said: Content | str) -> None:
        name, where = f"{_TITLES[self._verb]} {self.stack.spec.name}", place(self.stack)
        name += f" {self._takes.words}" if self._takes.words else ""
        self.head.update(Content.assemble((name, "bold"), "  ", (where, "$quiet"), "\n", said))

    def _tell_findings(self, *, going_on: bool) -> None:
        self.checks.show(self._findings, "checking" if going_on else "")
        self._tell_label(going_on=going_on)

    @on(CheckList.Ignored)
    def _ignored(self) -> None:
        self._tell_label(going_on=False)

    def _tell_label(self, *, going_on: bool) -> None:
        self.tabs.get_tab("checks").label = label(self._findings, going_on=going_on, ignored=self.checks.ignored)

    def _offer(self) -> None:
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
        return self._verb is Verb.APPLY and self.plan is not None

    @property
    def _may_ask(self) -> bool:
        return self._apply and self.plan is not None and not self.plan.changes

    @on(PlanList.Selected)
    def _selected(self, event: PlanList.Selected) -> None:
        step = event.step
        self.step_text.update("" if step is None else as_content(planned_lines(step)))
        self.step_box.scroll_home(animate=False)

    @on(TabbedContent.TabActivated)
    def _tab_shown(self) -> None:
        self.set_class(self.tabs.active == "steps", "-steps")
        self.refresh_bindings()

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
        self.tabs.active = name
        places = {"steps": self.steps, "checks": self.checks}
        (places.get(name) or self.query_one(f"#{name} VerticalScroll")).focus()

    def _may_take(self, name: str) -> bool:
        if self._verb is not Verb.DESTROY or self.plan is None:
            return False
        return name == "shared" or self._takes.adopted or bool(self.stack.adopted(self.plan, left=True))

    def action_wider(self, name: str) -> None:
        """Plan a destroy that takes more along, or no longer does."""
        takes = replace(self._takes, **{name: not getattr(self._takes, name)})
        try:
            self.stack = self.stack.taking(shared=takes.shared, adopted=takes.adopted)
        except McigError as error:
            self.notify(f"{error.message}\n{error.fix}", severity="warning", markup=False)
            return
        self._takes = takes
        self._look()

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
                self.post_message(self.Start(self.stack, plan, tuple(sorted(self.checks.ignored))))
        finally:
            self._asked = False

    async def _agreed(self, plan: Plan) -> bool:
        failing = [finding.id for finding in refusing(self._findings, self.checks.ignored)]
        if failing and not await consent.in_spite_of(self.app, failing):
            self.action_tab("checks")
            return False
        self.checks.ignored |= set(failing)
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
        if self.tabs.active == "checks":
            told = self.checks.fix
        else:
            told = "" if (step := self.steps.selected) is None else step.about.command
        if not told:
            self.notify("There is nothing to copy here.", severity="warning")
            return
        self.app.copy_to_clipboard(told)
        self.notify("Copied.")
