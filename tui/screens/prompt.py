"""The prompt panel: ask the model through the gateway, and see who answered how fast.

Invariant: asking changes nothing but the relay, which is started where it is not there; a word that has come stays on
the screen, whatever fails after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.getters import query_one
from textual.widgets import Button, DataTable, Footer, Static, TabbedContent, TabPane

from backend.errors import McigError
from tui.commands.prompt import DEFAULT_TEXT
from tui.exchange import Conversation, Exchange, reach, short, spread, told
from tui.leaving import Leavable
from tui.plain import tokens_per_s
from tui.refusals import outcome
from tui.runs import place
from tui.widgets.ask_form import AskForm, Wishes
from tui.widgets.prompt_entry import PromptEntry

if TYPE_CHECKING:
    from backend.address import Address
    from backend.clients.answers import Answer
    from backend.stack import Stack

FRAMES = 12
"""Times a second that a streamed answer is drawn."""
MANY = 20
"""Prompts that are sent through each address to see how they spread."""
_LONGEST = 40
"""Columns of a prompt in the history."""


HELP = """\
**Enter** sends the prompt through the gateway's addresses, one after the other, and the answers stream in;
**alt+enter** begins a new line. A prompt goes through a small relay on the config cluster, because the addresses are
private.

*First token* is measured in the relay; the way from here to it is told apart. Who answered is read from the model
servers' logs. **f6** sends the prompt many times and shows which Pods answered.
"""


class PromptScreen(Leavable[None]):
    """Asks through one stack's gateway."""

    CSS_PATH = "prompt.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5", "send", "Send", show=False, tooltip="Ask; as enter does", id="prompt.send", priority=True),
        Binding("f6", "many", f"Send {MANY}", tooltip="How answers spread", id="prompt.many", priority=True),
        Binding("f7", "copy", "Curl", tooltip="Copy the request as a curl command", id="prompt.copy", priority=True),
        Binding("f8", "tab('reach')", "Reach", tooltip="From an application", id="prompt.reach", priority=True),
        Binding("escape", "stop", "Stop", tooltip="Stop asking", id="prompt.stop"),
        Binding("escape", "leave", "Back", tooltip="Leave the panel", id="prompt.leave"),
    ]
    entry = query_one(PromptEntry)
    form = query_one(AskForm)
    tabs = query_one(TabbedContent)
    answer_view = query_one("#answer-text", Static)
    answer_box = query_one("#answer-box", VerticalScroll)
    history = query_one(DataTable)

    def __init__(self, stack: Stack) -> None:
        super().__init__()
        self.stack = stack
        self._addresses: Sequence[Address] = ()
        self._conversation = Conversation()
        self._shown: list[Exchange] = []
        self._drawn = -1
        self._asking = False
        self._first = 0
        self._problem: McigError | None = None

    def compose(self) -> ComposeResult:
        """Lay out."""
        name = self.stack.spec.name
        yield Static(Content.assemble((f"Ask {name}", "bold"), "  ", (place(self.stack), "$quiet")), id="head")
        yield AskForm(self.stack.spec)
        with Horizontal(id="asking"):
            yield PromptEntry(DEFAULT_TEXT)
            yield Button("Send", id="send", variant="primary", compact=True)
            yield Button(f"Send {MANY}", id="many", compact=True)
        with TabbedContent(id="tabs"):
            with TabPane("Answer", id="answer"), VerticalScroll(id="answer-box"):
                yield Static(id="answer-text")
            with TabPane("Spread", id="spread"), VerticalScroll():
                yield Static(f"f6 sends the prompt {MANY} times through each address.", id="spread-text")
            with TabPane("History", id="history"):
                yield DataTable(cursor_type="row", zebra_stripes=False)
            with TabPane("From an app", id="reach"), VerticalScroll():
                yield Static(id="reach-text")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Look for the addresses, ready to write."""
        self.history.add_columns("at", "through", "model", "by", "first", "tok/s", "status", "prompt")
        self.set_interval(1 / FRAMES, self._frame)
        self.entry.focus()
        self.entry.select_all()
        self.answer_view.update(Content.styled("… looking for the gateway's addresses", "$quiet"))
        self._look()

    @work(group="look", exclusive=True)
    async def _look(self) -> None:
        try:
            self._addresses = await self.stack.addresses()
        except McigError as error:
            self._fail(error)
            return
        if not self._addresses:
            said = f"The gateway of {self.stack.spec.name} has no address yet: it is not set up, or not completely."
            self.answer_view.update(said)
            return
        lines = [f"{address.region:<14} {address.address}" for address in self._addresses]
        ready = "Enter asks through the addresses of the gateway:"
        self.answer_view.update(Content.styled("\n".join([ready, "", *lines]), "$quiet"))
        self._tell_reach()

    @on(PromptEntry.Submitted)
    def _submitted(self) -> None:
        self.action_send()

    @on(Button.Pressed)
    async def _pressed(self, event: Button.Pressed) -> None:
        await self.run_action(event.button.id or "")

    @on(DataTable.RowSelected)
    def _row(self, event: DataTable.RowSelected) -> None:
        self._shown = [self._conversation.exchanges[event.cursor_row]]
        self._drawn = -1
        self.tabs.active = "answer"

    def help_text(self) -> tuple[str, str]:
        """Title and text of the help page."""
        return "Ask the model", HELP

    def action_tab(self, name: str) -> None:
        """Show one of the tabs."""
        self._tell_reach()
        self.tabs.active = name

    def action_send(self) -> None:
        """Ask, through every address or through one."""
        if (wishes := self._ready()) is not None:
            self._ask(self.entry.text.strip(), wishes)

    def action_many(self) -> None:
        """Ask many times at once."""
        if (wishes := self._ready()) is not None:
            self._ask_many(self.entry.text.strip(), wishes)

    def action_copy(self) -> None:
        """Copy the request."""
        if wishes := self.form.wishes():
            base = next((one.base_url for one in self._addresses if one.region == self.form.chosen_region), None)
            base = base or (self._addresses[0].base_url if self._addresses else "http://ADDRESS/v1")
            self.app.copy_to_clipboard(self.stack.curl(self.entry.text.strip() or DEFAULT_TEXT, base, **wishes))
            self.notify("Copied the request as a curl command.")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While something is asked, escape stops that; else it leaves."""
        del parameters
        return {"stop": self._asking, "leave": not self._asking}.get(action, True)

    def action_stop(self) -> None:
        """Stop asking."""
        self.workers.cancel_group(self, "ask")

    def action_leave(self) -> None:
        """Leave."""
        self.dismiss(None)

    def _ready(self) -> Wishes | None:
        """What to ask with; ``None`` while something is asked already, or after saying what is missing."""
        if self._asking:
            return None
        if not self.entry.text.strip():
            self.notify("The prompt is empty.", severity="warning")
            self.entry.focus()
            return None
        return self.form.wishes()

    @work(group="ask", exclusive=True)
    async def _ask(self, text: str, wishes: Wishes) -> None:
        self._begin(text)
        try:
            await self.stack.prompt(text, region=self.form.chosen_region, listener=self._conversation, **wishes)
            self._addresses = self._addresses or await self.stack.addresses()
        except McigError as error:
            self._fail(error)
        finally:
            self._asking, self._shown = False, self._conversation.exchanges[self._first :]
            if not self.going:
                self.refresh_bindings()
                for exchange in self._shown:
                    self._keep(exchange)
                self._frame(now=True)

    @work(group="ask", exclusive=True)
    async def _ask_many(self, text: str, wishes: Wishes) -> None:
        self._begin(text)
        self.tabs.active = "spread"
        answers: list[Answer] = []
        expected = MANY * (1 if self.form.chosen_region else max(len(self._addresses), 1))
        view = self.query_one("#spread-text", Static)
        view.update(f"… sending {expected} prompts, a few at a time")

        def each(answer: Answer) -> None:
            answers.append(answer)
            view.update(spread(answers, expected))

        try:
            await self.stack.prompt(text, region=self.form.chosen_region, count=MANY, each=each, **wishes)
        except McigError as error:
            self.tabs.active = "answer"
            self._fail(error)
        except asyncio.CancelledError:
            if not self.going:
                view.update(spread(answers, expected, stopped=True))
            raise
        finally:
            self._asking = False
            if not self.going:
                self.refresh_bindings()

    def _begin(self, text: str) -> None:
        self._asking, self._problem, self._drawn = True, None, -1
        self.refresh_bindings()
        self._conversation.prompt, self._conversation.model = text, self.form.model
        self._shown, self._first = [], len(self._conversation.exchanges)
        self.tabs.active = "answer"
        self.answer_view.update(Content.styled("… on its way", "$quiet"))

    def _frame(self, *, now: bool = False) -> None:
        """Draw what has come since the last frame."""
        if self._asking:
            self._shown = self._conversation.exchanges[self._first :]
        if (self._conversation.fresh == self._drawn and not now) or not self._shown:
            return
        self._drawn = self._conversation.fresh
        parts = [told(one, going_on=self._asking) for one in self._shown]
        if self._problem is not None:
            parts.append(_problem(self._problem))
        self.answer_view.update(Content("\n\n").join(parts))
        self.answer_box.scroll_end(animate=False)

    def _fail(self, error: McigError) -> None:
        self._problem = error
        self.answer_view.update(_problem(error))

    def _keep(self, exchange: Exchange) -> None:
        """Add a line to the history."""
        answer = exchange.answer
        if answer is None:
            row = ("", "", "", "stopped")
        else:
            rate = tokens_per_s(answer.to_json())
            by = answer.served_by
            row = (
                "unknown" if by is None else f"{by.cluster} {short(by.pod)}",
                "" if answer.ttft_s is None else f"{answer.ttft_s * 1000:.0f} ms",
                "" if rate is None else f"{rate:.0f}",
                outcome(answer),
            )
        prompt = " ".join(exchange.prompt.split())
        prompt = prompt if len(prompt) <= _LONGEST else f"{prompt[: _LONGEST - 1]}…"
        self.history.add_row(f"{exchange.at:%H:%M:%S}", exchange.region, exchange.model, *row, Text(prompt))

    def _tell_reach(self) -> None:
        if not self._addresses:
            said = "The gateway's addresses are not known yet; they are looked for with every prompt."
            self.query_one("#reach-text", Static).update(said)
            return
        address = next((one for one in self._addresses if one.region == self.form.chosen_region), self._addresses[0])
        wishes = self.form.wishes()
        curl = "" if wishes is None else self.stack.curl(self.entry.text.strip(), address.base_url, **wishes)
        rehearsal = self.stack.connection.speed is not None
        model = self.form.model
        self.query_one("#reach-text", Static).update(
            reach(self._addresses, model=model, curl=curl, rehearsal=rehearsal)
        )


def _problem(error: McigError) -> Content:
    lines: list[tuple[str, str]] = [(f"✗ {error.message}", "$text-error")]
    lines += [(f"\n  {label}: {text}", "") for label, text in (("cause", error.cause), ("fix", error.fix)) if text]
    return Content.assemble(*lines)
