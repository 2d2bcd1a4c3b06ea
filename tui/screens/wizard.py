"""The wizard: one page of questions at a time, checked while one types.

Invariants: an answer is in the draft as soon as it is given and on disk a moment later, so going back, closing and a
crash lose nothing; checks run in workers that a newer answer cancels, and never stand in the way of a key.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Button, Footer, Label, Static

from backend.draft import Checked, Draft
from backend.fields import PAGES, Page, page_of, problems_on
from backend.kept import Kept, keep
from backend.money import costs
from backend.spec import GatewaySpec
from tui.asking import Asking
from tui.leaving import Leavable
from tui.screens.choosing import ChoosingScreen
from tui.screens.pages import views
from tui.screens.pages.base import PageView
from tui.session import Session
from tui.widgets.answer import Answer
from tui.widgets.page_ways import PageWays
from tui.widgets.rail import Rail
from tui.widgets.summary import Summary

CHECK_AFTER_S = 0.12
"""Pause after the last key before the answers are read as a specification."""
LOOK_AFTER_S = 0.6
"""Pause after that before the cloud is asked."""


class WizardScreen(Leavable[None]):
    """All pages of one draft."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+n", "next", "Next", tooltip="To the next page"),
        Binding("escape", "back", "Back", tooltip="To the page before; your answers stay"),
        Binding("ctrl+r", "review", "Review", tooltip="To the plan, as soon as nothing is left to mend"),
        Binding("f5", "ask_again", "Ask again", tooltip="Ask the cloud once more", show=False),
        Binding("ctrl+g", "pages", "Pages", tooltip="Jump to a page", show=False),
    ]

    @dataclass
    class Finished(Message):
        """The answers are complete."""

        spec: GatewaySpec

    @dataclass
    class Left(Message):
        """The wizard was left by the first page's Back; the draft is kept."""

        screen: WizardScreen

    def __init__(self, session: Session, kept: Kept) -> None:
        super().__init__()
        self.session = session
        self.draft: Draft = kept.draft
        self.at = kept.page
        """Name of the page in front."""
        self.visited = set(kept.visited)
        self.checked = Checked(None)
        self._asking = Asking(session)
        self._timer: Timer | None = None
        self._changes = self._kept = 0
        """Changes so far, and how many of them are on disk."""
        self._ready = False

    @property
    def settled(self) -> bool:
        """Whether the answers were read and kept since the last change."""
        return 0 < self._changes == self._kept

    @property
    def page(self) -> Page:
        """The page in front."""
        return next(page for page in PAGES if page.name == self.at)

    def compose(self) -> ComposeResult:
        """The rail, the page, the summary, and the way on."""
        yield Rail([(page.name, page.title) for page in PAGES])
        with Horizontal(id="columns"):
            with Vertical(id="front"):
                yield Label("", id="title", markup=False)
                yield Vertical(id="holder")
                yield Static("", id="hint", markup=False)
                yield PageWays()
            with Vertical(id="side"):
                yield Label("Your gateway", classes="heading")
                yield Summary(id="summary")
        yield Footer(show_command_palette=False)

    async def on_mount(self) -> None:
        """Open the page where the draft was left."""
        await self._open(self.at)

    def on_unmount(self) -> None:
        """Lose nothing where the app is left in the middle of an answer."""
        if not self.settled:
            self._keep()

    def on_resize(self) -> None:
        """A column of pages where there is room for one."""
        self.query_one(Rail).upright = self.app.size.width >= 100

    # --- pages --------------------------------------------------------------------------------------------------------

    async def _open(self, name: str, problem: str = "") -> None:
        self.workers.cancel_group(self, "check")  # it writes to the page that is about to go
        self.at, self._ready = name, False
        self.visited.add(name)
        holder = self.query_one("#holder")
        view = views.of(self.page, self.draft, self.session)
        with self.app.batch_update():
            await holder.remove_children()
            await holder.mount(view)
            self._ready = True
            self.query_one("#title", Label).update(self.page.title)
            self.query_one(PageWays).name_ways(self._neighbour(-1), self._neighbour(1))
        self.query_one("#hint", Static).update(view.HINT or "f1 explains this page.")
        self.sub_title = self.page.title
        self.query_one("#side").set_class(view.WIDE, "-hidden")
        self._show()
        view.tell(self._asking.of(name), "")
        if problem:
            await view.focus_wrong(problem)
        else:
            view.focus_first()
        self.changed()

    async def take(self, draft: Draft) -> None:
        """Go on with other answers than those that were given here, as when GPUs were taken elsewhere."""
        self.draft = draft
        self._keep()
        await self._open(self.at)

    def _neighbour(self, by: int) -> Page | None:
        index = PAGES.index(self.page) + by
        return PAGES[index] if 0 <= index < len(PAGES) else None

    @property
    def view(self) -> PageView:
        """The page in front, as a widget."""
        return self.query_one("#page", PageView)

    async def action_next(self) -> None:
        """To the next page; after the last one to the review."""
        following = self._neighbour(1)
        if following is None:
            await self.action_review()
        else:
            await self._open(following.name)

    async def action_back(self) -> None:
        """To the page before; before the first one is Home."""
        previous = self._neighbour(-1)
        if previous is None:
            self._keep()
            self.post_message(self.Left(self))
        else:
            await self._open(previous.name)

    async def action_review(self) -> None:
        """To the plan; while something is wrong, to that."""
        self.checked = self.draft.check()
        if self.checked.spec is not None:
            self._keep()
            self.post_message(self.Finished(self.checked.spec))
            return
        first = self.checked.problems[0]
        self.visited |= {page.name for page in PAGES}
        await self._open(page_of(first.path).name, first.path)
        count = len(self.checked.problems)
        self.notify(f"{first.message}", title=f"{count} thing{'s' * (count > 1)} to mend first", severity="warning")

    async def action_ask_again(self) -> None:
        """Ask the cloud once more, over new connections."""
        self.workers.cancel_group(self, "check")
        await self._asking.anew()
        self.changed()

    def action_pages(self) -> None:
        """Choose a page by name."""
        pages = [(page.name, page.title, "") for page in PAGES if page.name in self.visited]

        async def chosen(name: str | None) -> None:
            if name is not None:
                await self.jump(name)

        self.app.push_screen(ChoosingScreen("Which page?", pages), chosen)

    def commands(self) -> Iterable[SystemCommand]:
        """What the palette offers here."""
        for page in PAGES:
            if page.name in self.visited:
                yield SystemCommand(f"Page: {page.title}", page.about, partial(self.jump, page.name))

    async def jump(self, name: str) -> None:
        """To a page that was visited."""
        if name in self.visited and name != self.at:
            await self._open(name)

    @on(Button.Pressed, "#next")
    async def _next(self) -> None:
        await self.action_next()

    @on(Button.Pressed, "#back")
    async def _back(self) -> None:
        await self.action_back()

    @on(Rail.Chosen)
    async def _chosen(self, event: Rail.Chosen) -> None:
        await self.jump(event.page)

    # --- answers ------------------------------------------------------------------------------------------------------

    @on(Answer.Given)
    def _given(self, event: Answer.Given) -> None:
        row = event.answer
        if all(value == event.value for value in self.draft.all(row.field.path, row.clusters)):
            return
        self.draft.set(row.field.path, event.value, row.clusters)
        self.changed()

    @on(Answer.Reached)
    def _reached(self, event: Answer.Reached) -> None:
        self.query_one("#hint", Static).update(event.answer.field.help)

    @on(PageView.Hinted)
    def _hinted(self, event: PageView.Hinted) -> None:
        self.query_one("#hint", Static).update(event.text)

    @on(PageView.Changed)
    def _page_changed(self) -> None:
        self.changed()

    def changed(self) -> None:
        """Read the answers anew once nobody has typed for a moment."""
        self._changes += 1
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(CHECK_AFTER_S, self._check)

    @work(exclusive=True, group="check")
    async def _check(self) -> None:
        """Read the answers, keep them, and then ask the cloud."""
        import asyncio

        changes = self._changes
        self.checked = await asyncio.to_thread(self.draft.check)
        if not self._ready:
            return
        self._show()
        await asyncio.to_thread(self._keep)
        self._kept = changes
        if self.checked.spec is None:
            self.view.tell(self._asking.of(self.at), "the checks wait until this is mended")
            return
        await asyncio.sleep(LOOK_AFTER_S)
        if self._ready:
            await self._asking.about(self.page, self.checked.spec, self.view)

    def _show(self) -> None:
        problems = self.checked.problems
        wrong = {page_of(problem.path).name for problem in problems}
        self.query_one(Rail).mark(here=self.at, visited=self.visited, wrong=wrong)
        spec = self.checked.spec
        self.query_one(Summary).show(spec, costs(spec) if spec is not None else None)
        self.view.show(self.checked)
        here = len(problems_on(self.page, problems))
        self.query_one(PageWays).tell_wrong(here, len(problems) - here)

    def _keep(self) -> None:
        with suppress(OSError):
            keep(self.session.places, Kept(self.draft, self.at, tuple(sorted(self.visited))))

    def help_text(self) -> tuple[str, str]:
        """Title and text of the help on the page in front."""
        fields = [f"**{field.label}.** {field.help}" for field in self.page.fields]
        return self.page.title, "\n\n".join([self.page.about, self.page.more, *fields])
