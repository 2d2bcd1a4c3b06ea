"""What is chosen beside a prompt: model or adapter, address, tokens, temperature, objective.

Invariant: what cannot be asked for is told and its field gets the focus; nothing is sent with it.
"""

from __future__ import annotations

from typing import TypedDict

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.getters import query_one
from textual.widgets import Checkbox, Input, Label, Select

from backend.spec import GatewaySpec

EVERY = ""
"""The choice of all addresses."""


class Wishes(TypedDict):
    """What is chosen; the names are those of ``Stack.prompt``."""

    model: str
    max_tokens: int
    temperature: float
    objective: bool


class AskForm(Vertical):
    """Two lines of choices."""

    _model = query_one("#model", Select)
    _through = query_one("#through", Select)
    _tokens = query_one("#tokens", Input)
    _temperature = query_one("#temperature", Input)
    _objective = query_one("#objective", Checkbox)

    def __init__(self, spec: GatewaySpec) -> None:
        super().__init__()
        self._spec = spec

    def compose(self) -> ComposeResult:
        """Lay out."""
        spec = self._spec
        names = [*(adapter.name for adapter in spec.model.adapters), spec.model.id]
        regions = [("every address", EVERY), *((region, region) for region in spec.regions)]
        with Horizontal(classes="row"):
            yield Label("model")
            yield Select([(name, name) for name in names], value=names[0], allow_blank=False, id="model", compact=True)
            yield Label("through")
            yield Select(regions, value=EVERY, allow_blank=False, id="through", compact=True)
        with Horizontal(classes="row"):
            yield Label("tokens")
            yield Input("64", type="integer", id="tokens", compact=True, max_length=6)
            yield Label("temperature", id="temperature-label")
            yield Input("0", type="number", id="temperature", compact=True, max_length=4)
            yield Checkbox(f"objective {spec.objective.name}", value=True, id="objective", compact=True)

    @on(Checkbox.Changed)
    def _ticked(self, event: Checkbox.Changed) -> None:
        event.checkbox.BUTTON_INNER = "X" if event.value else " "
        event.checkbox.refresh()

    @property
    def model(self) -> str:
        """The base model or the adapter."""
        return str(self._model.value)

    @property
    def chosen_region(self) -> str | None:
        """Whose address is asked through; ``None`` for all."""
        return str(self._through.value) or None

    def wishes(self) -> Wishes | None:
        """What is chosen; ``None`` after saying what is wrong with it."""
        try:
            tokens, temperature = int(self._tokens.value), float(self._temperature.value)
        except ValueError:
            tokens, temperature = 0, 0.0
        if tokens < 1 or not 0 <= temperature <= 2:
            self.notify("Tokens are a whole number from 1, the temperature is from 0 to 2.", severity="warning")
            (self._tokens if tokens < 1 else self._temperature).focus()
            return None
        return {
            "model": self.model,
            "max_tokens": tokens,
            "temperature": temperature,
            "objective": self._objective.value,
        }
