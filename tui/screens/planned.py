"""A screen that looks at the cloud, and shows what would be done there and what was checked beforehand.

Invariant: it only looks; a plan that cannot be made leaves the reason on the screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual import on, work
from textual.content import Content
from textual.getters import query_one

from backend.engine.events import Verb
from backend.engine.plan import Plan
from backend.errors import McigError
from backend.preflight.findings import Finding
from tui.consent import Takes
from tui.leaving import Leavable
from tui.review_text import notes_text, totals
from tui.runs import place
from tui.widgets.plan_head import PlanHead
from tui.widgets.plan_tabs import PlanTabs

if TYPE_CHECKING:
    from pydantic import SecretStr

    from backend.stack import Stack

_TITLES = {Verb.APPLY: "Plan for", Verb.DESTROY: "Destroy"}


class PlannedScreen(Leavable[None]):
    """Shows a plan, and makes it where none was given."""

    head = query_one(PlanHead)
    body = query_one(PlanTabs)

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
        self.verb = verb if plan is None else plan.verb
        self.takes = Takes()
        """What a destroy takes along beside the stack's own."""
        self.findings: list[Finding] = list(findings or ())
        """What was checked so far."""
        self._checked = findings is not None
        self._token = token

    def on_mount(self) -> None:
        """Show the plan that was given, or make one."""
        if self.plan is None:
            self.look()
        else:
            self._show(self.plan)
            if not self._checked:
                self._check()

    def offer(self) -> None:
        """Offer what can be done now that there is a plan, or none."""

    @work(group="look", exclusive=True)
    async def look(self) -> None:
        """Look at the cloud and plan anew."""
        self.plan = None
        self.remove_class("-failed")
        self._say(Content("… looking at the cloud"))
        self.offer()
        try:
            plan = await self.stack.plan(self.verb)
        except McigError as error:
            self._say(Content("✗ The plan could not be made. Your answers are kept."))
            self.body.fail(error)
            self.add_class("-failed")
            self.offer()
            return
        self.stack.get_ready(plan)
        self.plan = plan
        self._show(plan)
        if self.verb is Verb.APPLY:
            self._check()

    @work(group="check", exclusive=True)
    async def _check(self) -> None:
        preflight = getattr(self.stack, "preflight", None)
        if preflight is None:
            return
        self.findings = []
        self.body.tell(self.findings, going_on=True)
        try:
            async for finding in preflight(token=self._token):
                self.findings.append(finding)
                self.body.tell(self.findings, going_on=True)
        except McigError as error:
            told = f"{error.message}\n{error.fix}"
            self.notify(told, title="The checks could not be made", severity="warning", markup=False)
        self.body.tell(self.findings, going_on=False)

    def _show(self, plan: Plan) -> None:
        if plan.changes:
            figures = totals(plan, self.stack)
            self._say(*(Content.assemble((f"{name} " if name else "", "$quiet"), text) for name, text in figures))
        else:
            self._say(Content("✓ Nothing to do: all is as wanted."))
        self.body.show(plan, notes_text(self.stack.notes_on(plan)))
        self.body.tell(self.findings, going_on=False)
        self.offer()

    def _say(self, *said: Content) -> None:
        title = f"{_TITLES[self.verb]} {self.stack.spec.name} {self.takes.words}".strip()
        self.head.say(title, place(self.stack), *said)

    @on(PlanTabs.Switched)
    def _switched(self) -> None:
        self.set_class(self.body.front == "steps", "-steps")
        self.refresh_bindings()
