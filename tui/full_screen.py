"""What every full-screen app of mcig has: looks, habits people have, and a clean end.

Invariants: a terminal that is too small shows a sentence and not a torn page, and loses nothing; a fault of mcig
itself ends the app and is told by the command, without the values of variables, because a token may be among them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import events
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.screen import Screen
from textual.worker import WorkerFailed

from tui.interrupts import INTERRUPTED
from tui.leaving import Leavable
from tui.screens.small import TooSmall
from tui.themes import DEFAULTS, THEMES


class FullScreen(App[int]):
    """Help, menu, themes, pictures, sizes."""

    TITLE = "mcig"
    CSS_PATH = Path(__file__).with_name("mcig.tcss")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 - as the framework declares it
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]  # noqa: RUF012
    COMMAND_PALETTE_BINDING = "ctrl+p"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1,question_mark", "help", "Help", key_display="f1", tooltip="About this page"),
        Binding("ctrl+p", "command_palette", "Menu", tooltip="Everything that can be done here"),
        Binding("ctrl+q", "quit", "Quit", show=False, tooltip="Leave; what you wrote is kept"),
        Binding("ctrl+c", "interrupt", "Quit", show=False, tooltip="Leave; what you wrote is kept"),
        Binding("f2", "next_theme", "Theme", tooltip="Dark, light, high contrast", show=False),
        Binding("f12", "picture", "Picture", tooltip="Keep a picture of the screen, secrets masked", show=False),
    ]
    ABOUT: ClassVar[str] = ""
    """Help where a screen has none of its own."""

    def __init__(self, *, pictures: Path) -> None:
        """``pictures`` is the folder that pictures of the screen are kept in."""
        super().__init__()
        self.pictures = pictures
        self.fault: BaseException | None = None
        """What of mcig itself ended it; ``None`` where it was left."""
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name

    async def shown(self) -> int | None:
        """Run until it is left; gives the exit code, and raises the fault that ended it."""
        code = await self.run_async()
        if self.fault is not None:
            raise self.fault
        return code

    def _handle_exception(self, error: Exception) -> None:
        self.fault = self.fault or (error.error if isinstance(error, WorkerFailed) else error)
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        self.panic()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Colours of our own under every theme."""
        return DEFAULTS

    def on_resize(self, event: events.Resize) -> None:
        """Say so where the terminal is too small for the pages, and go on once it is not."""
        self.mind(event.size)

    def mind(self, size: Size) -> None:
        """Cover the screen in front where a terminal of that size is too small for it."""
        small = isinstance(self.screen, TooSmall)
        if TooSmall.needed(size) and not small:
            self.push_screen(TooSmall())
        elif small and not TooSmall.needed(size):
            self.pop_screen()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the palette offers: what can be done anywhere, what the screen in front adds, and its keys."""
        yield SystemCommand("Help", "What this page asks, and its keys", self.action_help)
        yield SystemCommand("Change the theme", "Dark, light, high contrast and more", self.action_change_theme)
        yield SystemCommand("Keep a picture", "An SVG of the screen, secrets masked", self.action_picture)
        yield SystemCommand("Quit", "What you wrote is kept", self.action_quit)
        yield from getattr(screen, "commands", tuple)()
        for active in screen.active_bindings.values():
            binding = active.binding
            if active.node is screen and active.enabled and binding.tooltip:
                yield SystemCommand(binding.description, binding.tooltip, partial(screen.run_action, binding.action))

    def action_help(self) -> None:
        """Help on what is in front."""
        from tui.screens.help import HelpScreen

        if isinstance(self.screen, HelpScreen):
            return
        about = getattr(self.screen, "help_text", None)
        title, text = about() if about is not None else (self.TITLE, self.ABOUT)
        self.push_screen(HelpScreen(title, text, list(self._keys().items())))

    def _keys(self) -> dict[str, str]:
        """The keys of the screen in front and what they do; a text field's own are what people expect of one."""
        return {
            self.get_key_display(active.binding): active.binding.tooltip or active.binding.description
            for active in self.screen.active_bindings.values()
            if active.binding.description and not active.binding.system and active.binding.tooltip
        }

    async def action_quit(self) -> None:
        """Leave; what is under way is asked about first."""
        self._end(None)

    def action_interrupt(self) -> None:
        """Leave as a command does that was interrupted; what is under way is asked about first."""
        self._end(INTERRUPTED)

    def _end(self, code: int | None) -> None:
        open_ones = [screen for screen in self.screen_stack if isinstance(screen, Leavable)]
        if not any(screen.holds(lambda: self.exit(code)) for screen in open_ones):
            self.exit(code)

    def action_next_theme(self) -> None:
        """The next of mcig's own themes."""
        names = [theme.name for theme in THEMES]
        here = names.index(self.theme) if self.theme in names else -1
        self.theme = names[(here + 1) % len(names)]

    def action_picture(self) -> None:
        """Keep an SVG of the screen; secrets are masked on the screen already."""
        import time

        self.pictures.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.save_screenshot(f"{time.strftime('%Y%m%dT%H%M%S')}.svg", str(self.pictures))
        self.notify(path, title="Kept a picture", markup=False)
