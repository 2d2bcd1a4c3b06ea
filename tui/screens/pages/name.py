"""Name & preset: what the stack is called, and the answers as a preset."""

from __future__ import annotations

from collections.abc import Iterable

from textual import on
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Button, Label

from backend import presets
from backend.errors import UsageError
from tui.screens.pages.base import PageView


class NameView(PageView):
    """The page."""

    def tail(self) -> Iterable[Widget]:
        """The way to keep the answers."""
        with Horizontal(classes="line", id="keep"):
            yield Label("", classes="label")
            yield Button("Save as preset", id="save", compact=True)
            yield Label("", id="saved", markup=False)

    @on(Button.Pressed, "#save")
    def _save(self, event: Button.Pressed) -> None:
        event.stop()
        label = self.query_one("#saved", Label)
        spec = self.draft.check().spec
        if spec is None:
            label.update("✗ something is left to mend")
            return
        replace = str(event.button.label) == "Replace it"
        try:
            path = presets.save(spec.name, presets.dump(spec), "these answers", self.session.places, replace=replace)
        except presets.PresetExists:
            event.button.label = "Replace it"
            label.update(f"! you have another preset called {spec.name}")
        except UsageError as error:
            label.update(f"✗ {error.message}")
        else:
            event.button.label = "Save as preset"
            label.update(f"✓ {path}")
