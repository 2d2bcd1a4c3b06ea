"""A page of the wizard: its questions from ``backend.fields``, and what the checks say.

Invariant: a page holds no answer of its own; it shows the draft and tells of changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Collapsible, Label

from backend.draft import Checked, Draft, covers
from backend.fields import Field, Page
from backend.preflight.findings import Finding
from backend.spec import GatewaySpec
from tui.session import Session
from tui.widgets.answer import Answer
from tui.widgets.findings import Findings


class PageView(VerticalScroll, can_focus=False):
    """One page."""

    SKIPPED: ClassVar[tuple[str, ...]] = ()
    """Paths of fields that the page asks for in a way of its own."""

    HINT: ClassVar[str] = ""
    """Said while no question has the focus."""

    WIDE: ClassVar[bool] = False
    """Whether the page takes the room of the summary at the side, too."""

    @dataclass
    class Changed(Message):
        """Answers were changed in another way than by a single field."""

        page: PageView

    @dataclass
    class Hinted(Message):
        """There is something to say of what was reached on the page."""

        text: str

    def __init__(self, page: Page, draft: Draft, session: Session) -> None:
        super().__init__(id="page")
        self.page = page
        self.draft = draft
        self.session = session
        self._unfolded_for: tuple[str, ...] = ()

    def compose(self) -> ComposeResult:
        """About it, the questions, what the checks say, and what most people leave as it is."""
        yield Label(self.page.about, id="about", markup=False)
        yield from self.head()
        yield from self._answers(field for field in self.page.fields if not field.advanced)
        yield from self.tail()
        yield Findings(id="findings")
        if any(field.advanced for field in self.page.fields):
            yield Collapsible(title="More, usually left as it is", collapsed=True, id="more")

    def head(self) -> Iterable[Widget]:
        """What stands above the questions."""
        return ()

    def tail(self) -> Iterable[Widget]:
        """What stands below the questions."""
        return ()

    def clusters_of(self, field: Field) -> list[Sequence[int] | None]:
        """For which clusters there is a row of a field; one row for all of them by default."""
        return [[index] for index in range(len(self.draft.clusters))] if field.each else [None]

    @on(Collapsible.Expanded, "#more")
    async def unfold(self) -> None:
        """Ask for what most people leave as it is; for the clusters that there are now."""
        contents = self.query_one("#more Contents")
        clusters = tuple(str(cluster["name"]) for cluster in self.draft.clusters)
        if clusters != self._unfolded_for or not contents.children:
            self._unfolded_for = clusters
            await contents.remove_children()
            await contents.mount_all(self._answers(field for field in self.page.fields if field.advanced))

    def show(self, checked: Checked) -> None:
        """Show the answers as they are now, and what is wrong with them."""
        for row in self.query(Answer):
            row.display = row.field.asked(self.draft)
            row.refresh_answer()
            row.tell(checked.problems)

    def tell(self, found: Sequence[Finding], state: str) -> None:
        """Show what the checks found so far."""
        self.query_one("#findings", Findings).show(found, state)

    async def look(self, spec: GatewaySpec) -> None:
        """Ask the cloud for what this page alone shows; cancelled when the answers change."""

    def focus_first(self) -> None:
        """Go to the first question."""
        for widget in self.query("*"):
            if widget.focusable:
                widget.focus(scroll_visible=False)
                return

    async def focus_wrong(self, path: str) -> None:
        """Go to the question that a problem is about."""
        wanted = next((field for field in self.page.fields if covers(field.path, path)), None)
        if wanted is not None and wanted.advanced:
            self.query_one("#more", Collapsible).collapsed = False
            await self.unfold()
        for row in self.query(Answer):
            if any(path.startswith(one) for one in row.paths):
                row.query_one(".control").focus()
                return

    def _answers(self, fields: Iterable[Field]) -> Iterable[Widget]:
        for field in fields:
            if field.path in self.SKIPPED:
                continue
            if field.each:
                yield Label(field.label, classes="group", markup=False)
            for clusters in self.clusters_of(field):
                label = "" if clusters is None else f"  {self.draft.clusters[clusters[0]]['region']}"
                row = Answer(field, self.draft, clusters, label)
                row.display = field.asked(self.draft)
                if row.paths:
                    yield row
