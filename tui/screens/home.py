"""The way in: what was found on this machine, and the ways on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Footer, Label, OptionList, Static
from textual.widgets.option_list import Option

from tui.leaving import Leavable
from tui.session import Session

if TYPE_CHECKING:
    from backend.found import Found, KeptStack

WAYS = {
    "rehearse": ("Rehearse", "The whole thing on this machine: no account, no cost, about two minutes."),
    "setup": ("Set up", "On Google Cloud, page by page; nothing is changed before you say so."),
    "preset": ("From a preset", "Begin with answers that come with mcig, or with your own."),
}
LOGO = "◆ mcig"


class HomeScreen(Leavable[None]):
    """Where the app begins."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "way('rehearse')", "Rehearse", tooltip="Rehearse on this machine"),
        Binding("s", "way('setup')", "Set up", tooltip="Set up on Google Cloud"),
        Binding("p", "way('preset')", "Preset", tooltip="Begin with a preset"),
        Binding("ctrl+q", "app.quit", "Quit", tooltip="Leave; what you wrote is kept"),
    ]

    @dataclass
    class Chosen(Message):
        """A way on was chosen."""

        way: str
        """``rehearse``, ``setup``, ``preset``, ``draft`` or ``stack``."""
        stack: str = ""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._draft: str | None = None

    def compose(self) -> ComposeResult:
        """The ways on; beside or below them what was found."""
        with Vertical(id="masthead"):
            yield Label(
                Content.assemble((LOGO, "bold $primary"), ("   multi-cluster Inference Gateway on GKE", "$quiet"))
            )
        with Horizontal(id="home"):
            yield OptionList(*self._options(), id="choices")
            with Vertical(id="around"):
                yield Label("Found on this machine", classes="heading")
                yield Static(Content.styled("looking …", "$quiet"), id="found")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Look around once the first frame is there."""
        self.query_one("#choices", OptionList).focus()
        self.call_after_refresh(self.look)

    def on_screen_resume(self) -> None:
        """What there is may have changed meanwhile."""
        if self.session.found is not None:
            self.look()

    @work(exclusive=True)
    async def look(self) -> None:
        """Show what there is on this machine."""
        import asyncio

        def draft() -> str | None:
            from backend.kept import read

            kept = read(self.session.places)
            return None if kept is None else str(kept.draft.data.get("name") or "without a name")

        found = await self.session.look_around()
        self._draft = await asyncio.to_thread(draft)
        choices = self.query_one("#choices", OptionList)
        at = choices.highlighted
        self.query_one("#found", Static).update(_around(found))
        choices.clear_options()
        choices.add_options(self._options(found))
        choices.highlighted = at or 0

    def action_way(self, way: str) -> None:
        """Take a way on."""
        self.post_message(self.Chosen(way))

    @on(OptionList.OptionSelected, "#choices")
    def _selected(self, event: OptionList.OptionSelected) -> None:
        way, _, stack = str(event.option_id).partition("/")
        self.post_message(self.Chosen(way, stack))

    def _options(self, found: Found | None = None) -> list[Option | None]:
        options: list[Option | None] = []
        if self._draft is not None:
            options += [_option("draft", f"Go on with {self._draft}", "Your answers as you left them."), None]
        options += [_option(way, title, text) for way, (title, text) in WAYS.items()]
        stacks = found.stacks if found is not None else ()
        if stacks:
            options.append(None)
            options += [_option(f"stack/{one.name}", one.name, _stack_line(one)) for one in stacks[:8]]
        return options


def _option(id_: str, title: str, text: str) -> Option:
    return Option(Content.assemble((title, "bold"), "\n", (text, "$quiet")), id=id_)


def _stack_line(stack: KeptStack) -> str:
    where = {"gke": "on Google Cloud", "emulator": "rehearsal"}.get(stack.target, "its file cannot be read")
    return f"Stack, {where}, last apply {ago(datetime.now(UTC) - stack.applied)}."


def ago(passed: timedelta) -> str:
    """A time that has passed, in words."""
    seconds = max(0.0, passed.total_seconds())
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {word}{'s' * (count > 1)} ago"
    return "just now"


def _around(found: Found) -> Content:
    rows: list[tuple[bool, str, str]] = [
        (found.account is not None, "Google account", found.account or "none; a rehearsal needs none"),
        (found.project is not None, "Project", found.project or "none named"),
        (
            found.token_from is not None,
            "Hugging Face",
            f"token in {found.token_from}" if found.token_from else "no token; a rehearsal needs none",
        ),
        (found.emulator is not None, "Emulated cloud", _emulator(found)),
    ]
    lines = []
    for there, label, text in rows:
        glyph = ("✓ ", "$text-success") if there else ("· ", "$quiet")
        told = text.replace("; ", ";\n  ")
        lines.append(Content.assemble(glyph, (label, "$quiet"), "\n  ", (told, "" if there else "$quiet")))
    return Content("\n").join(lines)


def _emulator(found: Found) -> str:
    if found.emulator is None:
        return "not running; starts by itself"
    pace = "without waiting" if found.speed is None else f"{found.speed:g} times faster"
    return f"runs {pace}"
