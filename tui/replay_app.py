"""What was recorded, alone on its screen: a run on the run screen, traffic on the monitor."""

from __future__ import annotations

from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType

from tui.looks import RecordedLooks
from tui.runs import RunSource
from tui.screens.monitor import MonitorScreen
from tui.screens.run import RunScreen
from tui.themes import DEFAULTS, THEMES


class ReplayApp(App[None]):
    """Shows one recording; leaving its screen ends it."""

    TITLE = "mcig replay"
    CSS_PATH = "mcig.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", show=False, tooltip="Leave the recording", id="quit"),
    ]

    def __init__(self, source: RunSource | RecordedLooks) -> None:
        super().__init__()
        self._source = source
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
        self.VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name

    def on_mount(self) -> None:
        """Play."""
        if isinstance(self._source, RecordedLooks):
            self.push_screen(MonitorScreen(self._source))
        else:
            self.push_screen(RunScreen(self._source), lambda _: self.exit())

    def on_monitor_screen_left(self, event: MonitorScreen.Left) -> None:
        """End."""
        del event
        self.exit()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Colours of our own under every theme."""
        return DEFAULTS
