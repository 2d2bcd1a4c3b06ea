"""Between the answers and the plan: connecting to the cloud, which may have to be started first.

Invariant: leaving cancels what is under way, and nothing is changed in any cloud.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Footer, Label, LoadingIndicator, Static

from backend.errors import McigError
from backend.spec import Target
from tui.leaving import Leavable
from tui.session import Session

if TYPE_CHECKING:
    from backend.spec import GatewaySpec
    from backend.stack import Stack

WAITS = {
    Target.EMULATOR: "Connecting to the emulated cloud on this machine; it starts by itself where none runs.",
    Target.GKE: "Connecting to Google Cloud.",
}


class ConnectingScreen(Leavable[None]):
    """Opens a specification's stack."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Back", tooltip="Back; your answers are kept"),
        Binding("r", "again", "Try again", tooltip="Connect once more"),
    ]

    @dataclass
    class Ready(Message):
        """The stack is open."""

        screen: ConnectingScreen
        stack: Stack
        purpose: str

    @dataclass
    class Left(Message):
        """Somebody went back."""

        screen: ConnectingScreen

    def __init__(self, session: Session, spec: GatewaySpec, purpose: str) -> None:
        super().__init__()
        self.session = session
        self.spec = spec
        self.purpose = purpose
        """What the stack is opened for: ``apply``, ``destroy`` or ``ask``."""

    def compose(self) -> ComposeResult:
        """What is being done, and the ways on where it fails."""
        with Vertical(id="connecting"):
            yield Label(self.spec.name, classes="heading", markup=False)
            yield Static(WAITS[self.spec.target], id="doing", markup=False)
            yield LoadingIndicator(id="busy")
            with Horizontal(id="ways"):
                yield Button("◂ Back", id="back", compact=True)
                yield Button("Try again", id="again", variant="primary", compact=True)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin."""
        self.connect()

    @work(exclusive=True)
    async def connect(self) -> None:
        """Open the stack."""
        self._busy(True)
        try:
            stack = await self.session.open(self.spec)
        except McigError as error:
            self._busy(False)
            parts: list[tuple[str, str]] = [(f"✗ {error.message}", "$text-error")]
            parts += [(f"\n  cause: {error.cause}", "")] if error.cause else []
            parts += [(f"\n  fix:   {error.fix}", "")] if error.fix else []
            parts.append(("\n\n  Your answers are kept.", "$quiet"))
            self.query_one("#doing", Static).update(Content.assemble(*parts))
            self.query_one("#again", Button).focus()
            return
        self.post_message(self.Ready(self, stack, self.purpose))

    def _busy(self, busy: bool) -> None:
        self.query_one("#busy").display = busy
        self.query_one("#again").display = not busy
        if busy:
            self.query_one("#doing", Static).update(WAITS[self.spec.target])

    @on(Button.Pressed, "#again")
    def action_again(self) -> None:
        """Begin anew."""
        self.connect()

    @on(Button.Pressed, "#back")
    def action_leave(self) -> None:
        """Go back."""
        self.workers.cancel_node(self)
        self.post_message(self.Left(self))
