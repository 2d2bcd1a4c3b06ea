"""A plan in four tabs, with the selected step beside its list: steps, checks, differences from the document, notes.

Invariant: of every step the text beside is the selected one's.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.getters import query_one
from textual.message import Message
from textual.widgets import Static, TabbedContent, TabPane

from backend.engine.plan import Plan
from backend.errors import McigError
from backend.preflight.findings import Finding
from tui.check_groups import label
from tui.review_text import departures_text, planned_lines
from tui.step_text import as_content
from tui.widgets.check_list import CheckList
from tui.widgets.plan_list import PlanList


class PlanTabs(Horizontal):
    """Shows a plan and what was checked."""

    steps = query_one(PlanList)
    tabs = query_one(TabbedContent)
    checks = query_one(CheckList)
    step_box = query_one("#step", VerticalScroll)
    step_text = query_one("#step-text", Static)

    class Switched(Message):
        """Another tab is in front."""

    def __init__(self) -> None:
        super().__init__(id="body")
        self._findings: Sequence[Finding] = ()

    def compose(self) -> ComposeResult:
        """Lay out."""
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

    @property
    def front(self) -> str:
        """The name of the tab in front: ``steps``, ``checks``, ``differs`` or ``notes``."""
        return self.tabs.active

    @property
    def command(self) -> str:
        """The command of what is selected, a step's or the one that mends a check; empty where there is none."""
        if self.front == "checks":
            return self.checks.fix
        return "" if (step := self.steps.selected) is None else step.about.command

    def show(self, plan: Plan, notes: Content) -> None:
        """Show a plan and what is worth knowing of it."""
        self.steps.show(plan)
        if self.front == "steps":
            self.steps.focus()
        self.query_one("#differs-text", Static).update(departures_text(plan))
        self.query_one("#notes-text", Static).update(notes)

    def tell(self, findings: Sequence[Finding], *, going_on: bool) -> None:
        """Tell of what was checked so far."""
        self._findings = findings
        self.checks.show(findings, "checking" if going_on else "")
        self._tell_label(going_on=going_on)

    def fail(self, error: McigError) -> None:
        """Say, where the step stands, why there is no plan."""
        parts = (("failed", error.message), ("cause", error.cause), ("fix", error.fix))
        self.step_text.update(as_content(pair for pair in parts if pair[1]))

    def switch(self, name: str) -> None:
        """Bring a tab to the front and go there."""
        self.tabs.active = name
        places = {"steps": self.steps, "checks": self.checks}
        (places.get(name) or self.query_one(f"#{name} VerticalScroll")).focus()

    def _tell_label(self, *, going_on: bool = False) -> None:
        self.tabs.get_tab("checks").label = label(self._findings, going_on=going_on, ignored=self.checks.ignored)

    @on(CheckList.Ignored)
    def _ignored(self) -> None:
        self._tell_label()

    @on(PlanList.Selected)
    def _selected(self, event: PlanList.Selected) -> None:
        step = event.step
        self.step_text.update("" if step is None else as_content(planned_lines(step)))
        self.step_box.scroll_home(animate=False)

    @on(TabbedContent.TabActivated)
    def _tab_shown(self) -> None:
        self.post_message(self.Switched())
