"""What was recorded, alone on its screen: a run on the run screen, traffic on the monitor."""

from __future__ import annotations

from pathlib import Path

from tui.full_screen import FullScreen
from tui.looks import RecordedLooks
from tui.runs import RunSource
from tui.screens.monitor import MonitorScreen
from tui.screens.run import RunScreen


class ReplayApp(FullScreen):
    """Shows one recording; leaving its screen ends it."""

    TITLE = "mcig replay"

    def __init__(self, source: RunSource | RecordedLooks, *, pictures: Path = Path("pictures")) -> None:
        super().__init__(pictures=pictures)
        self._source = source

    def on_mount(self) -> None:
        """Play."""
        if isinstance(self._source, RecordedLooks):
            self.push_screen(MonitorScreen(self._source))
        else:
            self.push_screen(RunScreen(self._source), lambda _: self.exit(0))

    def on_monitor_screen_left(self, event: MonitorScreen.Left) -> None:
        """End."""
        del event
        self.exit(0)
